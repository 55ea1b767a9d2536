//! Many devices at once against the program, and what each costs it in memory and time.
//!
//! 200 devices for the impatient; with IOTHUB_SOAK 10,000, each with a message every ten seconds for
//! a minute. IOTHUB_DEVICES, IOTHUB_MESSAGES of each and IOTHUB_PERIOD_MS between them make another load.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/program.rs"]
mod program;

use std::collections::HashMap;
use std::io::BufRead as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::BytesMut;
use iothub_mqtt::hub::connection_string::ConnectionString;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use program::{Program, raise_descriptor_limit};
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet, Publish};
use rumqttc::mqttbytes::{Error as CodecError, QoS};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Barrier, Semaphore, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Devices behind one source address: the ports of one are not enough for all.
const BEHIND_ONE: usize = 5_000;
/// Handshakes at a time.
const AT_ONCE: usize = 64;

struct Load {
    devices: usize,
    messages: usize,
    period: Duration,
}

impl Load {
    fn wanted() -> Self {
        let given = |name: &str| std::env::var(name).ok().map(|text| text.parse::<usize>().unwrap());
        let (devices, messages, period) = match std::env::var_os("IOTHUB_SOAK") {
            Some(_) => (10_000, 6, 10_000),
            None => (200, 5, 200),
        };
        Self {
            devices: given("IOTHUB_DEVICES").unwrap_or(devices),
            messages: given("IOTHUB_MESSAGES").unwrap_or(messages),
            period: Duration::from_millis(given("IOTHUB_PERIOD_MS").unwrap_or(period) as u64),
        }
    }

    fn total(&self) -> usize {
        self.devices * self.messages
    }
}

/// One device: a socket, and no more of a client than it needs.
struct Device {
    number: usize,
    stream: TlsStream<TcpStream>,
    input: BytesMut,
}

impl Device {
    async fn connect(number: usize, to: SocketAddr, tls: TlsConnector, connection_string: String) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        let source = Ipv4Addr::new(127, 7, 0, 1 + u8::try_from(number / BEHIND_ONE).unwrap());
        socket.bind((source, 0).into()).unwrap();
        let stream = socket.connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = tls.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let mut device = Self { number, stream, input: BytesMut::new() };

        let parsed: ConnectionString = connection_string.parse().unwrap();
        let (host, id) = (parsed.host_name, parsed.device_id.unwrap());
        let key = SharedAccessKey::from_base64(&parsed.shared_access_key.unwrap()).unwrap();
        let expiry = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 3600;
        let token = sas::token(&sas::encode_resource(&format!("{host}/devices/{id}")), &key, expiry, None);
        let mut connect = Connect::new(&id);
        connect.keep_alive = 240;
        connect.set_login(format!("{host}/{id}/?api-version=2021-04-12"), token);
        device.write(&Packet::Connect(connect)).await;
        match device.read().await {
            Some(Packet::ConnAck(connack)) => assert_eq!(connack.code, ConnectReturnCode::Success),
            other => panic!("d{number}: no CONNACK but {other:?}"),
        }
        device
    }

    async fn write(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, usize::MAX).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// `None` at the end of the stream.
    async fn read(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.input, 1024) {
                Ok(packet) => return Some(packet),
                Err(CodecError::InsufficientBytes(_)) => {}
                Err(error) => panic!("d{}: {error}", self.number),
            }
            let mut chunk = [0; 256];
            let count = self.stream.read(&mut chunk).await.unwrap();
            if count == 0 {
                return None;
            }
            self.input.extend_from_slice(&chunk[..count]);
        }
    }

    /// How long the acknowledgement took.
    async fn send(&mut self, message: usize) -> Duration {
        let topic = format!("devices/d{}/messages/events/number={message}", self.number);
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, format!("{{\"message\":{message}}}"));
        publish.pkid = u16::try_from(message + 1).unwrap();
        let started = Instant::now();
        self.write(&Packet::Publish(publish)).await;
        match self.read().await {
            Some(Packet::PubAck(ack)) => assert_eq!(usize::from(ack.pkid), message + 1),
            other => panic!("d{}: no PUBACK but {other:?}", self.number),
        }
        started.elapsed()
    }

    async fn disconnect(mut self) {
        self.write(&Packet::Disconnect).await;
        assert_eq!(self.read().await, None);
    }
}

fn trust(ca: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Other devices than this one do not share a session with it.
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config).into()
}

#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    cpu: Duration,
    memory: usize,
}

impl Reading {
    fn of(hub: &Program) -> Self {
        Self { at: Instant::now(), cpu: hub.cpu(), memory: hub.memory() }
    }
}

