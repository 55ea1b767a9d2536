//! Millions of packets that nobody should send, through the codec and the rules without a socket.
//!
//! 100,000, and with IOTHUB_SOAK 10,000,000; IOTHUB_SEED repeats a run.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use bytes::BytesMut;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};

use super::Broker;
use super::connection::Peer;
use super::handshake::{Welcome, decide};
use super::links::Cause;
use super::packet::{self, Packet, QoS};
use super::turn::{Client, End};
use crate::hub::Hub;
use crate::identity::Identity;
use crate::options::Options;
use crate::time::unix_now;

#[path = "../../tests/support/storm.rs"]
mod storm;
use storm::Storm;

/// Each session ends by itself before, or here.
const PACKETS_PER_SESSION: usize = 400;

#[derive(Debug, Default)]
struct Counts {
    packets: usize,
    sessions: usize,
    refused: usize,
    telemetry: usize,
    ended: usize,
}

#[test]
fn nothing_that_a_client_sends_breaks_the_hub() {
    let packets = if std::env::var_os("IOTHUB_SOAK").is_some() { 10_000_000 } else { 100_000 };
    let seed = std::env::var("IOTHUB_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    println!("IOTHUB_SEED={seed}");
    let hub = Hub::start(Options::default().device("f")).unwrap();
    let (broker, identity) = (hub.broker_of_tests(), Identity::device("f"));
    let key = hub.connection_string("f").unwrap().split_once("SharedAccessKey=").unwrap().1.to_owned();
    let key = SharedAccessKey::from_base64(&key).unwrap();
    let token = sas::token("localhost%2Fdevices%2Ff", &key, unix_now() + 100_000, None);

    let mut storm = Storm::new(seed, "f");
    let mut counts = Counts::default();
    while counts.packets < packets {
        session(&mut storm, &broker, &identity, &token, &mut counts);
        let state = broker.state();
        let entry = state.registry.get(&identity).unwrap();
        assert!(entry.link.is_none() && entry.session.subscriptions.len() <= 5);
    }
    println!("{counts:?}");
    assert!(hub.twin("f").unwrap().to_string().len() < 200_000, "the twin has its limits");
    // The storm is one only if it gets through to what it is for.
    assert!(counts.telemetry > packets / 20 && counts.refused > 0, "{counts:?}");
    assert!((2 * counts.sessions..40 * counts.sessions).contains(&counts.packets), "{counts:?}");
}

fn session(storm: &mut Storm, broker: &Arc<Broker>, identity: &Identity, token: &str, counts: &mut Counts) {
    counts.packets += 1;
    let connect = storm.connect("localhost/f/?api-version=2021-04-12", token);
    let mut input = BytesMut::from(&connect[..]);
    let welcome = match packet::read_first(&mut input) {
        Ok(Some(Packet::Connect(connect))) => {
            decide(connect, &Peer { certificate: None, protocol: "mqtt", registrant: false }, broker).ok()
        }
        _ => None,
    };
    let Some(Welcome::Device(welcome)) = welcome else {
        counts.refused += 1;
        return;
    };
    assert_eq!(welcome.identity, *identity);
    counts.sessions += 1;
    let mut client = Client {
        broker: broker.clone(),
        identity: identity.clone(),
        number: welcome.attached.number,
        stamp: welcome.attached.stamp,
        next_unlock: None,
        countdown: None,
    };
    let end = (0..PACKETS_PER_SESSION).find_map(|_| {
        counts.packets += 1;
        input.extend_from_slice(&storm.packet());
        turn(&mut client, &mut input, counts).err()
    });
    counts.ended += usize::from(end.is_some());
    assert!(!matches!(end, Some(End::Fault(_))));
    broker.detach(identity, client.number, Cause::new("client", "the storm goes on"));
}

/// All that can be read; what the hub answers has to be packets.
fn turn(client: &mut Client, input: &mut BytesMut, counts: &mut Counts) -> Result<(), End> {
    loop {
        let before = input.len();
        let packet = match packet::read(input) {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(()),
            Err(_) => return Err(End::Client),
        };
        assert!(input.len() < before, "reading goes on");
        let asked = match &packet {
            Packet::Publish(publish) => (publish.qos == QoS::AtLeastOnce).then_some(publish.pkid),
            _ => None,
        };
        counts.telemetry +=
            usize::from(matches!(&packet, Packet::Publish(p) if p.topic.starts_with("devices/f/")));
        let mut output = BytesMut::new();
        client.handle(packet, &mut output)?;
        let mut acknowledged = None;
        while !output.is_empty() {
            match packet::read(&mut output) {
                Ok(Some(Packet::PubAck(ack))) => acknowledged = Some(ack.pkid),
                Ok(Some(_)) => {}
                other => panic!("the hub wrote what is no packet: {other:?}"),
            }
        }
        assert_eq!(acknowledged, asked);
    }
}
