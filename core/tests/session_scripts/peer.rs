//! The scripted server: it sees what the session writes as short texts, and says what the script says.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use iothub_mqtt::mqtt::{Connect, Event, Fault, Outcome, Publish, QoS, Session, Settings};
use iothub_mqtt::{ErrorKind, Result};
use rumqttc::mqttbytes::v4::{self, Packet};

pub(crate) struct Peer {
    pub(crate) session: Session<String>,
    pub(crate) now: Instant,
    to_session: BytesMut,
}

impl Peer {
    pub(crate) fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Self { session: Session::new(settings, now), now, to_session: BytesMut::new() }
    }

    pub(crate) fn with_window(in_flight: usize) -> Self {
        let mut settings = Settings::default();
        settings.limits.in_flight = in_flight;
        Self::new(settings)
    }

    /// Opens a connection that asks for the kept session, up to CONNACK.
    pub(crate) fn connect(&mut self, session_present: bool) {
        self.start(&Connect { keep_alive: 60, ..connect() });
        assert_eq!(self.sent(), ["CONNECT"]);
        self.connack(session_present);
    }

    pub(crate) fn start(&mut self, connect: &Connect) {
        self.session.start(connect, self.now).unwrap();
    }

    pub(crate) fn connack(&mut self, session_present: bool) {
        self.say_bytes(&[0x20, 2, u8::from(session_present), 0]).unwrap();
        let connected = format!("connected {session_present}");
        assert!(self.events().contains(&connected));
    }

    /// The stream breaks; what was half received is gone.
    pub(crate) fn drop_connection(&mut self) {
        self.to_session.clear();
        self.session.stop();
    }

    /// What the session writes until it has nothing more to write.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        let mut packets = Vec::new();
        let mut out = BytesMut::new();
        while self.session.has_output() {
            self.session.output(&mut out, self.now);
            assert!(!out.is_empty(), "has_output promised something");
            while !out.is_empty() {
                packets.push(text(&Packet::read(&mut out, 1 << 20).unwrap()));
            }
            self.session.flushed(self.now);
        }
        self.session.output(&mut out, self.now);
        assert!(out.is_empty(), "has_output kept something back");
        packets
    }

    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) -> std::result::Result<(), Fault> {
        self.to_session.extend_from_slice(bytes);
        self.session.input(&mut self.to_session, self.now)
    }

    pub(crate) fn say(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, 1 << 20).unwrap();
        self.say_bytes(&bytes).unwrap();
    }

    pub(crate) fn puback(&mut self, id: u16) {
        self.say(&Packet::PubAck(v4::PubAck { pkid: id }));
    }

    pub(crate) fn suback(&mut self, id: u16, codes: &[u8]) -> std::result::Result<(), Fault> {
        let [high, low] = id.to_be_bytes();
        let mut bytes = vec![0x90, 2 + codes.len() as u8, high, low];
        bytes.extend_from_slice(codes);
        self.say_bytes(&bytes)
    }

    /// A message for the device.
    pub(crate) fn message(&mut self, id: u16, payload: &str, qos: QoS) {
        self.say(&Packet::Publish(v4::Publish { pkid: id, ..v4::Publish::new("c2d", qos, payload) }));
    }

    pub(crate) fn publish(&mut self, payload: &str) -> u16 {
        self.try_publish(payload, QoS::AtLeastOnce, None).unwrap()
    }

    pub(crate) fn publish_urgent(&mut self, payload: &str, qos: QoS) -> u16 {
        let publish = Publish { topic: "t", payload: payload.as_bytes(), qos, retain: false };
        self.session.publish_urgent(&publish, payload.to_owned()).map_err(|refused| refused.error).unwrap()
    }

    pub(crate) fn publish_many(&mut self, numbers: std::ops::RangeInclusive<usize>) {
        for n in numbers {
            self.publish(&format!("m{n}"));
        }
    }

    pub(crate) fn try_publish(&mut self, payload: &str, qos: QoS, ttl: Option<u64>) -> Result<u16> {
        let expiry = ttl.map(|seconds| self.now + Duration::from_secs(seconds));
        let publish = Publish { topic: "t", payload: payload.as_bytes(), qos, retain: false };
        let tag = payload.chars().take(20).collect();
        self.session.publish(&publish, expiry, tag).map_err(|refused| refused.error)
    }

    pub(crate) fn subscribe(&mut self, filter: &str, qos: QoS) -> u16 {
        self.session.subscribe(vec![(filter.into(), qos)], format!("sub {filter}")).unwrap()
    }

    pub(crate) fn unsubscribe(&mut self, filter: &str) -> u16 {
        self.session.unsubscribe(vec![filter.into()], format!("unsub {filter}")).unwrap()
    }

    pub(crate) fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    pub(crate) fn timer(&mut self) -> std::result::Result<(), Fault> {
        self.session.timer(self.now)
    }

    pub(crate) fn events(&mut self) -> Vec<String> {
        self.session.take_events().into_iter().map(|event| event_text(&event)).collect()
    }
}

pub(crate) fn connect() -> Connect {
    Connect { client_id: "device".into(), ..Connect::default() }
}

pub(crate) fn texts(numbers: std::ops::RangeInclusive<usize>, dup: bool) -> Vec<String> {
    numbers.map(|n| format!("PUBLISH {n} {}m{n}", if dup { "dup " } else { "" })).collect()
}

fn text(packet: &Packet) -> String {
    match packet {
        Packet::Connect(_) => "CONNECT".into(),
        Packet::Publish(p) => {
            let payload = String::from_utf8_lossy(&p.payload[..p.payload.len().min(20)]);
            format!("PUBLISH {} {}{payload}", p.pkid, if p.dup { "dup " } else { "" })
        }
        Packet::PubAck(ack) => format!("PUBACK {}", ack.pkid),
        Packet::PubRec(ack) => format!("PUBREC {}", ack.pkid),
        Packet::PubComp(ack) => format!("PUBCOMP {}", ack.pkid),
        Packet::Subscribe(s) => {
            let filters: Vec<_> = s.filters.iter().map(|f| format!("{}:{}", f.path, f.qos as u8)).collect();
            format!("SUBSCRIBE {} {}", s.pkid, filters.join(" "))
        }
        Packet::Unsubscribe(u) => format!("UNSUBSCRIBE {} {}", u.pkid, u.topics.join(" ")),
        Packet::PingReq => "PINGREQ".into(),
        Packet::Disconnect => "DISCONNECT".into(),
        other => panic!("a client does not send {other:?}"),
    }
}

fn event_text(event: &Event<String>) -> String {
    match event {
        Event::Connected { session_present } => format!("connected {session_present}"),
        Event::Done { tag, outcome: Ok(Outcome::Subscribed(granted)), .. } => {
            let granted: Vec<_> =
                granted.iter().map(|g| g.map_or("refused".into(), |qos| (qos as u8).to_string())).collect();
            format!("{tag} granted {}", granted.join(" "))
        }
        Event::Done { tag, outcome: Ok(Outcome::Published | Outcome::Unsubscribed), .. } => {
            format!("{tag} done")
        }
        Event::Done { tag, outcome: Err(error), .. } => format!("{tag} {}", kind(error.kind())),
        Event::Message(m) => format!("message {}", String::from_utf8_lossy(&m.payload)),
    }
}

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Closed => "closed",
        ErrorKind::Expired => "expired",
        ErrorKind::Network => "not sent",
        ErrorKind::Protocol => "protocol",
        other => panic!("an operation does not end with {other:?}"),
    }
}
