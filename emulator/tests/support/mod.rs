//! A bare MQTT client over TLS for the tests: one packet at a time, and nothing that helps.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod certificates;
pub(crate) mod provisioning;
pub(crate) mod websocket;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use iothub_emulator::{Hub, Options};
use iothub_mqtt::hub::connection_string::ConnectionString;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, LastWill, Packet, PubAck, Publish, SubAck, Subscribe, SubscribeFilter,
    SubscribeReasonCode,
};
use rumqttc::mqttbytes::{Error as CodecError, QoS};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use serde_json::Value;

/// Long enough for a loaded machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const API: &str = "?api-version=2021-04-12";

pub(crate) struct Events(pub(crate) mpsc::Receiver<Value>);

impl Events {
    /// The next event called `name`; others are passed over.
    pub(crate) fn next(&self, name: &str) -> Value {
        self.find(name, |_| true)
    }

    pub(crate) fn find(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.0.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no event {name}"));
            if event["event"] == name && wanted(&event) {
                return event;
            }
        }
    }
}

pub(crate) fn hub() -> (Hub, Events) {
    start(Options::default().device("d").device("e").module("d", "m"))
}

pub(crate) fn start(options: Options) -> (Hub, Events) {
    let (hub, events) = Hub::start_recorded(options).unwrap();
    (hub, Events(events))
}

pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// A token of `id` that ends in `life` seconds.
pub(crate) fn token(hub: &Hub, id: &str, life: i64) -> String {
    token_until(hub, id, unix_now().saturating_add_signed(life))
}

/// A token of `id` that ends at `until`, seconds since 1970.
pub(crate) fn token_until(hub: &Hub, id: &str, until: u64) -> String {
    let parsed: ConnectionString = hub.connection_string(id).unwrap().parse().unwrap();
    let key = SharedAccessKey::from_base64(&parsed.shared_access_key.unwrap()).unwrap();
    let mut resource = format!("{}/devices/{}", parsed.host_name, parsed.device_id.unwrap());
    if let Some(module) = parsed.module_id {
        resource.push_str("/modules/");
        resource.push_str(&module);
    }
    sas::token(&sas::encode_resource(&resource), &key, until, None)
}

pub(crate) fn roots(hub: &Hub) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(hub.ca_pem().as_bytes()).unwrap()).unwrap();
    roots
}

pub(crate) struct Tls {
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
    pub(crate) identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    /// What is sent behind the certificate.
    pub(crate) intermediates: Vec<CertificateDer<'static>>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { versions: rustls::ALL_VERSIONS, identity: None, intermediates: Vec::new() }
    }
}

pub(crate) type Secure = StreamOwned<ClientConnection, TcpStream>;

/// Which way MQTT goes to the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Tls,
    WebSocket,
}

trait Carrier: Read + Write {}

impl<T: Read + Write> Carrier for T {}

pub(crate) fn secure(hub: &Hub, address: SocketAddr, tls: Tls) -> Secure {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(tls.versions)
        .unwrap()
        .with_root_certificates(roots(hub));
    let config = match tls.identity {
        Some((certificate, key)) => {
            let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
            let chain = std::iter::once(certificate).chain(tls.intermediates).collect();
            // The builder's own way refuses certificates of X.509 version 1.
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
        }
        None => builder.with_no_client_auth(),
    };
    let session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    StreamOwned::new(session, socket)
}

pub(crate) struct Client {
    stream: Box<dyn Carrier>,
    input: BytesMut,
}

impl Client {
    /// TLS without a CONNECT.
    pub(crate) fn open(hub: &Hub, tls: Tls) -> Self {
        Self::on(secure(hub, hub.mqtt_address(), tls))
    }

    fn on(stream: impl Read + Write + 'static) -> Self {
        Self { stream: Box::new(stream), input: BytesMut::new() }
    }

    pub(crate) fn open_over(hub: &Hub, over: Over, tls: Tls) -> Self {
        match over {
            Over::Tls => Self::open(hub, tls),
            Over::WebSocket => Self::on(websocket::WebSocket::open(hub, tls)),
        }
    }

    /// Connects `id` with its key, a kept session and no last will.
    pub(crate) fn connect(hub: &Hub, id: &str) -> Self {
        Self::connect_with(hub, id, |_| ()).0
    }

    /// As [`Client::connect`] with a changed CONNECT; also whether the session was there.
    pub(crate) fn connect_with(hub: &Hub, id: &str, change: impl FnOnce(&mut Connect)) -> (Self, bool) {
        let mut client = Self::open(hub, Tls::default());
        let session_present = client.log_in(hub, id, change);
        (client, session_present)
    }

