//! A byte stream to a host name, as a state machine that any host can drive: the name, its addresses
//! in turn, and the tunnel of a proxy if there is one.
//!
//! The host calls [`Dial::step`] once after the start, then whenever the descriptor of
//! [`Dial::want`] is ready, `wake` was called or [`Dial::deadline`] has passed. A step more than
//! needed does no harm. Nothing here blocks.

mod attempt;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attempt::{Attempt, connect, is_connected, no_answer, refusal};

use super::bind::Bind;
use super::cause::{Cause, Fault};
use super::interest::Interest;
pub(super) use super::resolve::Wake;
use super::resolve::{self, Lookup};
use super::tunnel::Tunnel;
use super::via::Via;

/// What a step came to.
#[derive(Debug)]
pub(super) enum Step {
    Wait,
    /// Leads to the host; non-blocking, close-on-exec, without Nagle's delay. It is the descriptor that
    /// [`Dial::want`] named last. The dial is over.
    Connected(Arc<OwnedFd>),
    /// The dial is over.
    Failed(Fault),
}

/// One attempt to reach a host: every address of its name in turn, within one time limit.
///
/// Dropping it closes the socket and leaves a lookup that hangs to itself.
#[derive(Debug)]
pub(super) struct Dial {
    /// `host:port` of what is connected to, for texts: the proxy's, said to be one, if there is one.
    peer: String,
    port: u16,
    bind: Bind,
    /// What is left to do once the proxy is connected.
    tunnel: Option<Box<Tunnel>>,
    timeout: Duration,
    deadline: Instant,
    state: State,
    attempt: u32,
    tried: Vec<Fault>,
}

#[derive(Debug)]
enum State {
    Resolving(Lookup),
    Connecting {
        rest: VecDeque<SocketAddr>,
        pending: Option<Attempt>,
    },
    /// Connected to the proxy.
    Tunnelling(Arc<OwnedFd>, Box<Tunnel>),
    /// Failed before the first step.
    Doomed(Fault),
    Over,
}

/// Longer than any sensible limit; keeps the arithmetic on instants in range.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl Dial {
    /// Starts to reach `host`, a name or an IP address (in brackets or not), by way of `via`.
    ///
    /// A name is looked up on a thread that calls `wake` when it is done; an address needs neither.
    /// With a proxy its name is looked up here, and `host`'s by it. `connect_timeout` is for all of
    /// it together, at most a day.
    pub(super) fn start(
        host: &str,
        port: u16,
        via: &Via,
        connect_timeout: Duration,
        now: Instant,
        wake: Wake,
    ) -> Self {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let (next, next_port) = match &via.proxy {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (bare, port),
        };
        let state = match next.parse::<IpAddr>() {
            Ok(address) => State::to(vec![address], next_port),
            Err(_) => State::lookup(next, wake, resolve::system),
        };
        let mut dial = Self::new(next, next_port, connect_timeout, now, state);
        dial.bind = via.bind.clone();
        if let Some(proxy) = &via.proxy {
            dial.peer = format!("proxy {}", dial.peer);
            dial.tunnel = Some(Box::new(Tunnel::new(proxy, &dial.peer, &place(bare, port))));
        }
        dial
    }

    fn new(host: &str, port: u16, timeout: Duration, now: Instant, state: State) -> Self {
        let timeout = timeout.min(LONGEST);
        Self {
            peer: place(host, port),
            port,
            bind: Bind::default(),
            tunnel: None,
            timeout,
            deadline: now + timeout,
            state,
            attempt: 0,
            tried: Vec::new(),
        }
    }

    /// Goes as far as possible without waiting.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        match self.advance(now) {
            Ok(None) => Step::Wait,
            Ok(Some(socket)) => {
                self.state = State::Over;
                Step::Connected(socket)
            }
            Err(fault) => {
                self.state = State::Over;
                Step::Failed(fault)
            }
        }
    }

    /// The descriptor to wait for, shared so that a host can keep it registered: another one has
    /// another `Arc`; `None` while the name is looked up, before the first step, and
    /// when the dial is over.
    pub(super) fn want(&self) -> Option<(&Arc<OwnedFd>, Interest)> {
        match &self.state {
            State::Connecting { pending: Some(pending), .. } => Some((&pending.socket, Interest::WRITE)),
            State::Tunnelling(socket, tunnel) => Some((socket, tunnel.want())),
            _ => None,
        }
    }

    /// When to step at the latest; `None` when the dial is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Connecting { pending: Some(pending), .. } => Some(pending.until),
            State::Over => None,
            _ => Some(self.deadline),
        }
    }
}

