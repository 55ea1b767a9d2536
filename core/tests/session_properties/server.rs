//! A server that keeps what MQTT 3.1.1 section 4.1 tells it to keep.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::BytesMut;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{self, Packet};

/// The one filter that is never granted.
pub(crate) const REFUSED: &str = "f3";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Queued,
    Published,
    Released,
}

struct Outgoing {
    number: u32,
    id: u16,
    qos: QoS,
    stage: Stage,
}

#[derive(Default)]
struct Kept {
    clean: bool,
    subscriptions: BTreeMap<String, QoS>,
    /// QoS 1 messages that arrived in this session.
    seen: BTreeSet<u32>,
    outgoing: Vec<Outgoing>,
}

#[derive(Default)]
pub(crate) struct Server {
    kept: Option<Kept>,
    connected: bool,
    /// Refuses everything until the next connection.
    deaf: bool,
    input: BytesMut,
    /// What it will say, when it is told to.
    answers: VecDeque<Packet>,
    /// Ids of the messages that were sent on this connection and have no first answer.
    unanswered: VecDeque<(u16, QoS, u32)>,
    /// Messages for the device that the application has acknowledged.
    pub(crate) acknowledged: BTreeSet<u32>,
    /// QoS 1 messages in the order of their first arrival.
    pub(crate) arrived: Vec<u32>,
    arrived_set: BTreeSet<u32>,
    numbers: u32,
    pub(crate) forgets: bool,
    pub(crate) refuses: bool,
}

impl Server {
    /// A connection has been opened.
    pub(crate) fn accept(&mut self, forgets: bool, refuses: bool) {
        self.hang_up();
        self.forgets = forgets;
        self.refuses = refuses;
    }

    pub(crate) fn hang_up(&mut self) {
        self.connected = false;
        self.deaf = false;
        self.input.clear();
        self.answers.clear();
        self.unanswered.clear();
        if self.kept.as_ref().is_some_and(|kept| kept.clean) {
            self.kept = None;
        }
    }

    pub(crate) fn subscriptions(&self) -> BTreeMap<String, QoS> {
        self.kept.as_ref().map(|kept| kept.subscriptions.clone()).unwrap_or_default()
    }

