//! One connection: its socket, its timers, its faults.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};

use super::Broker;
use super::disruption::Disruption;
use super::disturb::ends_at_once;
use super::handshake::{self, Welcome};
use super::links::{Attached, Cause};
use super::packet::{self, Unreadable};
use super::turn::{Client, End};
use crate::chain::Shown;
use crate::dps::registrant;
use crate::faults::{Armed, FaultKind};
use crate::registry::Command;
use crate::time::unix_now;

/// What a TLS record holds at most.
const READ_AHEAD: usize = 16 * 1024;
/// What is reserved at a time; the payloads that were cut out of it keep it alive.
pub(crate) const READ_BUFFER: usize = 64 * 1024;
/// A client that does not read its answers is not read from beyond this.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;
/// How often a connection without a deadline looks around.
const IDLE: Duration = Duration::from_secs(3600);
/// How long the last bytes may take, and how long the peer has to read a refusal.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// What is known about the peer before CONNECT.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) certificate: Option<Shown>,
    /// `mqtt` or `websocket`.
    pub(crate) protocol: &'static str,
}

/// A byte stream with what was read and not parsed, and what was not written yet.
pub(crate) struct Stream<S> {
    pub(crate) io: S,
    pub(crate) input: BytesMut,
    pub(crate) output: BytesMut,
}

/// Serves one client from CONNECT to the end of the stream.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(io: S, peer: Peer, broker: Arc<Broker>) {
    let mut stream = Stream { io, input: BytesMut::with_capacity(READ_AHEAD), output: BytesMut::new() };
    let Some(welcome) = handshake::welcome(&mut stream, &peer, &broker).await else {
        let _ = timeout(LINGER, part(&mut stream)).await;
        return;
    };
    let (identity, attached, keep_alive, until) = match welcome {
        Welcome::Device { identity, attached, keep_alive, until } => (identity, attached, keep_alive, until),
        Welcome::Registrant { client, keep_alive } => {
            let silence = silence(keep_alive, broker.settings.keep_alive_ceiling);
            return registrant::serve(stream, client, silence, broker).await;
        }
    };
    let Attached { number, session_present, stamp, commands, ended } = attached;
    let client = Client { broker, identity, number, stamp, next_unlock: None, countdown: None };
    let silence = silence(keep_alive, client.broker.settings.keep_alive_ceiling);
    let (read, write) = tokio::io::split(stream.io);
    let connection = Connection {
        client,
        read,
        write,
        input: stream.input,
        output: stream.output,
        unflushed: false,
        silence,
        last_heard: Instant::now(),
        expires: end_of(until),
        disruption: Disruption::default(),
    };
    connection.run(session_present, commands, ended).await;
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
    if stream.io.write_all_buf(&mut stream.output).await.is_err() || stream.io.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; 1024];
    while stream.io.read(&mut rest).await.is_ok_and(|n| n > 0) {}
}

struct Connection<S> {
    client: Client,
    read: ReadHalf<S>,
    write: WriteHalf<S>,
    input: BytesMut,
    output: BytesMut,
    /// Written bytes may still be in the TLS layer.
    unflushed: bool,
    silence: Duration,
    last_heard: Instant,
    expires: Option<Instant>,
    disruption: Disruption,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(
        mut self,
        session_present: bool,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut ended: oneshot::Receiver<()>,
    ) {
        let faults = self.client.broker.connection_faults(&self.client.identity);
        if faults.iter().any(|armed| armed.kind == FaultKind::HalfOpen) {
            // The client is let in and then hears nothing.
            let connack = async {
                self.write.write_all_buf(&mut self.output).await?;
                self.write.flush().await
            };
            let _ = timeout(LINGER, connack).await;
        }
        if session_present {
            self.client.resume(&mut self.output);
        }
        for armed in faults {
            if let Err(end) = self.disturb(&armed) {
                return self.end(end).await;
            }
        }
        loop {
            // What was asked for before a packet came takes effect before it.
            if !matches!(ended.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                return;
            }
            while let Ok(command) = commands.try_recv() {
                if let Err(end) = self.obey(command) {
                    return self.end(end).await;
                }
            }
            let now = Instant::now();
            if !self.disruption.is_half_open(now)
                && let Err(end) = self.parse()
            {
                return self.end(end).await;
            }
            let reading = self.disruption.may_read(now) && self.output.len() < MAX_OUTPUT;
            let writing = self.disruption.may_write(now) && (self.unflushed || !self.output.is_empty());
            let deadline = self.deadline(now);
            let limit = self.disruption.read_limit(now).unwrap_or(usize::MAX);
            if self.input.capacity() - self.input.len() < READ_AHEAD {
                self.input.reserve(READ_BUFFER);
            }
            let mut input = (&mut self.input).limit(limit);
            let step = tokio::select! {
                biased;
                // Somebody else took the link out and recorded why: closed without another packet.
                _ = &mut ended => return,
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                () = sleep_until(deadline.into()) => self.tick(),
                written = write_some(&mut self.write, &mut self.output, &mut self.unflushed), if writing => {
                    written.map_err(lost)
                }
                read = self.read.read_buf(&mut input), if reading => match read {
                    Ok(0) => Err(lost("it closed the socket without DISCONNECT")),
                    Ok(_) => {
                        self.last_heard = Instant::now();
                        self.disruption.has_read(self.last_heard);
                        Ok(())
                    }
                    Err(error) => Err(lost(error)),
                },
            };
            if let Err(end) = step {
                return self.end(end).await;
            }
        }
    }

    fn parse(&mut self) -> Result<(), End> {
        loop {
            match packet::read(&mut self.input) {
                Ok(Some(packet)) => self.client.handle(packet, &mut self.output)?,
                Ok(None) => return Ok(()),
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
        match command {
            Command::Queue => self.client.deliver(&mut self.output),
            Command::Publish { subject, topic, body } => {
                self.client.send(subject, &topic, &body, &mut self.output);
            }
            Command::Method { name, rid, body } => self.client.call(&name, &rid, &body, &mut self.output),
            Command::Fault(armed) => return self.disturb(&armed),
        }
        Ok(())
    }

    fn disturb(&mut self, armed: &Armed) -> Result<(), End> {
        match (armed.kind, armed.after_messages) {
            (kind, Some(messages)) => self.client.countdown = Some((kind, messages)),
            (FaultKind::Truncate, None) => {
                // A PUBLISH that announces more than will come.
                self.output.extend_from_slice(&[0x30, 0x20, 0x00, 0x10, b'd']);
                return Err(End::Fault(FaultKind::Truncate));
            }
            // The packet type 15 is reserved.
            (FaultKind::Corrupt, None) => self.output.extend_from_slice(&[0xf0, 0x01, 0xff]),
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
            self.client.deliver(&mut self.output);
        }
        Ok(())
    }

    /// Records the end, writes the answers to what came before it, and closes.
    async fn end(mut self, end: End) {
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
            self.write.write_all_buf(&mut self.output).await?;
            self.write.flush().await?;
            if graceful { self.write.shutdown().await } else { Ok(()) }
        };
        let _ = timeout(LINGER, finish).await;
    }
}

/// Writes a part of `output`, or flushes once all of it is written. Nothing is lost when it is dropped.
async fn write_some<W: AsyncWrite + Unpin>(
    write: &mut W,
    output: &mut BytesMut,
    unflushed: &mut bool,
) -> std::io::Result<()> {
    if output.is_empty() {
        write.flush().await?;
        *unflushed = false;
    } else {
        write.write_buf(output).await?;
        *unflushed = true;
    }
    Ok(())
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
