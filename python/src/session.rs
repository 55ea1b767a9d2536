//! One MQTT session and the connection that carries it, behind verbs that never wait.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use iothub_mqtt::io::{self, Carrier, Queues, Wire};
use iothub_mqtt::mqtt::{self, Connect, Delivery, Drain, Limits, Publish, QoS, Settings, State, Will};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::failure::{Fault, fault, refusal, wrong_carrier};
use crate::{event, tls};

/// paho's limit for `max_queued_messages = 0`: as many as there are packet ids, nearly.
const MOST_QUEUED: usize = 65_000;
/// The largest remaining length that MQTT knows: a broker that is no hub may send it.
const MOST_RECEIVED: usize = 268_435_455;

/// An open connection.
struct Link {
    wire: Wire,
    /// Keeps the Python socket, and so the descriptor that `wire` borrows, from being collected.
    _socket: Option<Py<PyAny>>,
}

/// An MQTT 3.1.1 client session, through any number of connections.
///
/// No method waits. Any thread may call any method; the interpreter is released while bytes move.
#[pyclass(frozen, module = "iothub_mqtt._native")]
pub(crate) struct Session {
    session: Mutex<mqtt::Session<()>>,
    /// Locked before `session` where both are needed.
    link: Mutex<Option<Link>>,
}

