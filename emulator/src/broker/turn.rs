//! What a connected client's packets do.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;

use super::Broker;
use super::links::Cause;
use super::packet::{self, Packet, Publish, QoS, Subscribe, Unsubscribe};
use super::rules::{self, Properties, Request, Subject, Unusable};
use crate::events::Event;
use crate::faults::FaultKind;
use crate::identity::Identity;
use crate::registry::Stamp;
use crate::settings::UnknownTopic;

/// The hub's limit: the body, the system properties' values, the others' names and values.
const MAX_MESSAGE: usize = 262_144;

/// How a connection ends by what its client did.
#[derive(Debug)]
pub(super) enum End {
    /// DISCONNECT.
    Client,
    Cause(Cause),
    /// A fault that waited for this message.
    Fault(FaultKind),
}

fn misuse(reason: impl Into<String>) -> End {
    End::Cause(Cause::new("protocol", reason))
}

/// One connected client, without its socket.
pub(super) struct Client {
    pub(super) broker: Arc<Broker>,
    pub(super) identity: Identity,
    pub(super) number: u64,
    pub(super) stamp: Stamp,
    /// When an unacknowledged message goes back to its queue.
    pub(super) next_unlock: Option<Instant>,
    /// How many more messages are taken before this fault.
    pub(super) countdown: Option<(FaultKind, u32)>,
}

impl Client {
    pub(super) fn handle(&mut self, packet: Packet, out: &mut BytesMut) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.publish(publish, out),
            Packet::PubAck(ack) => {
                if self.broker.complete_queued(&self.identity, ack.pkid) {
                    // There is room for another one on its way.
                    self.deliver(out);
                }
                Ok(())
            }
            Packet::Subscribe(subscribe) => self.subscribe(subscribe, out),
            Packet::Unsubscribe(Unsubscribe { pkid, topics }) => {
                self.broker.unsubscribe(&self.identity, topics);
                packet::write_unsuback(out, pkid);
                Ok(())
            }
            Packet::PingReq => {
                packet::write_pingresp(out);
                Ok(())
            }
            Packet::Disconnect => Err(End::Client),
            Packet::Connect(_) => Err(misuse("a second CONNECT on one connection")),
            Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {
                Err(misuse("a packet of QoS 2, which the hub does not have"))
            }
            _ => Err(misuse("a packet that only a server sends")),
        }
    }

    fn publish(&mut self, publish: Publish, out: &mut BytesMut) -> Result<(), End> {
        if publish.qos == QoS::ExactlyOnce {
            return Err(misuse("PUBLISH at QoS 2"));
        }
        let acknowledge = publish.qos == QoS::AtLeastOnce;
        let settings = &self.broker.settings;
        match rules::classify_topic(&self.identity, &publish.topic) {
            Err(Unusable::Malformed(reason)) => return Err(misuse(reason)),
            Err(Unusable::Unknown(reason)) => match settings.unknown_topic {
                UnknownTopic::Close => return Err(misuse(reason)),
                UnknownTopic::Drop => self.broker.events.emit(Some(&self.identity), || Event::Ignored {
                    what: "publish",
                    topic: publish.topic.clone(),
                    rule: "unknown-topic=drop",
                }),
                UnknownTopic::Accept => {
                    let application = [("Unmatched", "True"), ("Subject", publish.topic.as_str())]
                        .map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
                    let mut properties =
                        Properties { application: application.into(), ..Properties::default() };
                    properties.flag(publish.retain, publish.dup, publish.qos as u8, settings);
                    let twin = || self.broker.twin(&self.identity).ok();
                    self.broker.record(&self.identity, &self.stamp, publish.payload, properties, &twin);
                }
            },
            Ok(Request::Telemetry { bag }) => {
                let mut properties = rules::parse_events_bag(bag, settings).map_err(misuse)?;
                let size = publish.payload.len() + properties.size;
                if size > MAX_MESSAGE {
                    return Err(End::Cause(Cause::new(
                        "too_large",
                        format!("413001 MessageTooLarge: {size} bytes, at most {MAX_MESSAGE} are allowed"),
                    )));
                }
                properties.flag(publish.retain, publish.dup, publish.qos as u8, settings);
                let twin = || self.broker.twin(&self.identity).ok();
                self.broker.record(&self.identity, &self.stamp, publish.payload.clone(), properties, &twin);
                self.broker.route(&self.identity, bag, publish.payload);
            }
            Ok(Request::TwinGet { rid }) => {
                if let Some(answer) = self.broker.read_twin(&self.identity) {
                    self.answer_twin(rid, answer, out);
                }
            }
            Ok(Request::TwinReport { rid, version }) => {
                let answer = self.broker.report(&self.identity, &publish.payload, version);
                if let Some((rid, answer)) = rid.zip(answer) {
                    self.answer_twin(rid, answer, out);
                }
            }
            Ok(Request::MethodAnswer { status, rid }) => {
                self.broker.answer_method(&self.identity, rid, status, publish.payload);
            }
        }
        if let Some((kind, left)) = &mut self.countdown {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Err(End::Fault(*kind));
            }
        }
        if acknowledge {
            packet::write_puback(out, publish.pkid);
        }
        Ok(())
    }

    fn subscribe(&mut self, subscribe: Subscribe, out: &mut BytesMut) -> Result<(), End> {
        let filters = subscribe.filters.into_iter().map(|filter| (filter.path, filter.qos as u8));
        let granted = self.broker.subscribe(&self.identity, filters).map_err(misuse)?;
        packet::write_suback(out, subscribe.pkid, &granted);
        self.deliver(out);
        Ok(())
    }

    fn answer_twin(&self, rid: &str, answer: super::properties::TwinAnswer, out: &mut BytesMut) {
        let version = answer.version.map_or_else(String::new, |version| format!("&$version={version}"));
        let topic = format!("$iothub/twin/res/{}/?$rid={rid}{version}", answer.status);
        self.send(Subject::TwinResponses, &topic, &answer.body, out);
    }
}