impl Dial {
    /// `None`: nothing to do before something happens.
    fn advance(&mut self, now: Instant) -> Result<Option<Arc<OwnedFd>>, Fault> {
        if let State::Resolving(lookup) = &self.state {
            let addresses = match lookup.outcome() {
                None if now < self.deadline => return Ok(None),
                None => return Err(self.dns(&format!("no answer in {}", seconds(self.timeout)))),
                Some(Err(text)) => return Err(self.dns(&text)),
                Some(Ok(addresses)) if addresses.is_empty() => return Err(self.dns("it has no address")),
                Some(Ok(addresses)) => addresses,
            };
            self.state = State::to(addresses, self.port);
        }
        loop {
            let (rest, pending) = match &mut self.state {
                State::Connecting { rest, pending } => (rest, pending),
                State::Tunnelling(socket, tunnel) => {
                    return match tunnel.advance(socket)? {
                        true => Ok(Some(Arc::clone(socket))),
                        false if now < self.deadline => Ok(None),
                        false => Err(tunnel.late(self.timeout)),
                    };
                }
                State::Doomed(fault) => return Err(fault.clone()),
                State::Resolving(_) | State::Over => {
                    return Err(Fault::new(
                        Cause::ClosedByUs,
                        format!("{}: this attempt is over", self.peer),
                    ));
                }
            };
            if let Some(current) = pending.take() {
                match is_connected(&current.socket) {
                    Ok(true) => match self.tunnel.take() {
                        Some(tunnel) => {
                            self.state = State::Tunnelling(current.socket, tunnel);
                            continue;
                        }
                        None => return Ok(Some(current.socket)),
                    },
                    Ok(false) if now < current.until => {
                        *pending = Some(current);
                        return Ok(None);
                    }
                    Ok(false) => self.tried.push(no_answer(current.address, now - current.since)),
                    Err(errno) => self.tried.push(refusal(current.address, errno)),
                }
            }
            let Some(address) = rest.pop_front().filter(|_| now < self.deadline) else {
                return Err(self.summary());
            };
            self.attempt += 1;
            match connect(address, &self.bind) {
                Ok(socket) => {
                    // An address that swallows everything may not use up the time of the others.
                    let addresses = u32::try_from(rest.len() + 1).unwrap_or(u32::MAX);
                    let until = now + (self.deadline - now) / addresses;
                    *pending = Some(Attempt { socket: Arc::new(socket), address, since: now, until });
                    return Ok(None);
                }
                Err(fault) => self.tried.push(fault),
            }
        }
    }

    fn dns(&self, text: &str) -> Fault {
        Fault::new(Cause::Dns, format!("{}: the name lookup failed: {text}", self.peer))
    }

    /// The last fault decides, but "no route" only when there was nothing else: a machine without
    /// IPv6 says it of every IPv6 address, and it explains nothing.
    fn summary(&self) -> Fault {
        let deciding =
            self.tried.iter().rfind(|fault| fault.cause != Cause::Unreachable).or(self.tried.last());
        let Some(deciding) = deciding else {
            let detail = format!(
                "{}: no time was left to connect after the name lookup, of {}",
                self.peer,
                seconds(self.timeout)
            );
            return Fault::new(Cause::ConnectTimeout, detail);
        };
        let each: Vec<&str> = self.tried.iter().map(|fault| fault.detail.as_str()).collect();
        Fault::new(deciding.cause, format!("{}: cannot connect: {}", self.peer, each.join("; ")))
    }
}

impl State {
    fn to(addresses: Vec<IpAddr>, port: u16) -> Self {
        Self::Connecting { rest: resolve::interleaved(addresses, port), pending: None }
    }

    fn lookup(
        host: &str,
        wake: Wake,
        resolve: impl FnOnce(&str) -> std::io::Result<Vec<IpAddr>> + Send + 'static,
    ) -> Self {
        match Lookup::start(host, wake, resolve) {
            Ok(lookup) => Self::Resolving(lookup),
            Err(error) => Self::Doomed(Fault::new(
                Cause::Network,
                format!("{host}: the thread for the name lookup did not start: {error}"),
            )),
        }
    }
}

/// `host:port`, where `host` has no brackets.
pub(super) fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests;