/// Runs `action` on what `mutex` guards.
///
/// The lock is waited for without the interpreter, and is free again before the interpreter is
/// taken back: a thread that held it and waited for the interpreter would block the one that has
/// the interpreter and waits for the lock.
fn under<T: Send, R: Send>(py: Python<'_>, mutex: &Mutex<T>, action: impl FnOnce(&mut T) -> R + Send) -> R {
    match mutex.try_lock() {
        Ok(mut guarded) => action(&mut guarded),
        Err(TryLockError::Poisoned(poisoned)) => action(&mut poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => py.detach(|| action(&mut sound(mutex))),
    }
}

/// What a poisoned lock guards is sound: nothing that can panic runs under it half-way.
fn sound<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 0 stands for "no limit", as in paho.
fn limits(in_flight: usize, queued: usize) -> Limits {
    Limits {
        messages: if queued == 0 { MOST_QUEUED } else { queued.min(MOST_QUEUED) },
        bytes: usize::MAX,
        in_flight: if in_flight == 0 { MOST_QUEUED } else { in_flight },
        in_flight_bytes: usize::MAX,
    }
}

fn quality(qos: u8) -> PyResult<QoS> {
    match qos {
        0 => Ok(QoS::AtMostOnce),
        1 => Ok(QoS::AtLeastOnce),
        2 => Ok(QoS::ExactlyOnce),
        _ => Err(PyValueError::new_err("qos: must be 0, 1 or 2")),
    }
}

impl Session {
    fn session<R: Send>(&self, py: Python<'_>, action: impl FnOnce(&mut mqtt::Session<()>) -> R + Send) -> R {
        under(py, &self.session, action)
    }

    /// Runs `action` on the open connection, if there is one.
    fn link<R: Send>(&self, py: Python<'_>, action: impl FnOnce(&mut Wire) -> R + Send) -> Option<R> {
        under(py, &self.link, |link| link.as_mut().map(|link| action(&mut link.wire)))
    }

    /// Runs `verb` on the wire without the interpreter.
    fn drive<R: Send>(
        &self,
        py: Python<'_>,
        verb: impl FnOnce(&mut Wire, &Mutex<mqtt::Session<()>>) -> Result<R, io::Fault> + Send,
    ) -> PyResult<R> {
        let outcome = py.detach(|| {
            let mut link = sound(&self.link);
            link.as_mut().map(|link| verb(&mut link.wire, &self.session))
        });
        match outcome {
            Some(outcome) => outcome.map_err(|e| fault(&e)),
            None => Err(Fault::new_err(("closed_by_us", "not connected"))),
        }
    }

    fn replace_link(&self, py: Python<'_>, link: Option<Link>) {
        let old = under(py, &self.link, |slot| std::mem::replace(slot, link));
        // Its socket object may run Python code when it goes, so not under the lock.
        drop(old);
    }
}

#[pymethods]
impl Session {
    #[new]
    fn new() -> Self {
        let settings = Settings {
            limits: limits(20, 0),
            ping_timeout: Duration::from_secs(30),
            max_packet: MOST_RECEIVED,
            resubscribe: false,
            pipelined: true,
        };
        Self { session: Mutex::new(mqtt::Session::new(settings, Instant::now())), link: Mutex::new(None) }
    }

    /// Messages that may be sent and not acknowledged, and that may wait; 0 is no limit.
    fn set_limits(&self, py: Python<'_>, in_flight: usize, queued: usize) {
        self.session(py, |session| session.set_limits(limits(in_flight, queued)));
    }

    /// Queues a message; returns its packet id. Raises ValueError or Refused, with nothing queued.
    fn publish(&self, py: Python<'_>, topic: &str, payload: &[u8], qos: u8, retain: bool) -> PyResult<u16> {
        let publish = Publish { topic, payload, qos: quality(qos)?, retain };
        self.session(py, |session| session.publish(&publish, None, ()))
            .map_err(|refused| refusal(&refused.error))
    }

    /// Queues a SUBSCRIBE of pairs of filter and QoS; returns its packet id.
    fn subscribe(&self, py: Python<'_>, filters: Vec<(String, u8)>) -> PyResult<u16> {
        let filters = filters
            .into_iter()
            .map(|(filter, qos)| Ok((filter, quality(qos)?)))
            .collect::<PyResult<Vec<_>>>()?;
        self.session(py, |session| session.subscribe(filters, ())).map_err(|refused| refusal(&refused.error))
    }

    /// Queues an UNSUBSCRIBE; returns its packet id.
    fn unsubscribe(&self, py: Python<'_>, filters: Vec<String>) -> PyResult<u16> {
        self.session(py, |session| session.unsubscribe(filters, ()))
            .map_err(|refused| refusal(&refused.error))
    }

    /// Acknowledges a received message by its delivery number. Raises Refused if that was done
    /// before, or if the message came on an earlier connection.
    fn acknowledge(&self, py: Python<'_>, delivery: u64) -> PyResult<()> {
        self.session(py, |session| session.acknowledge(Delivery(delivery))).map_err(|e| refusal(&e))
    }

    /// Uses a connected, non-blocking socket, which must stay open until `detach`.
    ///
    /// `tls` is None for a plain connection. `peer` names the other end in errors. `stall_timeout`
    /// is the number of seconds for which the socket may take no byte.
    fn attach(
        &self,
        py: Python<'_>,
        socket: &Bound<'_, PyAny>,
        tls: Option<&tls::Tls>,
        host: &str,
        peer: String,
        stall_timeout: f64,
    ) -> PyResult<()> {
        let descriptor: RawFd = socket.call_method0("fileno")?.extract()?;
        if descriptor < 0 {
            return Err(PyValueError::new_err("socket: is closed"));
        }
        let tls = match tls {
            Some(tls) => Some((tls.config(), io::server_name(host).map_err(|e| refusal(&e))?)),
            None => None,
        };
        let carrier = Carrier::Borrowed(borrow(descriptor));
        let wire = Wire::new(carrier, tls, seconds(stall_timeout)?, peer).map_err(|e| fault(&e))?;
        self.replace_link(py, Some(Link { wire, _socket: Some(socket.clone().unbind()) }));
        Ok(())
    }

    /// Uses two queues in place of a socket: `feed` and `fetch` move the bytes.
    fn attach_queues(&self, py: Python<'_>, peer: String) -> PyResult<()> {
        let carrier = Carrier::Queues(Queues::default());
        let wire = Wire::new(carrier, None, Duration::MAX, peer).map_err(|e| fault(&e))?;
        self.replace_link(py, Some(Link { wire, _socket: None }));
        Ok(())
    }

    /// Adds bytes that came; none means that no more will come.
    fn feed(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<()> {
        let fed = self.link(py, |wire| {
            wire.queues().map(|queues| {
                queues.incoming.extend_from_slice(bytes);
                queues.ended |= bytes.is_empty();
            })
        });
        fed.flatten().ok_or_else(wrong_carrier)
    }

    /// Takes the bytes that are to go.
    fn fetch<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.link(py, |wire| wire.queues().map(|queues| queues.outgoing.split()));
        bytes.flatten().map(|bytes| PyBytes::new(py, &bytes)).ok_or_else(wrong_carrier)
    }

    /// Lets go of the socket or the queues. What is not acknowledged waits for the next connection.
    fn detach(&self, py: Python<'_>) {
        self.link(py, Wire::shut);
        self.replace_link(py, None);
        self.session(py, mqtt::Session::stop);
    }

    /// Queues CONNECT. Raises ValueError for what MQTT does not allow in it.
    ///
    /// `keep_alive` is in seconds; `will` is topic, payload, QoS and retain.
    #[allow(clippy::too_many_arguments, reason = "the fields of CONNECT")]
    fn start(
        &self,
        py: Python<'_>,
        client_id: String,
        clean_session: bool,
        keep_alive: u16,
        username: Option<String>,
        password: Option<String>,
        will: Option<(String, Vec<u8>, u8, bool)>,
    ) -> PyResult<()> {
        let will = match will {
            Some((topic, payload, qos, retain)) => {
                Some(Will { topic, payload: Bytes::from(payload), qos: quality(qos)?, retain })
            }
            None => None,
        };
        let connect = Connect { client_id, clean_session, keep_alive, username, password, will };
        self.session(py, |session| session.start(&connect, Instant::now())).map_err(|e| refusal(&e))
    }

    /// Queues DISCONNECT; messages that wait are not sent before it.
    fn disconnect(&self, py: Python<'_>) {
        self.session(py, |session| session.disconnect(Drain::Now));
    }

    /// Moves what has come. Returns whether there may be more. Raises Fault.
    fn read(&self, py: Python<'_>) -> PyResult<bool> {
        self.drive(py, |wire, session| wire.read(session, Instant::now()))
    }

    /// Moves what is to go. Returns whether there may be more. Raises Fault.
    fn write(&self, py: Python<'_>) -> PyResult<bool> {
        self.drive(py, |wire, session| wire.write(session, Instant::now()))
    }

    /// Does what is due. Raises Fault.
    fn timer(&self, py: Python<'_>) -> PyResult<()> {
        self.drive(py, |wire, session| wire.timer(session, Instant::now()))
    }

    /// Whether `write` has something to do once the carrier takes it.
    fn want_write(&self, py: Python<'_>) -> bool {
        let wanted = self.link(py, |wire| {
            wire.queues().is_some_and(|queues| !queues.outgoing.is_empty()) || wire.want(&self.session).write
        });
        wanted.unwrap_or(false)
    }

    /// Seconds from now until `timer` has something to do, or None.
    fn deadline(&self, py: Python<'_>) -> Option<f64> {
        let at = self.link(py, |wire| wire.deadline(&self.session)).flatten()?;
        Some(at.saturating_duration_since(Instant::now()).as_secs_f64())
    }

    /// Whether TLS has verified the peer, or there is no TLS.
    fn is_secured(&self, py: Python<'_>) -> bool {
        self.link(py, |wire| wire.is_secured()).unwrap_or(false)
    }

    /// Whether DISCONNECT has been written.
    fn is_finished(&self, py: Python<'_>) -> bool {
        self.session(py, |session| session.state()) == State::Finished
    }

    /// The code of the CONNACK that refused this connection.
    fn refused(&self, py: Python<'_>) -> Option<u8> {
        self.link(py, |wire| wire.refused()).flatten()
    }

    /// Operations that have not completed.
    fn queued(&self, py: Python<'_>) -> usize {
        self.session(py, |session| session.queued().0)
    }

    /// What has happened, oldest first.
    fn take_events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let events = self.session(py, mqtt::Session::take_events);
        let list = PyList::empty(py);
        for event in events {
            list.append(event::tuple(py, event)?)?;
        }
        Ok(list)
    }
}

fn seconds(value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| PyValueError::new_err("stall_timeout: is out of range"))
}

#[allow(unsafe_code)]
fn borrow(descriptor: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the descriptor is that of an open Python socket (not -1), whose object the link keeps
    // alive; the facade closes the socket only after `detach`, which waits for any use to end.
    unsafe { BorrowedFd::borrow_raw(descriptor) }
}
