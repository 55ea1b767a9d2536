//! The way to a server, gone step by step by the calling thread, which waits: for whoever wants to know
//! where it ends. The steps are the same machines that a client's connection drives.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion};

use super::aside::{Aside, Panicked};
use super::carrier::Carrier;
use super::cause::{Cause, Fault};
use super::dial::{Dial, Step, Wake, place};
use super::greeting::{Greet, Greeting};
use super::interest::Interest;
use super::presented::Presented;
use super::resolve::{self, Lookup};
use super::via::Via;
use super::wire::{Wire, lock};
use crate::mqtt::{Connect, Drain, Session, Settings, State};

/// After a DISCONNECT the peer has this long to close the connection.
const GOODBYE: Duration = Duration::from_secs(1);

/// Woken once by another thread.
fn bell() -> (Wake, Receiver<()>) {
    let (sender, woken) = mpsc::channel();
    // Whoever waited may be gone.
    (Arc::new(move || sender.send(()).unwrap_or_default()), woken)
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

/// Whether `host` is an address already, in brackets or not.
pub(crate) fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// The addresses of a name.
pub(crate) fn lookup(host: &str, timeout: Duration) -> Result<Vec<IpAddr>, Fault> {
    let dns = |text: &str| Fault::new(Cause::Dns, format!("{host}: the name lookup failed: {text}"));
    let until = Instant::now() + timeout;
    let (wake, woken) = bell();
    let lookup = Lookup::start(host, wake, resolve::system).map_err(|error| {
        let text = format!("{host}: the thread for the name lookup did not start: {error}");
        Fault::new(Cause::Network, text)
    })?;
    loop {
        match lookup.outcome() {
            Some(Ok(addresses)) if addresses.is_empty() => return Err(dns("it has no address")),
            Some(outcome) => return outcome.map_err(|text| dns(&text)),
            None if left(until).is_zero() => return Err(dns(&format!("no answer in {timeout:?}"))),
            None => drop(woken.recv_timeout(left(until))),
        }
    }
}

/// A connection to `host`, by way of `via`.
pub(crate) fn dial(host: &str, port: u16, via: &Via, timeout: Duration) -> Result<Arc<OwnedFd>, Fault> {
    let (wake, woken) = bell();
    let mut dial = Dial::start(host, port, via, timeout, Instant::now(), wake);
    loop {
        match dial.step(Instant::now()) {
            Step::Connected(socket) => return Ok(socket),
            Step::Failed(fault) => return Err(fault),
            Step::Wait => {}
        }
        let until = dial.deadline().unwrap_or_else(Instant::now);
        match dial.want() {
            Some((socket, interest)) => {
                wait(socket, interest, until).map_err(|errno| Fault::io(&place(host, port), &errno.into()))?
            }
            None => drop(woken.recv_timeout(left(until))),
        }
    }
}

/// This machine's end of a connection and the other.
pub(crate) fn ends(socket: &OwnedFd) -> Option<(SocketAddr, SocketAddr)> {
    let here = rustix::net::getsockname(socket).ok()?.try_into().ok()?;
    let there = rustix::net::getpeername(socket).ok()??.try_into().ok()?;
    Some((here, there))
}

/// What `job` gives, from a helper thread, because it may hang; `what` it is called in texts.
fn aside<T: Send + 'static>(
    what: &str,
    timeout: Duration,
    job: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let until = Instant::now() + timeout;
    let (wake, woken) = bell();
    let refused = |text: String| Err(Fault::new(Cause::Authentication, text));
    let task = Aside::new(wake.clone()).start(job).map_err(|error| {
        Fault::new(Cause::Network, format!("the helper thread for the credentials did not start: {error}"))
    })?;
    loop {
        match task.outcome() {
            Some(Ok(outcome)) => return outcome,
            Some(Err(Panicked)) => return refused(format!("{what} panicked")),
            None if left(until).is_zero() => {
                return refused(format!("{what} did not answer within {timeout:?}"));
            }
            None => drop(woken.recv_timeout(left(until))),
        }
    }
}

/// What a connection is greeted with, made now.
pub(crate) fn greeting(greet: &mut Greet, timeout: Duration) -> Result<Greeting, Fault> {
    match greet {
        Greet::Now(_) => greet.make(),
        Greet::Aside { what, make } => {
            let (what, make) = (*what, Arc::clone(make));
            aside(what, timeout, move || make())
        }
    }
}

fn wait(socket: &OwnedFd, interest: Interest, until: Instant) -> rustix::io::Result<()> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, interest.read);
    flags.set(PollFlags::OUT, interest.write);
    let left = left(until);
    let left = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(socket, flags)], Some(&left)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// What texts call the callback that signs for TLS.
pub(crate) const TLS_SIGNER: &str = "the TLS signer";

/// Whom a connection is for, and how long each step of it may take.
#[derive(Clone)]
pub(crate) struct Target {
    pub host: String,
    pub port: u16,
    pub config: Arc<ClientConfig>,
    pub name: ServerName<'static>,
    pub timeout: Duration,
}