    pub(crate) fn connect_over(hub: &Hub, over: Over, id: &str) -> Self {
        let mut client = Self::open_over(hub, over, Tls::default());
        client.log_in(hub, id, |_| ());
        client
    }

    /// Sends a changed CONNECT; whether the session was there.
    fn log_in(&mut self, hub: &Hub, id: &str, change: impl FnOnce(&mut Connect)) -> bool {
        let mut connect = connect_packet(hub, id);
        change(&mut connect);
        self.send(&Packet::Connect(connect));
        let ConnAck { session_present, code } = self.expect_connack();
        assert_eq!(code as u8, 0, "CONNACK");
        session_present
    }

    pub(crate) fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, usize::MAX).unwrap();
        self.send_bytes(&bytes);
    }

    /// The hub may close while this writes: what it did is read afterwards.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// The next packet; `None` where the hub closed the connection.
    pub(crate) fn receive(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.input, usize::MAX) {
                Ok(packet) => return Some(packet),
                Err(CodecError::InsufficientBytes(_)) => {}
                Err(error) => panic!("the hub sent nonsense: {error}"),
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    panic!("the hub sends nothing")
                }
                Err(_) => return None,
            }
        }
    }

    /// Bytes as they come, without a reader's opinion of them; empty at the end.
    pub(crate) fn receive_bytes(&mut self) -> Vec<u8> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(count) => chunk[..count].to_vec(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the hub sends nothing"),
            Err(_) => Vec::new(),
        }
    }

    pub(crate) fn expect_connack(&mut self) -> ConnAck {
        match self.receive() {
            Some(Packet::ConnAck(connack)) => connack,
            other => panic!("no CONNACK but {other:?}"),
        }
    }

    pub(crate) fn expect_puback(&mut self, id: u16) {
        assert_eq!(self.receive(), Some(Packet::PubAck(PubAck::new(id))));
    }

    pub(crate) fn expect_publish(&mut self) -> Publish {
        match self.receive() {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("no PUBLISH but {other:?}"),
        }
    }

    /// The end of the connection and not one packet before it.
    pub(crate) fn expect_close(&mut self) {
        assert_eq!(self.receive(), None);
    }

    pub(crate) fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.send_subscribe(1, &[(filter, qos)]);
        let granted = if qos == QoS::AtMostOnce { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        let expected = SubAck::new(1, vec![SubscribeReasonCode::Success(granted)]);
        assert_eq!(self.receive(), Some(Packet::SubAck(expected)));
    }

    pub(crate) fn send_subscribe(&mut self, id: u16, filters: &[(&str, QoS)]) {
        let filters = filters.iter().map(|(path, qos)| SubscribeFilter::new((*path).to_owned(), *qos));
        let mut subscribe = Subscribe::new_many(filters);
        subscribe.pkid = id;
        self.send(&Packet::Subscribe(subscribe));
    }

    /// At QoS 1 where `id` is not 0.
    pub(crate) fn publish(&mut self, topic: &str, id: u16, body: &str) {
        self.send(&Packet::Publish(publish(topic, id, body)));
    }

    pub(crate) fn acknowledge(&mut self, id: u16) {
        self.send(&Packet::PubAck(PubAck::new(id)));
    }

    pub(crate) fn disconnect(mut self) {
        self.send(&Packet::Disconnect);
    }
}

pub(crate) fn publish(topic: &str, id: u16, body: &str) -> Publish {
    let qos = if id == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
    let mut publish = Publish::new(topic, qos, body);
    publish.pkid = id;
    publish
}

pub(crate) fn connect_packet(hub: &Hub, id: &str) -> Connect {
    let mut connect = Connect::new(id);
    connect.clean_session = false;
    connect.keep_alive = 60;
    connect.set_login(format!("localhost/{id}/{API}"), token(hub, id, 3600));
    connect
}

pub(crate) fn will(topic: &str, body: &str) -> Option<LastWill> {
    Some(LastWill::new(topic, body, QoS::AtLeastOnce, false))
}

/// A key, a certificate of its own, and the SHA-256 thumbprint of that.
pub(crate) fn self_signed() -> (rcgen::KeyPair, rcgen::Certificate, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["x".into()]).unwrap().self_signed(&key).unwrap();
    let thumbprint = ring::digest::digest(&ring::digest::SHA256, certificate.der())
        .as_ref()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    (key, certificate, thumbprint)
}
