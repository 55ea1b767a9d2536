//! A device over each way to the hub: MQTT, WebSocket, through a proxy, from an address.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use iothub_emulator::{CloudMessage, Fault, Options};
use iothub_mqtt::hub::Message;
use iothub_mqtt::io::{Ack, Cause};
use iothub_mqtt::mqtt::{Publish, QoS};
use iothub_mqtt::{Answer, Config, ConnectionState, ErrorKind, MqttClient, MqttConfig, Transport};
use iothub_tests::http_proxy::{Behaviour, HttpProxy};
use iothub_tests::proxy::Proxy;
use iothub_tests::{DEVICE, Local, PATIENCE, Recorded, wait};
use rcgen::{CertificateParams, KeyPair};
use sha2::{Digest, Sha256};

/// The options of the device for a WebSocket.
fn over_websocket(local: &Local) -> Config {
    let mut config = local.config(DEVICE);
    config.tuning.set_transport(Transport::WebSocket);
    config.tuning.set_port(local.hub.https_port()).unwrap();
    config
}

/// Sends, receives, and does both again after a drop.
fn lives_through_a_drop(local: &Local, config: Config, protocol: &str) {
    let device = Recorded::new(config);
    let (sender, received) = mpsc::channel();
    let handler = move |message: &Message, _| {
        sender.send(message.body().to_vec()).unwrap_or_default();
        Ack::Now
    };
    device.client.on_message(Some(Box::new(handler))).unwrap();
    wait(device.client.connect().unwrap()).unwrap();
    // Longer than a frame with 16 bits of length.
    let large = "x".repeat(200_000);
    for round in ["before", "after"] {
        assert_eq!(local.event("connected")["protocol"], protocol);
        device.until(ConnectionState::Connected);
        wait(device.client.send(&Message::new(round)).unwrap()).unwrap();
        assert_eq!(local.event("telemetry")["body"], round);
        wait(device.client.send(&Message::new(large.clone())).unwrap()).unwrap();
        assert!(local.event("telemetry")["body"] == *large);
        for body in [round, &large[..60_000]] {
            local.hub.send_c2d(DEVICE, CloudMessage::new(body.to_owned())).unwrap();
            assert!(received.recv_timeout(PATIENCE).unwrap() == body.as_bytes(), "{round}");
            // What is not settled by the drop comes again.
            while local.event("c2d")["state"] != "completed" {}
        }
        if round == "before" {
            local.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
            assert!(device.fault().cause.is_some());
        }
    }
    wait(device.client.close(PATIENCE).unwrap()).unwrap();
    device.until(ConnectionState::Closed);
}

#[test]
fn mqtt() {
    let local = Local::start();
    lives_through_a_drop(&local, local.config(DEVICE), "mqtt");
}

#[test]
fn websocket() {
    let local = Local::start();
    lives_through_a_drop(&local, over_websocket(&local), "websocket");
}

#[test]
fn mqtt_through_a_proxy() {
    let (local, proxy) = (Local::start(), HttpProxy::start());
    let mut config = local.config(DEVICE);
    config.tuning.set_proxy(Some(&proxy.url())).unwrap();
    lives_through_a_drop(&local, config, "mqtt");
    let target = format!("localhost:{}", local.hub.mqtt_port());
    assert_eq!(proxy.targets(), [target.clone(), target]);
}

#[test]
fn websocket_through_a_proxy_that_wants_a_password() {
    let (local, proxy) = (Local::start(), HttpProxy::start());
    proxy.demand("me", "p@ss:word/");
    proxy.behave(Behaviour::Trickle);
    let mut config = over_websocket(&local);
    let url = format!("http://me:p%40ss%3Aword%2F@127.0.0.1:{}", proxy.port());
    config.tuning.set_proxy(Some(&url)).unwrap();
    lives_through_a_drop(&local, config, "websocket");
    assert_eq!((proxy.targets().len(), proxy.unauthorized()), (2, 0));
}

/// The hub has a name that this machine cannot resolve; TLS checks that name.
#[test]
fn the_proxy_resolves_the_name() {
    let options = Options { name: "hub.invalid".into(), ..Options::default().device(DEVICE) };
    let (local, proxy) = (Local::with(options), HttpProxy::start());
    proxy.resolve_to(local.hub.https_address());
    let mut config = over_websocket(&local);
    config.set_gateway("hub.invalid").unwrap();
    config.tuning.set_proxy(Some(&proxy.url())).unwrap();
    let device = Recorded::connected(config);
    wait(device.client.send(&Message::new("by name")).unwrap()).unwrap();
    assert_eq!(proxy.targets(), [format!("hub.invalid:{}", local.hub.https_port())]);
}

