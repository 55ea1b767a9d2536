//! One connection: its socket, its timers, its faults.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{sleep_until, timeout};

use super::Broker;
use super::disruption::Disruption;
use super::disturb::ends_at_once;
use super::handshake::{self, Admitted, Welcome};
use super::links::{Attached, Cause};
use super::mailbox::Inbox;
use super::packet::{self, Unreadable};
use super::traffic::{Moved, READ_AHEAD, Stream};
use super::turn::{Client, End};
use crate::chain::Shown;
use crate::dps::registrant;
use crate::faults::{Armed, FaultKind};
use crate::registry::Command;
use crate::time::unix_now;

/// A client that does not read its answers is not read from beyond this.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;
/// How often a connection without a deadline looks around.
const IDLE: Duration = Duration::from_secs(3600);
/// Beyond this it is closed: back-ends go on sending, whether it reads or not.
const MAX_UNREAD: usize = 16 * 1024 * 1024;
/// How long the last bytes may take, and how long the peer has to read a refusal.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// What is known about the peer before CONNECT.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) certificate: Option<Shown>,
    /// `mqtt` or `websocket`.
    pub(crate) protocol: &'static str,
    /// It came by a way that leads to the provisioning service alone.
    pub(crate) registrant: bool,
}

/// Serves one client from CONNECT to the end of the stream.
///
/// What is large lives on the heap from here on, and what only the handshake needs ends with it: a
/// task is as large as its largest moment, and most of them only wait.
pub(crate) fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    peer: Peer,
    broker: Arc<Broker>,
) -> impl Future<Output = ()> {
    let mut stream = Box::new(Stream::new(io));
    async move {
        let welcome = Box::pin(handshake::welcome(&mut stream, &peer, &broker)).await;
        match welcome {
            None => {
                let _ = timeout(LINGER, Box::pin(part(&mut stream))).await;
            }
            Some(Welcome::Device(device)) => Connection::start(stream, device, broker).await,
            Some(Welcome::Registrant { client, keep_alive }) => {
                let silence = silence(keep_alive, broker.settings.keep_alive_ceiling);
                Box::pin(registrant::serve(stream, client, silence, broker)).await;
            }
        }
    }
}

/// When a token that holds until then (seconds since 1970) is over; never where that is too far away.
pub(crate) fn end_of(until: Option<u64>) -> Option<Instant> {
    let left = until?.saturating_sub(unix_now()).saturating_add(1);
    Instant::now().checked_add(Duration::from_secs(left))
}

/// How long a client may be silent: one and a half of its keep-alives, and not beyond the ceiling.
fn silence(keep_alive: u16, ceiling: Duration) -> Duration {
    match keep_alive {
        0 => ceiling,
        seconds => (Duration::from_secs(seconds.into()) * 3 / 2).min(ceiling),
    }
}

/// Writes what is left and closes; waits for the peer's end, because closing a socket with unread
/// input resets it, and the reset may overtake the CONNACK.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut Stream<S>) {
    if stream.flush().await.is_err() || stream.io.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; 1024];
    while stream.io.read(&mut rest).await.is_ok_and(|n| n > 0) {}
}

struct Connection<S> {
    client: Client,
    stream: Box<Stream<S>>,
    silence: Duration,
    last_heard: Instant,
    expires: Option<Instant>,
    disruption: Disruption,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn start(stream: Box<Stream<S>>, device: Admitted, broker: Arc<Broker>) -> impl Future<Output = ()> {
        let Admitted { identity, attached, keep_alive, until } = device;
        let Attached { number, session_present, stamp, commands } = attached;
        let silence = silence(keep_alive, broker.settings.keep_alive_ceiling);
        let mut connection = Box::new(Self {
            client: Client { broker, identity, number, stamp, next_unlock: None, countdown: None },
            stream,
            silence,
            last_heard: Instant::now(),
            expires: end_of(until),
            disruption: Disruption::default(),
        });
        async move {
            let begun = Box::pin(connection.begin(session_present)).await;
            let end = match begun {
                Ok(()) => connection.run(commands).await,
                Err(end) => Some(end),
            };
            if let Some(end) = end {
                Box::pin(connection.end(end)).await;
            }
        }
    }