impl Target {
    /// `host:port`
    pub(crate) fn place(&self) -> String {
        place(self.host.trim_matches(['[', ']']), self.port)
    }
}

/// An open connection.
pub(crate) struct Probe {
    wire: Wire,
    session: Mutex<Session<()>>,
    target: Target,
}

impl Probe {
    /// Brings TLS up on `socket`, anew even where the client could resume a session. With `signs` the key
    /// signs through a callback, which runs on a helper thread.
    pub(crate) fn secure(socket: Arc<OwnedFd>, target: &Target, signs: bool) -> Result<Self, Fault> {
        let mut config = ClientConfig::clone(&target.config);
        config.resumption = Resumption::disabled();
        let tls = Some((Arc::new(config), target.name.clone()));
        let peer = target.place();
        let timeout = target.timeout;
        let mut wire = Wire::new(Carrier::Socket(Arc::clone(&socket)), tls, timeout, peer)?;
        if signs {
            let until = Instant::now() + timeout;
            let secured = move || wire.secure(until).map(|()| wire);
            wire = aside(TLS_SIGNER, timeout, secured).inspect_err(|_| {
                // A callback that hangs keeps the socket open.
                let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Both);
            })?;
        }
        let session = Mutex::new(Session::new(Settings::default(), Instant::now()));
        let mut probe = Self { wire, session, target: target.clone() };
        probe.pump(|wire, _| wire.is_secured())?;
        Ok(probe)
    }

    pub(crate) fn tls_version(&self) -> &'static str {
        match self.wire.tls().and_then(|tls| tls.protocol_version()) {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        }
    }

    /// The certificates that the server has shown, its own first.
    pub(crate) fn chain(&self) -> Option<&[CertificateDer<'static>]> {
        self.wire.tls()?.peer_certificates()
    }

    /// The chain that a server shows which was not trusted, over a connection made for that.
    pub(crate) fn presented(socket: Arc<OwnedFd>, target: &Target) -> Vec<CertificateDer<'static>> {
        let presented = Presented::new();
        let mut config = ClientConfig::clone(&target.config);
        config.dangerous().set_certificate_verifier(Arc::clone(&presented) as Arc<_>);
        let target = Target { config: Arc::new(config), ..target.clone() };
        // It fails, always.
        drop(Self::secure(socket, &target, false));
        presented.chain()
    }

    /// Puts what follows into a WebSocket. The server's clock, in seconds since 1970, where it was told,
    /// also with a refusal.
    pub(crate) fn upgrade(&mut self, path: &str) -> (Result<(), Fault>, Option<u64>) {
        let asked = self.wire.upgrade(&self.target.host, self.target.port, path);
        let agreed = asked.and_then(|()| self.pump(|wire, _| wire.is_open()));
        (agreed, self.wire.server_time())
    }

    /// Says CONNECT and waits for the answer; then says goodbye.
    pub(crate) fn greet(&mut self, connect: &Connect) -> Result<(), Fault> {
        lock(&self.session)
            .start(connect, Instant::now())
            .map_err(|error| Fault::new(Cause::Configuration, error.detail()))?;
        let answered = self.pump(|_, session| session.state() == State::Up);
        if lock(&self.session).state() != State::Up {
            return answered;
        }
        // Let in: a client of the same identity may come back and throw this connection out at once.
        lock(&self.session).disconnect(Drain::Now);
        if self.pump(|wire, session| session.state() == State::Finished && !wire.has_output(session)).is_err()
        {
            return Ok(());
        }
        self.wire.shut();
        // Closing with unread bytes would be a reset, which can overtake the DISCONNECT.
        self.target.timeout = GOODBYE;
        let _ = self.pump(|_, _| false);
        Ok(())
    }

    /// Reads and writes until it is `done`.
    fn pump(&mut self, done: impl Fn(&Wire, &Session<()>) -> bool) -> Result<(), Fault> {
        let until = Instant::now() + self.target.timeout;
        loop {
            let now = Instant::now();
            let unread = self.wire.read(&self.session, now)?;
            self.wire.timer(&self.session, now)?;
            let unwritten = self.wire.write(&self.session, now)?;
            // Messages for a device that is not here; they come again.
            lock(&self.session).take_events();
            if done(&self.wire, &lock(&self.session)) {
                return Ok(());
            }
            let peer = self.target.place();
            if now >= until {
                let text = format!("{peer}: {} within {:?}", self.wire.awaits(), self.target.timeout);
                return Err(Fault::new(Cause::ConnectTimeout, text));
            }
            let want = Interest { read: true, write: self.wire.blocked().write };
            let deadline = self.wire.deadline(&self.session).map_or(until, |deadline| deadline.min(until));
            if let Some(socket) = self.wire.socket().filter(|_| !unread && !unwritten) {
                wait(socket, want, deadline).map_err(|errno| Fault::io(&peer, &errno.into()))?;
            }
        }
    }
}