#[test]
fn a_certificate_over_websocket() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([DEVICE.to_owned()]).unwrap().self_signed(&key).unwrap();
    let thumbprint: String =
        Sha256::digest(certificate.der()).iter().map(|byte| format!("{byte:02X}")).collect();
    let local = Local::with(Options::default().x509_device(DEVICE, &thumbprint));
    let mut config = over_websocket(&local);
    config.set_x509(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let device = Recorded::connected(config);
    wait(device.client.send(&Message::new("by certificate")).unwrap()).unwrap();
    assert_eq!(local.event("telemetry")["body"], "by certificate");
}

/// The fault of a device that cannot connect.
fn refused(mut config: Config, timeout: Duration) -> (Cause, String) {
    config.tuning.set_connect_timeout(timeout).unwrap();
    let device = Recorded::new(config);
    drop(device.client.connect().unwrap());
    let status = device.fault();
    (status.cause.unwrap(), status.detail)
}

#[test]
fn every_refusal_of_a_proxy_has_a_cause_and_a_text() {
    let local = Local::start();
    let target = format!("localhost:{}", local.hub.mqtt_port());
    let hang = Duration::from_millis(200);
    for (behaviour, limit, part) in [
        (
            Behaviour::Refuse(403),
            PATIENCE,
            format!("does not allow connections to {target} (it answered 403"),
        ),
        (Behaviour::Refuse(407), PATIENCE, "asks for a user name and a password".into()),
        (Behaviour::Refuse(502), PATIENCE, format!("cannot reach {target} (it answered 502")),
        (Behaviour::Refuse(400), PATIENCE, format!("refuses to connect to {target} (it answered 400")),
        (Behaviour::Garbage, PATIENCE, "sent something that is no HTTP answer".into()),
        (Behaviour::EndlessHead, PATIENCE, "whose head is longer than 16 KiB".into()),
        (Behaviour::CloseInHead, PATIENCE, "closed the connection before it answered CONNECT".into()),
        (Behaviour::Silent, hang, "did not answer CONNECT within 0.2 s".into()),
    ] {
        let proxy = HttpProxy::start();
        proxy.behave(behaviour);
        let mut config = local.config(DEVICE);
        config.tuning.set_proxy(Some(&proxy.url())).unwrap();
        let (cause, detail) = refused(config, limit);
        assert_eq!(cause, Cause::Proxy, "{behaviour:?}: {detail}");
        assert!(detail.starts_with(&format!("proxy 127.0.0.1:{} ", proxy.port())), "{detail}");
        assert!(detail.contains(&part), "{part:?} is not in {detail:?}");
    }
}

#[test]
fn a_wrong_password_for_the_proxy_is_named_and_not_shown() {
    let (local, proxy) = (Local::start(), HttpProxy::start());
    proxy.demand("me", "right");
    let mut config = local.config(DEVICE);
    let url = format!("http://me:wrong-secret@127.0.0.1:{}", proxy.port());
    config.tuning.set_proxy(Some(&url)).unwrap();
    assert!(!format!("{config:?}").contains("secret"));
    let (cause, detail) = refused(config, PATIENCE);
    assert_eq!(cause, Cause::Proxy);
    assert!(detail.contains("does not take the user name and password of its URL"), "{detail}");
    assert!(!detail.contains("secret"), "{detail}");
}