/// Runs the load; the acknowledgements' times, and what the hub has used before it, with all devices
/// connected, after the messages, and after all have gone.
async fn drive(load: &Load, hub: &Program) -> (Vec<Duration>, [Reading; 4]) {
    let (to, tls) = (hub.mqtt(), trust(&hub.ca_pem()));
    let before = Reading::of(hub);
    let handshakes = Arc::new(Semaphore::new(AT_ONCE));
    let connected = Arc::new(Barrier::new(load.devices + 1));
    let sent = Arc::new(Barrier::new(load.devices + 1));
    let (start, started) = watch::channel(None::<Instant>);
    let (leave, leaving) = watch::channel(false);
    let devices: Vec<_> = (0..load.devices)
        .map(|number| {
            let (handshakes, connected, sent) = (handshakes.clone(), connected.clone(), sent.clone());
            let (mut started, mut leaving) = (started.clone(), leaving.clone());
            let (tls, connection_string) = (tls.clone(), hub.connection_string(number).to_owned());
            // The ready line is in the order of the ids.
            let number = id_of(&connection_string);
            let (messages, period) = (load.messages, load.period);
            let phase = period.mul_f64(number as f64 / load.devices as f64);
            tokio::spawn(async move {
                let permit = handshakes.acquire().await.unwrap();
                let mut device = Device::connect(number, to, tls, connection_string).await;
                drop(permit);
                connected.wait().await;
                let start = started.wait_for(Option::is_some).await.unwrap().unwrap();
                let mut times = Vec::new();
                for message in 0..messages {
                    let due = start + phase + period * u32::try_from(message).unwrap();
                    tokio::time::sleep_until(due.into()).await;
                    times.push(device.send(message).await);
                }
                sent.wait().await;
                leaving.wait_for(|leave| *leave).await.unwrap();
                device.disconnect().await;
                times
            })
        })
        .collect();
    connected.wait().await;
    let up = Reading::of(hub);
    start.send(Some(Instant::now())).unwrap();
    sent.wait().await;
    let done = Reading::of(hub);
    leave.send(true).unwrap();
    let mut times = Vec::new();
    for device in devices {
        times.extend(device.await.unwrap());
    }
    (times, [before, up, done, Reading::of(hub)])
}

fn id_of(connection_string: &str) -> usize {
    let parsed: ConnectionString = connection_string.parse().unwrap();
    parsed.device_id.unwrap().strip_prefix('d').unwrap().parse().unwrap()
}

fn report(what: &str, load: &Load, mut times: Vec<Duration>, readings: [Reading; 4]) {
    let [before, up, done, after] = readings;
    let kib = |bytes: usize| bytes as f64 / 1024.0;
    let each =
        |later: Reading, earlier: Reading, n: usize| (later.cpu - earlier.cpu).as_secs_f64() * 1e6 / n as f64;
    let grown = |reading: Reading| kib(reading.memory.saturating_sub(before.memory)) / load.devices as f64;
    let seconds = (done.at - up.at).as_secs_f64();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("{what}: {} devices, {} messages", load.devices, load.total());
    println!(
        "  connecting   {:8.0} devices/s, {:7.1} us of the hub's CPU each",
        load.devices as f64 / (up.at - before.at).as_secs_f64(),
        each(up, before, load.devices)
    );
    println!(
        "  memory       {:8.1} KiB per device connected, {:.1} after its messages, {:.1} when all have gone ({:.1} MiB before)",
        grown(up),
        grown(done),
        grown(after),
        kib(before.memory) / 1024.0
    );
    println!(
        "  messages     {:8.0} /s, {:7.1} us of the hub's CPU each, {:.2} % of one processor in all",
        load.total() as f64 / seconds,
        each(done, up, load.total()),
        (done.cpu - up.cpu).as_secs_f64() / seconds * 100.0
    );
    println!(
        "  PUBACK       {:8.2} ms median, {:.2} ms at 99 %, {:.2} ms at most",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// The bodies of each device's telemetry, and how many connections have come and gone.
#[derive(Default)]
struct Seen {
    messages: HashMap<String, Vec<String>>,
    connected: usize,
    disconnected: usize,
}

fn run(load: &Load, arguments: &[&str]) -> ((Vec<Duration>, [Reading; 4]), Seen) {
    raise_descriptor_limit();
    let devices = (0..load.devices).flat_map(|n| ["--device".to_owned(), format!("d{n}")]);
    let mut hub =
        Program::start(&devices.chain(arguments.iter().map(|a| (*a).to_owned())).collect::<Vec<_>>());
    let descriptors = hub.descriptors();
    let lines = hub.lines.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut seen = Seen::default();
        for line in lines.lines() {
            let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            match event["event"].as_str().unwrap() {
                "connected" => seen.connected += 1,
                "disconnected" => seen.disconnected += 1,
                "telemetry" => {
                    let number = event["properties"]["number"].as_str().unwrap().to_owned();
                    seen.messages
                        .entry(event["device"].as_str().unwrap().to_owned())
                        .or_default()
                        .push(number);
                }
                other => panic!("an event {other}"),
            }
        }
        seen
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let driven = runtime.block_on(drive(load, &hub));
    assert_eq!(driven.0.len(), load.total(), "acknowledgements");
    hub.settle(descriptors);
    assert!(hub.stop().success());
    (driven, reader.join().unwrap())
}

/// Two fleets at once would want twice the descriptors, and measure each other.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn every_message_of_a_fleet_is_acknowledged_and_appears() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let load = Load::wanted();
    let ((times, readings), seen) = run(&load, &["--events", "-"]);
    report("with a listener", &load, times, readings);
    assert_eq!((seen.connected, seen.disconnected), (load.devices, load.devices));
    let expected: Vec<String> = (0..load.messages).map(|n| n.to_string()).collect();
    assert_eq!(seen.messages.len(), load.devices);
    assert!(seen.messages.values().all(|numbers| *numbers == expected));
}

#[test]
fn a_fleet_that_nobody_listens_to_costs_less() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let load = Load::wanted();
    let ((times, readings), seen) = run(&load, &[]);
    report("without listeners", &load, times, readings);
    assert!(seen.messages.is_empty());
}
