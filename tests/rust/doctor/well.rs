//! All is well.

use std::sync::{Arc, mpsc};

use iothub_emulator::{CloudMessage, Options};
use iothub_mqtt::hub::{Message, SharedAccessKey};
use iothub_mqtt::io::Ack;
use iothub_mqtt::{Check, Config, ConnectionState, Verdict};
use iothub_tests::http_proxy::HttpProxy;
use iothub_tests::workload::Workload;
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
    assert_eq!(local.event("connected")["session_present"], false);
    examine(&local.config(DEVICE)).1.unwrap();
    device.until(ConnectionState::Connected);
    // The doctor, and the device again.
    for _ in 0..2 {
        assert_eq!(local.event("connected")["session_present"], true);
    }
    local.hub.send_c2d(DEVICE, CloudMessage::new("still here")).unwrap();
    assert_eq!(received.recv_timeout(PATIENCE).unwrap(), b"still here");
}

/// As a client does: files are read again, and a signer runs aside.
#[test]
fn all_is_well_with_certificates_from_elsewhere() {
    let (before, now) = (Owned::until(2030), Owned::until(2049));
    let local = Local::with(Options::default().x509_device(DEVICE, &now.thumbprint));
    let folder = tempfile::TempDir::new().unwrap();
    let (certificate, key) = (folder.path().join("device.pem"), folder.path().join("key.pem"));
    let write = |owned: &Owned| {
        std::fs::write(&certificate, &owned.pem).unwrap();
        std::fs::write(&key, &owned.key).unwrap();
    };
    write(&before);
    let mut config = local.config(DEVICE);
    config.set_x509_files(&certificate, &key).unwrap();
    write(&now);
    let (findings, result) = examine(&config);
    result.unwrap();
    holds(well(&findings, Check::Options), &["a certificate from files", "good until 2049-01-01"]);

    let mut config = local.config(DEVICE);
    config.set_x509_signer(now.pem.as_bytes(), now.signer()).unwrap();
    let (findings, result) = examine(&config);
    result.unwrap();
    holds(well(&findings, Check::Options), &["signs through a callback", "good until 2049-01-01"]);
}

/// Whom to trust is asked for on the way.
#[test]
fn all_is_well_with_a_module_of_iot_edge() {
    let options = Options { name: "hub.invalid".into(), ..Options::default() };
    let local = Local::with(options.device(DEVICE).module(DEVICE, "camera"));
    let string = local.hub.connection_string("device-1/camera").unwrap();
    let workload = Workload::start(&string, local.hub.ca_pem());
    let mut config = Config::new();
    config
        .set_edge_variables(|name| {
            let value = match name {
                "IOTEDGE_IOTHUBHOSTNAME" => "hub.invalid".to_owned(),
                "IOTEDGE_GATEWAYHOSTNAME" => "localhost".to_owned(),
                "IOTEDGE_DEVICEID" => DEVICE.to_owned(),
                "IOTEDGE_MODULEID" => "camera".to_owned(),
                "IOTEDGE_MODULEGENERATIONID" => "63700/1".to_owned(),
                "IOTEDGE_WORKLOADURI" => workload.uri(),
                "IOTEDGE_AUTHSCHEME" => "sasToken".to_owned(),
                "IOTEDGE_APIVERSION" => "2019-01-30".to_owned(),
                _ => return None,
            };
            Some(value)
        })
        .unwrap();
    config.tuning.set_port(local.hub.mqtt_port()).unwrap();
    let (findings, result) = examine(&config);
    result.unwrap();
    holds(well(&findings, Check::Options), &["device-1/camera of hub.invalid", "signed by IoT Edge"]);
    holds(well(&findings, Check::Tls), &["trusted by a root in the trust bundle of IoT Edge"]);
}