    async fn begin(&mut self, session_present: bool) -> Result<(), End> {
        let faults = self.client.broker.connection_faults(&self.client.identity);
        if faults.iter().any(|armed| armed.kind == FaultKind::HalfOpen) {
            // The client is let in and then hears nothing.
            let _ = timeout(LINGER, self.stream.flush()).await;
        }
        if session_present {
            self.client.resume(&mut self.stream.output);
        }
        faults.iter().try_for_each(|armed| self.disturb(armed))
    }

    /// Until the connection ends; `None` where somebody else took the link out and recorded why: it
    /// is closed without another packet.
    async fn run(&mut self, mut commands: Inbox) -> Option<End> {
        let mut armed = self.deadline(Instant::now());
        let mut timer = pin!(sleep_until(armed.into()));
        loop {
            // What was asked for before a packet came takes effect before it.
            while let Some(command) = commands.try_next().ok()? {
                if let Err(end) = self.obey(command) {
                    return Some(end);
                }
            }
            let now = Instant::now();
            if !self.disruption.is_half_open(now)
                && let Err(end) = self.parse()
            {
                return Some(end);
            }
            let reading = self.disruption.may_read(now) && self.stream.output.len() < MAX_OUTPUT;
            let limit = reading.then(|| self.disruption.read_limit(now).unwrap_or(READ_AHEAD));
            let writing = self.disruption.may_write(now);
            let deadline = self.deadline(now);
            // A timer that is too early costs less than one that is set anew for each packet.
            if deadline < armed || armed <= now {
                armed = deadline;
                timer.as_mut().reset(armed.into());
            }
            let step = tokio::select! {
                biased;
                command = commands.next() => self.obey(command?),
                () = &mut timer => self.tick(),
                moved = self.stream.traffic(writing, limit) => match moved {
                    Moved::Out(written) => written.map_err(lost),
                    Moved::In(Ok(0)) => Err(lost("it closed the socket without DISCONNECT")),
                    Moved::In(Ok(_)) => {
                        self.last_heard = Instant::now();
                        self.disruption.has_read(self.last_heard);
                        Ok(())
                    }
                    Moved::In(Err(error)) => Err(lost(error)),
                },
            };
            if let Err(end) = step {
                return Some(end);
            }
        }
    }

    fn parse(&mut self) -> Result<(), End> {
        loop {
            match packet::read(&mut self.stream.input) {
                Ok(Some(packet)) => self.client.handle(packet, &mut self.stream.output)?,
                Ok(None) => {
                    self.stream.tidy();
                    return Ok(());
                }
                Err(Unreadable::TooLarge(size)) => {
                    let reason = format!("413001 MessageTooLarge: a packet of {size} bytes");
                    return Err(End::Cause(Cause::new("too_large", reason)));
                }
                Err(Unreadable::ProtocolLevel) => {
                    return Err(End::Cause(Cause::new("protocol", "a second CONNECT on one connection")));
                }
                Err(Unreadable::Malformed(reason)) => {
                    return Err(End::Cause(Cause::new(
                        "protocol",
                        format!("an unreadable packet: {reason}"),
                    )));
                }
            }
        }
    }

    fn obey(&mut self, command: Command) -> Result<(), End> {
        let output = &mut self.stream.output;
        if output.len() > MAX_UNREAD {
            let reason = format!("{} bytes wait for a client that does not read them", output.len());
            return Err(End::Cause(Cause::new("unread", reason)));
        }
        match command {
            Command::Queue => self.client.deliver(output),
            Command::Publish { subject, topic, body } => self.client.send(subject, &topic, &body, output),
            Command::Method { name, rid, body } => self.client.call(&name, &rid, &body, output),
            Command::Fault(armed) => return self.disturb(&armed),
        }
        Ok(())
    }