#[test]
fn every_other_refusal_has_a_cause_and_a_text() {
    let local = Local::start();
    let broker = local.hub.mqtt_port();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    type Change<'a> = Box<dyn Fn(&mut Config) + 'a>;
    let table: [(&str, Change<'_>, Cause, &str); 4] = [
        (
            "MQTT's port",
            Box::new(|config| config.tuning.set_port(broker).unwrap()),
            // The hub drops what is no CONNECT.
            Cause::ClosedByHub,
            "closed by the peer before it answered the WebSocket upgrade",
        ),
        (
            "a server that says nothing",
            Box::new(|config| config.tuning.set_port(silent_port).unwrap()),
            Cause::ConnectTimeout,
            "the TLS handshake did not end within 300ms",
        ),
        (
            "an address of another machine",
            Box::new(|config| config.tuning.set_local_address("192.0.2.1").unwrap()),
            Cause::Unreachable,
            "cannot bind to the local address 192.0.2.1",
        ),
        (
            "an interface that is not there",
            Box::new(|config| config.tuning.set_interface("no-such-link").unwrap()),
            Cause::Unreachable,
            "cannot bind to the interface no-such-link",
        ),
    ];
    for (what, change, cause, part) in table {
        let mut config = over_websocket(&local);
        change(&mut config);
        let limit = if cause == Cause::ConnectTimeout { Duration::from_millis(300) } else { PATIENCE };
        let (actual, detail) = refused(config, limit);
        assert_eq!(actual, cause, "{what}: {detail}");
        assert!(detail.contains(part), "{part:?} is not in {detail:?}");
    }
}

/// The options of a client that knows nothing of IoT Hub, for the local hub.
fn plain(local: &Local, path: &str) -> MqttConfig {
    let mut config = MqttConfig::new("localhost", DEVICE).unwrap();
    config.set_websocket_path(path).unwrap();
    config.tuning.set_transport(Transport::WebSocket);
    config.tuning.set_port(local.hub.https_port()).unwrap();
    config.tuning.set_trusted_roots(local.hub.ca_pem().as_bytes()).unwrap();
    config
}

#[test]
fn another_path_is_refused() {
    let local = Local::start();
    let client = MqttClient::threaded(plain(&local, "/elsewhere")).unwrap();
    let (sender, changes) = mpsc::channel();
    client.on_status(Some(Box::new(move |status| sender.send(status.clone()).unwrap_or_default())));
    drop(client.connect().unwrap());
    let status = std::iter::repeat_with(|| changes.recv_timeout(PATIENCE).unwrap())
        .find(|status| status.cause.is_some())
        .unwrap();
    client.free();
    assert_eq!(status.cause, Some(Cause::Protocol), "{status:?}");
    let part = "answered the WebSocket upgrade with 400 Bad Request: it does not take this path";
    assert!(status.detail.contains(part), "{status:?}");
}

/// A certificate that is wrong, and credentials: as without a WebSocket.
#[test]
fn refusals_of_tls_and_of_the_hub_are_the_same_over_websocket() {
    let local = Local::start();
    let (proxy, elsewhere) = (HttpProxy::start(), Proxy::on("127.0.0.2", local.hub.https_address()));
    let mut config = over_websocket(&local);
    config.set_gateway("127.0.0.2").unwrap();
    config.tuning.set_port(elsewhere.port()).unwrap();
    config.tuning.set_proxy(Some(&proxy.url())).unwrap();
    let (cause, detail) = refused(config, PATIENCE);
    assert_eq!(cause, Cause::TlsName, "{detail}");
    let mut config = over_websocket(&local);
    config.set_sas_key("d3Jvbmc=").unwrap();
    let device = Recorded::new(config);
    let error = wait(device.client.connect().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    assert!(error.detail().contains("CONNACK 5"), "{error}");
}

/// A link that died without a word is found by the ping that is not answered.
#[test]
fn a_half_open_connection_is_found() {
    let local = Local::start();
    for mut config in [local.config(DEVICE), over_websocket(&local)] {
        config.tuning.set_keep_alive(1).unwrap();
        config.tuning.set_ping_timeout(1).unwrap();
        let device = Recorded::connected(config);
        local.hub.fault(&Fault::new("half_open", DEVICE).count(1)).unwrap();
        let pending = device.client.send(&Message::new("kept")).unwrap();
        let status = device.fault();
        assert_eq!(status.cause, Some(Cause::KeepAlive), "{status:?}");
        device.until(ConnectionState::Connected);
        wait(pending).unwrap();
        assert_eq!(local.event("telemetry")["body"], "kept");
    }
}

#[test]
fn a_frozen_link_under_a_websocket_is_found_and_replaced() {
    let local = Local::start();
    let link = Proxy::to(local.hub.https_address());
    let mut config = over_websocket(&local);
    config.tuning.set_port(link.port()).unwrap();
    config.tuning.set_keep_alive(1).unwrap();
    config.tuning.set_ping_timeout(1).unwrap();
    let device = Recorded::connected(config);
    link.freeze(true);
    let pending = device.client.send(&Message::new("into the void")).unwrap();
    assert_eq!(device.fault().cause, Some(Cause::KeepAlive));
    link.freeze(false);
    wait(pending).unwrap();
    assert_eq!(local.event("telemetry")["body"], "into the void");
}

#[test]
fn a_client_of_topics_over_websocket() {
    let local = Local::start();
    let mut config = plain(&local, "/$iothub/websocket");
    let token = local.hub.connection_string(DEVICE).unwrap();
    let key = token.split("SharedAccessKey=").nth(1).unwrap();
    let key = iothub_mqtt::hub::SharedAccessKey::from_base64(key).unwrap();
    let resource = iothub_mqtt::hub::sas::encode_resource(&format!("localhost/devices/{DEVICE}"));
    let password = iothub_mqtt::hub::sas::token(&resource, &key, 4_000_000_000, None);
    config.set_credentials(&format!("localhost/{DEVICE}/?api-version=2021-04-12"), Some(&password));
    let client = MqttClient::threaded(config).unwrap();
    wait(client.connect().unwrap()).unwrap();
    let topic = format!("devices/{DEVICE}/messages/events/");
    let publish = Publish { topic: &topic, payload: b"plain", qos: QoS::AtLeastOnce, retain: false };
    assert_eq!(wait(client.publish(&publish).unwrap()).unwrap(), Answer::Done);
    assert_eq!(local.event("telemetry")["body"], "plain");
    client.free();
}