    /// Messages for the device that are not settled.
    pub(crate) fn unsettled(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.outgoing.len())
    }

    pub(crate) fn has_arrived(&self, number: u32) -> bool {
        self.arrived_set.contains(&number)
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.answers.is_empty()
    }

    /// Gives up to `count` answers; `skip` of the acknowledgements go to the end first.
    pub(crate) fn answer(&mut self, count: usize, skip: usize, to: &mut BytesMut) {
        for _ in 0..skip {
            if self.answers.len() > 1 && matches!(self.answers.front(), Some(Packet::PubAck(_))) {
                self.answers.rotate_left(1);
            }
        }
        for _ in 0..count {
            let Some(packet) = self.answers.pop_front() else { return };
            packet.write(to, 1 << 20).unwrap();
        }
    }

    pub(crate) fn send(&mut self, qos: u8) {
        let Some(kept) = &mut self.kept else { return };
        self.numbers += 1;
        let number = self.numbers;
        if qos == 0 {
            if self.connected {
                self.answers.push_back(message(0, QoS::AtMostOnce, number, false));
            }
            return;
        }
        let qos = if qos == 1 { QoS::AtLeastOnce } else { QoS::ExactlyOnce };
        kept.outgoing.push(Outgoing { number, id: 0, qos, stage: Stage::Queued });
        self.send_queued();
    }

    /// The lowest free id, so that ids are reused as early as can be.
    fn send_queued(&mut self) {
        let Some(kept) = self.kept.as_mut().filter(|_| self.connected) else { return };
        let mut used: BTreeSet<u16> = kept.outgoing.iter().map(|o| o.id).collect();
        for outgoing in kept.outgoing.iter_mut().filter(|o| o.stage == Stage::Queued) {
            outgoing.id = (1..).find(|id| !used.contains(id)).unwrap();
            used.insert(outgoing.id);
            outgoing.stage = Stage::Published;
            self.answers.push_back(message(outgoing.id, outgoing.qos, outgoing.number, false));
            self.unanswered.push_back((outgoing.id, outgoing.qos, outgoing.number));
        }
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        loop {
            let packet = match Packet::read(&mut self.input, 1 << 20) {
                Ok(packet) => packet,
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => return,
                Err(error) => panic!("the client wrote {error}"),
            };
            if !self.deaf {
                self.handle(packet);
            }
        }
    }

    fn handle(&mut self, packet: Packet) {
        if let Packet::Connect(connect) = packet {
            return self.connect(connect.clean_session);
        }
        assert!(self.connected, "the first packet is CONNECT, not {packet:?}");
        let kept = self.kept.as_mut().unwrap();
        match packet {
            Packet::Publish(publish) => {
                let number = u32::from_be_bytes(publish.payload[..4].try_into().unwrap());
                if publish.qos == QoS::AtMostOnce {
                    assert!(!publish.dup);
                    return;
                }
                assert!(kept.seen.insert(number) || publish.dup, "message {number} came again without DUP");
                if self.arrived_set.insert(number) {
                    self.arrived.push(number);
                }
                self.answers.push_back(Packet::PubAck(v4::PubAck { pkid: publish.pkid }));
            }
            Packet::Subscribe(subscribe) => {
                let mut codes = Vec::new();
                for filter in subscribe.filters {
                    if filter.path == REFUSED {
                        codes.push(v4::SubscribeReasonCode::Failure);
                    } else {
                        codes.push(v4::SubscribeReasonCode::Success(filter.qos));
                        kept.subscriptions.insert(filter.path, filter.qos);
                    }
                }
                self.answers.push_back(Packet::SubAck(v4::SubAck::new(subscribe.pkid, codes)));
            }
            Packet::Unsubscribe(unsubscribe) => {
                for filter in &unsubscribe.topics {
                    kept.subscriptions.remove(filter);
                }
                self.answers.push_back(Packet::UnsubAck(v4::UnsubAck { pkid: unsubscribe.pkid }));
            }
            Packet::PubAck(ack) => self.first_answer(ack.pkid, QoS::AtLeastOnce),
            Packet::PubRec(ack) => self.first_answer(ack.pkid, QoS::ExactlyOnce),
            Packet::PubComp(ack) => {
                let before = kept.outgoing.len();
                kept.outgoing.retain(|o| o.id != ack.pkid || o.stage != Stage::Released);
                assert_eq!(kept.outgoing.len(), before - 1, "PUBCOMP {} for nothing", ack.pkid);
                self.send_queued();
            }
            Packet::PingReq => self.answers.push_back(Packet::PingResp),
            Packet::Disconnect => {
                self.hang_up();
                self.deaf = true;
            }
            other => panic!("the client wrote {other:?}"),
        }
    }

    fn connect(&mut self, clean: bool) {
        assert!(!self.connected, "a second CONNECT");
        if self.refuses {
            let code = v4::ConnectReturnCode::ServiceUnavailable;
            self.answers.push_back(Packet::ConnAck(v4::ConnAck { session_present: false, code }));
            self.deaf = true;
            return;
        }
        self.connected = true;
        if clean || self.forgets {
            self.kept = None;
        }
        let session_present = self.kept.is_some();
        let kept = self.kept.get_or_insert_default();
        kept.clean = clean;
        let code = v4::ConnectReturnCode::Success;
        self.answers.push_back(Packet::ConnAck(v4::ConnAck { session_present, code }));
        for outgoing in &kept.outgoing {
            match outgoing.stage {
                Stage::Queued => {}
                Stage::Published => {
                    self.answers.push_back(message(outgoing.id, outgoing.qos, outgoing.number, true));
                    self.unanswered.push_back((outgoing.id, outgoing.qos, outgoing.number));
                }
                Stage::Released => {
                    self.answers.push_back(Packet::PubRel(v4::PubRel { pkid: outgoing.id }));
                }
            }
        }
        self.send_queued();
    }

    /// PUBACK or PUBREC: in the order of the messages, and only after the application's word.
    fn first_answer(&mut self, id: u16, qos: QoS) {
        let expected = self.unanswered.pop_front();
        let Some((_, _, number)) = expected.filter(|e| (e.0, e.1) == (id, qos)) else {
            panic!("{id} {qos:?} was acknowledged instead of {expected:?}");
        };
        assert!(self.acknowledged.contains(&number), "{number} is acknowledged without the application");
        let kept = self.kept.as_mut().unwrap();
        if qos == QoS::AtLeastOnce {
            kept.outgoing.retain(|o| o.number != number);
            self.send_queued();
        } else {
            kept.outgoing.iter_mut().find(|o| o.number == number).unwrap().stage = Stage::Released;
            self.answers.push_back(Packet::PubRel(v4::PubRel { pkid: id }));
        }
    }
}

fn message(id: u16, qos: QoS, number: u32, dup: bool) -> Packet {
    let payload = number.to_be_bytes().to_vec();
    Packet::Publish(v4::Publish { pkid: id, dup, ..v4::Publish::new("c2d", qos, payload) })
}
