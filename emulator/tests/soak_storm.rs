//! A storm of broken openings and hostile sessions against the program, through real sockets.
//!
//! 1,000 openings and 4,000 packets; with IOTHUB_SOAK 100,000 and 400,000, where IOTHUB_SEED repeats
//! a run. `broker/storm_tests.rs` sends ten million packets without sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/openings.rs"]
mod openings;
#[path = "support/program.rs"]
mod program;
#[path = "support/storm.rs"]
mod storm;

use std::io::{BufRead as _, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use iothub_mqtt::hub::connection_string::ConnectionString;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use openings::{Leave, Opening, Over, UPGRADE};
use program::{Program, raise_descriptor_limit};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use storm::Storm;

/// Only a failing test waits for it: half of the time after which the hub cuts whoever stalls, so
/// that what ends in time does so by itself.
const PATIENCE: Duration = Duration::from_secs(30);
/// At a time.
const THREADS: usize = 4;
/// By which the hub may have grown between the first part of the storm and its end, whatever came: the
/// allocator's fragments.
const MAX_GROWTH: usize = 6 * 1024 * 1024;

type Secure = StreamOwned<ClientConnection, TcpStream>;

struct Target {
    mqtt: SocketAddr,
    https: SocketAddr,
    tls: Arc<ClientConfig>,
    wrong_alpn: Arc<ClientConfig>,
    seed: u64,
}

/// What a device says who it is.
struct Credentials {
    device: String,
    username: String,
    password: String,
}

impl Credentials {
    fn new(connection_string: &str) -> Self {
        let parsed: ConnectionString = connection_string.parse().unwrap();
        let device = parsed.device_id.unwrap();
        let key = SharedAccessKey::from_base64(&parsed.shared_access_key.unwrap()).unwrap();
        let expiry = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 100_000;
        let resource = sas::encode_resource(&format!("localhost/devices/{device}"));
        let password = sas::token(&resource, &key, expiry, None);
        Self { username: format!("localhost/{device}/?api-version=2021-04-12"), password, device }
    }

    fn connect(&self) -> Vec<u8> {
        let text = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
        let fields =
            [&self.device, &self.username, &self.password].map(|field| text(field.as_bytes())).concat();
        let body = [b"\0\x04MQTT\x04\xc2\x00\xf0".as_slice(), &fields].concat();
        let length = u16::try_from(body.len()).unwrap();
        assert!((128..16_384).contains(&length));
        [&[0x10, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8], &body[..]].concat()
    }
}

impl Target {
    fn new(hub: &Program, seed: u64) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(hub.ca_pem().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut wrong_alpn = config.clone();
        wrong_alpn.alpn_protocols = vec![b"h2".to_vec()];
        Self { mqtt: hub.mqtt(), https: hub.https(), tls: config.into(), wrong_alpn: wrong_alpn.into(), seed }
    }

    /// From an address of the thread's own: one has not ports enough for those that linger.
    fn socket(&self, https: bool, thread: usize) -> TcpStream {
        let to = if https { self.https } else { self.mqtt };
        let socket = connect_from(Ipv4Addr::new(127, 9, 0, 1 + thread as u8), to);
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn secure(&self, socket: TcpStream, config: &Arc<ClientConfig>) -> Secure {
        let session = ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
        StreamOwned::new(session, socket)
    }
}

/// A connection from `source`.
fn connect_from(source: Ipv4Addr, to: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((source, 0))).unwrap();
    connect(&socket, &to).unwrap();
    socket.into()
}

/// Reads until the hub has closed; its first bytes.
fn to_the_end(what: impl FnOnce() -> String, stream: &mut impl Read) -> Vec<u8> {
    let (mut first, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return first,
            Ok(count) if first.len() < 4096 => first.extend_from_slice(&chunk[..count]),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("{} is still open", what())
            }
            Err(_) => return first,
        }
    }
}

/// Says that nothing more comes, and waits for the hub to close.
fn finish(what: impl FnOnce() -> String, mut stream: Secure) {
    stream.conn.send_close_notify();
    let _ = stream.flush();
    let _ = stream.sock.shutdown(Shutdown::Write);
    to_the_end(what, &mut stream);
}

fn open_badly(target: &Target, thread: usize, opening: &Opening) {
    let Opening { https, over, bytes, leave } = opening;
    let what = || format!("{over:?} on {}: {}", if *https { "https" } else { "mqtt" }, bytes.escape_ascii());
    let mut socket = target.socket(*https, thread);
    if *over == Over::Tcp {
        let _ = socket.write_all(bytes);
        if *leave == Leave::Close {
            let _ = socket.shutdown(Shutdown::Write);
            to_the_end(what, &mut socket);
        }
        return;
    }
    let config = if *over == Over::WrongAlpn { &target.wrong_alpn } else { &target.tls };
    let mut stream = target.secure(socket, config);
    if *over == Over::WebSocket {
        stream.write_all(UPGRADE.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 101");
    }
    // The hub may have closed before it has read all.
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    if *leave == Leave::Close {
        finish(what, stream);
    }
}

/// A hostile session, and how many packets it was.
fn session(target: &Target, thread: usize, storm: &mut Storm, credentials: &Credentials) -> usize {
    let mut stream = target.secure(target.socket(false, thread), &target.tls);
    let mut bytes = match storm.random.u32(..8) {
        0 => storm.connect(&credentials.username, &credentials.password),
        // Before CONNECT.
        1 => Vec::new(),
        _ => credentials.connect(),
    };
    let packets = storm.random.usize(1..40);
    for _ in 0..packets {
        bytes.extend(storm.packet());
        // Some behind CONNECT in the same record, some alone.
        if storm.random.u32(..4) == 0 {
            if stream.write_all(&bytes).and_then(|()| stream.flush()).is_err() {
                return packets;
            }
            bytes.clear();
        }
    }
    let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
    if storm.random.u32(..4) != 0 {
        finish(|| format!("a session of thread {thread}, seed {}", target.seed), stream);
    }
    packets
}

/// A device that does what it should, through it all.
struct WellBehaved {
    stream: Secure,
    sent: u16,
}

impl WellBehaved {
    fn connect(target: &Target, credentials: &Credentials) -> Self {
        let mut stream = target.secure(target.socket(false, THREADS), &target.tls);
        stream.write_all(&credentials.connect()).unwrap();
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).unwrap();
        assert_eq!(connack, [0x20, 2, 0, 0]);
        Self { stream, sent: 0 }
    }

    fn send(&mut self) {
        self.sent = self.sent % u16::MAX + 1;
        let id = self.sent.to_be_bytes();
        let topic = b"devices/well/messages/events/";
        let head = [0x32, 2 + topic.len() as u8 + 2 + 2, 0, topic.len() as u8];
        self.stream.write_all(&[&head, &topic[..], &id, b"ok"].concat()).unwrap();
        let mut puback = [0; 4];
        self.stream.read_exact(&mut puback).unwrap();
        assert_eq!(puback, [0x40, 2, id[0], id[1]]);
    }
}

