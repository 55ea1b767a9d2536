//! One connection of a client that registers: packets in, answers out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout_at;

use super::names::{self, FILTER, Request};
pub(crate) use super::service::Registrant;
use crate::broker::Broker;
use crate::broker::connection::{LINGER, end_of};
use crate::broker::packet::{self, Packet, Publish, QoS, Subscribe};
use crate::broker::traffic::{READ_AHEAD, Stream};
use crate::events::Event;
use crate::time::unix_now;

/// How a connection ends by what its client did.
#[derive(Debug)]
enum End {
    /// It said good-bye, or went away.
    Client,
    Misuse(String),
}

struct Session {
    broker: Arc<Broker>,
    client: Registrant,
    /// The QoS of the answers, once they are subscribed to.
    granted: Option<u8>,
    last_packet_id: u16,
}

/// Serves a client that was let in until it goes; its CONNACK is in the stream's output.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: Box<Stream<S>>,
    client: Registrant,
    silence: Duration,
    broker: Arc<Broker>,
) {
    let expires = end_of(client.until());
    let mut session = Session { broker, client, granted: None, last_packet_id: 0 };
    let end = session.run(&mut stream, silence, expires).await;
    if let End::Misuse(reason) = end {
        session.broker.events.emit(None, || Event::NotProvisioned {
            registration: session.client.registration.to_string(),
            code: "protocol",
            reason,
            return_code: None,
        });
    }
    let finish = async {
        stream.flush().await?;
        stream.io.shutdown().await
    };
    // The peer may be gone already.
    let _ = tokio::time::timeout(LINGER, finish).await;
}

impl Session {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut Stream<S>,
        silence: Duration,
        expires: Option<Instant>,
    ) -> End {
        loop {
            let parsed = self.parse(&mut stream.input, &mut stream.output);
            if let Err(end) = parsed {
                return end;
            }
            let deadline = expires.into_iter().chain([Instant::now() + silence]).min();
            let turn = async {
                stream.flush().await?;
                stream.read(READ_AHEAD).await
            };
            let Some(deadline) = deadline else { return End::Client };
            match timeout_at(deadline.into(), turn).await {
                Ok(Ok(0) | Err(_)) | Err(_) => return End::Client,
                Ok(Ok(_)) => {}
            }
        }
    }

    fn parse(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<(), End> {
        loop {
            match packet::read(input) {
                Ok(Some(packet)) => self.handle(packet, out)?,
                Ok(None) => return Ok(()),
                Err(unreadable) => return Err(End::Misuse(format!("an unreadable packet: {unreadable:?}"))),
            }
        }
    }

    fn handle(&mut self, packet: Packet, out: &mut BytesMut) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(&publish, out),
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe, out),
            Packet::Unsubscribe(unsubscribe) => {
                if unsubscribe.topics.iter().any(|filter| filter == FILTER) {
                    self.granted = None;
                }
                packet::write_unsuback(out, unsubscribe.pkid);
                Ok(())
            }
            Packet::PubAck(_) => Ok(()),
            Packet::PingReq => {
                packet::write_pingresp(out);
                Ok(())
            }
            Packet::Disconnect => Err(End::Client),
            Packet::Connect(_) => Err(End::Misuse("a second CONNECT on one connection".into())),
            Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {
                Err(End::Misuse("a packet of QoS 2, which the service does not have".into()))
            }
            _ => Err(End::Misuse("a packet that only a server sends".into())),
        }
    }

    fn subscribe(&mut self, subscribe: &Subscribe, out: &mut BytesMut) -> Result<(), End> {
        let mut granted = Vec::new();
        for filter in &subscribe.filters {
            if filter.path != FILTER {
                return Err(End::Misuse(format!("'{}' is not {FILTER}, the only filter", filter.path)));
            }
            granted.push(Some((filter.qos as u8).min(1)));
        }
        self.granted = granted.last().copied().flatten();
        packet::write_suback(out, subscribe.pkid, &granted);
        Ok(())
    }

    fn publish(&mut self, publish: &Publish, out: &mut BytesMut) -> Result<(), End> {
        if publish.qos == QoS::ExactlyOnce {
            return Err(End::Misuse("PUBLISH at QoS 2".into()));
        }
        let request = names::parse_topic(&publish.topic).map_err(End::Misuse)?;
        if publish.qos == QoS::AtLeastOnce {
            packet::write_puback(out, publish.pkid);
        }
        let dps = &self.broker.dps;
        let (rid, answer) = match request {
            Request::Register { rid } => {
                (rid, dps.register(&self.broker, &self.client, &publish.payload, unix_now()))
            }
            Request::Status { rid, operation } => {
                (rid, dps.status(&self.broker, &self.client, operation, Instant::now()))
            }
        };
        if let Some((answer, qos)) = answer.zip(self.granted) {
            let topic = names::answer_topic(answer.status, rid, answer.retry_after);
            let id = if qos == 0 { 0 } else { self.next_packet_id() };
            packet::write_publish(out, &topic, id, false, &Bytes::from(answer.body.to_string()));
        }
        Ok(())
    }

    /// Answers are sent once, so that an id may come again while its PUBACK is missing.
    fn next_packet_id(&mut self) -> u16 {
        self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
        self.last_packet_id
    }
}