    fn disturb(&mut self, armed: &Armed) -> Result<(), End> {
        match (armed.kind, armed.after_messages) {
            (kind, Some(messages)) => self.client.countdown = Some((kind, messages)),
            (FaultKind::Truncate, None) => {
                // A PUBLISH that announces more than will come.
                self.stream.output.extend_from_slice(&[0x30, 0x20, 0x00, 0x10, b'd']);
                return Err(End::Fault(FaultKind::Truncate));
            }
            // The packet type 15 is reserved.
            (FaultKind::Corrupt, None) => self.stream.output.extend_from_slice(&[0xf0, 0x01, 0xff]),
            (kind, None) if ends_at_once(kind) => return Err(End::Fault(kind)),
            (_, None) => self.disruption.start(armed),
        }
        Ok(())
    }

    fn deadline(&self, now: Instant) -> Instant {
        let silence = (!self.disruption.is_half_open(now)).then(|| self.last_heard + self.silence);
        [silence, self.expires, self.client.next_unlock, self.disruption.next_change(now)]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(now + IDLE)
    }

    fn tick(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.disruption.has_reopened(now) {
            self.last_heard = now;
        }
        if self.expires.is_some_and(|at| at <= now) {
            let cause = Cause::new("expired", "401003 IoTHubUnauthorized: the token's time is over");
            return Err(End::Cause(cause));
        }
        if self.last_heard + self.silence <= now && !self.disruption.is_half_open(now) {
            let seconds = self.silence.as_secs_f32();
            let reason = format!("404104 DeviceConnectionClosedRemotely: nothing was heard for {seconds} s");
            return Err(End::Cause(Cause::new("keep_alive", reason)));
        }
        if self.client.next_unlock.is_some_and(|at| at <= now) {
            self.client.next_unlock = self.client.broker.unlock_queued(&self.client.identity);
            self.client.deliver(&mut self.stream.output);
        }
        Ok(())
    }

    /// Records the end, writes the answers to what came before it, and closes.
    async fn end(&mut self, end: End) {
        let Client { broker, identity, number, .. } = &self.client;
        let graceful = match end {
            End::Client => {
                broker.discard_will(identity, *number);
                broker.detach(identity, *number, Cause::new("client", "the client sent DISCONNECT"));
                true
            }
            End::Cause(cause) => {
                let graceful = cause.code != "lost";
                broker.detach(identity, *number, cause);
                graceful
            }
            End::Fault(kind) => {
                broker.drop_by_fault(identity, *number, kind);
                false
            }
        };
        let finish = async {
            self.stream.flush().await?;
            if graceful { self.stream.io.shutdown().await } else { Ok(()) }
        };
        let _ = timeout(LINGER, finish).await;
    }
}

fn lost(error: impl std::fmt::Display) -> End {
    let reason = format!("404104 DeviceConnectionClosedRemotely: {error}");
    End::Cause(Cause::new("lost", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_one_and_a_half_keep_alives_up_to_the_ceiling() {
        let ceiling = Duration::from_secs(1767);
        for (keep_alive, expected) in
            [(0, 1767.0), (1, 1.5), (60, 90.0), (1177, 1765.5), (1178, 1767.0), (65535, 1767.0)]
        {
            assert_eq!(silence(keep_alive, ceiling).as_secs_f64(), expected, "{keep_alive}");
        }
    }

    #[test]
    fn a_token_may_last_for_ever() {
        assert_eq!(end_of(Some(u64::MAX)), None);
        let soon = end_of(Some(unix_now() + 9)).unwrap_or_else(Instant::now);
        assert!(soon > Instant::now() + Duration::from_secs(8));
        assert!(soon < Instant::now() + Duration::from_secs(11));
        assert_eq!(end_of(None), None);
    }
}