/// Runs the storm; how many openings, packets, and messages of the well-behaved device.
fn rage(
    hub: &Program,
    target: &Target,
    well: &mut WellBehaved,
    openings: usize,
    packets: usize,
) -> [usize; 3] {
    let (opened, sent, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let messages = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (opened, sent) = (&opened, &sent);
                let credentials = Credentials::new(hub.connection_string(thread));
                scope.spawn(move || {
                    let seed = target.seed.wrapping_add((openings * THREADS + thread) as u64);
                    let mut storm = Storm::new(seed, &credentials.device);
                    let connect = credentials.connect();
                    while opened.load(Ordering::Relaxed) < openings || sent.load(Ordering::Relaxed) < packets
                    {
                        // As often as brings both to their ends at about the same time.
                        if opened.fetch_add(1, Ordering::Relaxed) < openings {
                            let opening = Opening::any(&mut storm.random, &connect);
                            open_badly(target, thread, &opening);
                        }
                        if sent.load(Ordering::Relaxed) < packets {
                            let more = session(target, thread, &mut storm, &credentials);
                            sent.fetch_add(more, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        let well = scope.spawn(|| {
            let mut messages = 0;
            while !over.load(Ordering::Relaxed) {
                well.send();
                messages += 1;
            }
            messages
        });
        // Whatever comes of them, the well-behaved device must stop.
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        over.store(true, Ordering::Relaxed);
        let messages = well.join().expect("the well-behaved device");
        results.into_iter().for_each(|result| result.expect("the storm"));
        messages
    });
    [opened.into_inner().min(openings), sent.into_inner(), messages]
}

#[test]
fn the_hub_outlives_broken_openings_and_hostile_sessions() {
    raise_descriptor_limit();
    let soak = std::env::var_os("IOTHUB_SOAK").is_some();
    let (openings, packets) = if soak { (100_000, 400_000) } else { (1_000, 4_000) };
    let seed = std::env::var("IOTHUB_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    println!("IOTHUB_SEED={seed}");
    let names = (0..THREADS).map(|n| format!("f{n}")).chain(["well".to_owned()]);
    let mut arguments: Vec<String> = names.flat_map(|name| ["--device".to_owned(), name]).collect();
    arguments.extend(["--events".to_owned(), "-".to_owned()]);
    let mut hub = Program::start(&arguments);
    let lines = hub.lines.take().unwrap();
    let events = std::thread::spawn(move || {
        let mut live = 0_i64;
        for line in lines.lines().map(Result::unwrap) {
            live += i64::from(line.starts_with("{\"event\":\"connected\""));
            live -= i64::from(line.starts_with("{\"event\":\"disconnected\""));
        }
        live
    });
    let mut stderr = hub.stderr.take().unwrap();
    let complaints = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });

    let target = Target::new(&hub, seed);
    let mut well = WellBehaved::connect(&target, &Credentials::new(hub.connection_string(THREADS)));
    let descriptors = hub.descriptors();
    rage(&hub, &target, &mut well, openings / 10, packets / 10);
    hub.settle(descriptors);
    let before = hub.memory();
    let started = Instant::now();
    let [opened, sent, messages] = rage(&hub, &target, &mut well, openings * 9 / 10, packets * 9 / 10);
    let took = started.elapsed();
    hub.settle(descriptors);
    let after = hub.memory();
    well.send();
    let mut other = WellBehaved::connect(&target, &Credentials::new(hub.connection_string(THREADS)));
    other.send();
    assert!(hub.is_running());
    let kib = |bytes: usize| bytes / 1024;
    println!(
        "{opened} openings and {sent} packets in {took:.1?}; {messages} messages of the well-behaved device; \
         {} KiB after the first tenth, {} KiB after all",
        kib(before),
        kib(after)
    );
    assert!(messages > 0);
    assert!(after < before + MAX_GROWTH, "it has grown from {} to {} KiB", kib(before), kib(after));
    drop((well, other));
    // Everything of ours is closed, so that every link ends by itself.
    hub.settle(descriptors - 1);
    assert!(hub.stop().success());
    assert_eq!(complaints.join().unwrap(), "", "on the standard error");
    assert_eq!(events.join().unwrap(), 0, "links that were left");
}
