//! All is well.

use std::sync::{Arc, mpsc};

use iothub_emulator::{CloudMessage, Options};
use iothub_mqtt::hub::{Message, SharedAccessKey};
use iothub_mqtt::io::Ack;
use iothub_mqtt::{Check, ConnectionState, Verdict};
use iothub_tests::http_proxy::HttpProxy;
use iothub_tests::{DEVICE, Local, PATIENCE, Recorded};

use crate::patient::*;

#[test]
fn all_is_well_over_mqtt() {
    let local = Local::start();
    let (findings, result) = examine(&local.config(DEVICE));
    result.unwrap();
    let port = local.hub.mqtt_port();
    holds(well(&findings, Check::Options), &["device-1 of localhost", "with a key"]);
    holds(well(&findings, Check::Clock), &["UTC"]);
    holds(well(&findings, Check::Name), &["localhost has the address", "127.0.0.1"]);
    holds(well(&findings, Check::Tcp), &[&format!("connected to 127.0.0.1:{port} from 127.0.0.1")]);
    holds(
        well(&findings, Check::Tls),
        &[
            "TLS 1.3",
            "\"localhost\"",
            "issued by \"iothub-emulator local authority\"",
            "2049-12-31",
            "trusted_roots",
        ],
    );
    holds(well(&findings, Check::Credentials), &["the hub let device-1 in"]);
    for check in [Check::Proxy, Check::WebSocket] {
        assert_eq!(verdict(&findings, check), Verdict::NotNeeded);
    }
    // A goodbye, and no break.
    let seen = local.event("connected");
    assert_eq!(seen["device"], DEVICE);
    assert_eq!(local.event("disconnected")["code"], "client");
}

#[test]
fn all_is_well_over_websocket_and_through_a_proxy() {
    let (local, proxy) = (Local::start(), HttpProxy::start());
    proxy.demand("me", "secret-of-the-proxy");
    let mut config = over_websocket(&local);
    let url = format!("http://me:secret-of-the-proxy@127.0.0.1:{}", proxy.port());
    config.tuning.set_proxy(Some(&url)).unwrap();
    let (findings, result) = examine(&config);
    result.unwrap();
    holds(well(&findings, Check::Proxy), &[&format!("proxy 127.0.0.1:{} opened a tunnel", proxy.port())]);
    holds(well(&findings, Check::WebSocket), &["takes MQTT at /$iothub/websocket", "agrees with the hub's"]);
    for check in [Check::Name, Check::Tcp] {
        assert_eq!(verdict(&findings, check), Verdict::NotNeeded);
    }
    assert!(findings.iter().all(|finding| !finding.detail.contains("secret")));
    assert_eq!(local.event("connected")["protocol"], "websocket");
}

#[test]
fn all_is_well_with_a_certificate_and_with_a_signer() {
    let owned = Owned::until(2049);
    let local = Local::with(Options::default().x509_device(DEVICE, &owned.thumbprint));
    let mut config = local.config(DEVICE);
    owned.show(&mut config);
    let (findings, result) = examine(&config);
    result.unwrap();
    holds(well(&findings, Check::Options), &["with a certificate", "good until 2049-01-01"]);

    let local = Local::start();
    let string = local.hub.connection_string(DEVICE).unwrap();
    let key = SharedAccessKey::from_base64(string.split("SharedAccessKey=").nth(1).unwrap()).unwrap();
    let mut config = local.config(DEVICE);
    config.set_sas_signer(Arc::new(move |data: &[u8]| Ok(key.sign(data).to_vec())));
    let (findings, result) = examine(&config);
    result.unwrap();
    holds(well(&findings, Check::Options), &["signed by a callback"]);
}

/// A device that runs is thrown out, comes back, and has lost nothing.
#[test]
fn a_device_that_runs_comes_back_with_its_session() {
    let local = Local::start();
    let device = Recorded::new(local.config(DEVICE));
    let (sender, received) = mpsc::channel();
    let handler = move |message: &Message, _| {
        sender.send(message.body().to_vec()).unwrap_or_default();
        Ack::Now
    };
    device.client.on_message(Some(Box::new(handler))).unwrap();
    iothub_tests::wait(device.client.connect().unwrap()).unwrap();
    device.until(ConnectionState::Connected);
    examine(&local.config(DEVICE)).1.unwrap();
    device.until(ConnectionState::Connected);
    local.hub.send_c2d(DEVICE, CloudMessage::new("still here")).unwrap();
    assert_eq!(received.recv_timeout(PATIENCE).unwrap(), b"still here");
}
