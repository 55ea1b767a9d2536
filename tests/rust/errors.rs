//! What a person reads when something is wrong: each error names the place and the rule, and no secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use iothub_mqtt::hub::sas::token;
use iothub_mqtt::hub::{Identity, Message, SharedAccessKey};
use iothub_mqtt::io::Cause;
use iothub_mqtt::mqtt::{Publish, QoS};
use iothub_mqtt::{Config, ErrorKind, Status};
use iothub_tests::proxy::Proxy;
use iothub_tests::{DEVICE, Local, Recorded, wait};
use rcgen::{CertificateParams, KeyPair};

const OTHER_KEY: &str = "c29tZSBvdGhlciBrZXkgdGhhdCBpcyBub3QgcmVnaXN0ZXJlZA==";

/// Connects and returns how it failed first, having checked that the text holds no secret.
fn failure(config: Config, secrets: &[&str]) -> Status {
    let device = Recorded::new(config);
    drop(device.client.connect().unwrap());
    let status = device.fault();
    for secret in secrets {
        assert!(!status.detail.contains(secret), "a secret in {:?}", status.detail);
    }
    println!("{:?}: {}", status.cause.unwrap(), status.detail);
    status
}

fn refusal(config: Config) -> iothub_mqtt::Error {
    let device = Recorded::new(config);
    wait(device.client.connect().unwrap()).unwrap_err()
}

#[test]
fn wrong_key() {
    let local = Local::start();
    let mut config = local.config(DEVICE);
    config.set_sas_key(OTHER_KEY).unwrap();
    let status = failure(config.clone(), &[OTHER_KEY, "SharedAccessSignature"]);
    assert_eq!(status.cause, Some(Cause::Authentication));
    assert!(status.detail.contains("CONNACK 5"), "{}", status.detail);
    assert_eq!(refusal(config).kind(), ErrorKind::Auth);
}

#[test]
fn expired_token() {
    let local = Local::start();
    let identity = Identity::new("localhost", DEVICE, None).unwrap();
    let string = local.hub.connection_string(DEVICE).unwrap();
    let key = SharedAccessKey::from_base64(string.split_once("SharedAccessKey=").unwrap().1).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut config = local.config(DEVICE);
    config.set_sas_token(&token(&identity.sas_resource(), &key, now - 1000, None)).unwrap();
    let status = failure(config, &["SharedAccessSignature"]);
    assert_eq!(status.cause, Some(Cause::Authentication));
    assert!(status.detail.contains("expired 100"), "{}", status.detail);
}

#[test]
fn untrusted_root() {
    let (local, other) = (Local::start(), Local::start());
    let mut config = local.config(DEVICE);
    config.tuning.set_trusted_roots(other.hub.ca_pem().as_bytes()).unwrap();
    assert_eq!(failure(config.clone(), &[]).cause, Some(Cause::TlsUntrusted));
    assert_eq!(refusal(config).kind(), ErrorKind::Tls);
}

#[test]
fn wrong_host_name() {
    let local = Local::start();
    let elsewhere = Proxy::on("127.0.0.2", local.hub.mqtt_address());
    let mut config = local.config(DEVICE);
    config.set_gateway("127.0.0.2").unwrap();
    config.tuning.set_port(elsewhere.port()).unwrap();
    let status = failure(config, &[]);
    assert_eq!(status.cause, Some(Cause::TlsName));
    assert!(status.detail.contains("127.0.0.2"), "{}", status.detail);
}

#[test]
fn refused_port() {
    let local = Local::start();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = local.config(DEVICE);
    config.tuning.set_port(free).unwrap();
    let status = failure(config, &[]);
    assert_eq!(status.cause, Some(Cause::ConnectionRefused));
    assert!(status.detail.contains(&free.to_string()), "{}", status.detail);
}

#[test]
fn unknown_host() {
    let local = Local::start();
    let mut config = local.config(DEVICE);
    config.set_gateway("no-such-hub.invalid").unwrap();
    let status = failure(config, &[]);
    assert_eq!(status.cause, Some(Cause::Dns));
    assert!(status.detail.contains("no-such-hub.invalid"), "{}", status.detail);
}

#[test]
fn refused_at_the_call_and_nothing_is_sent() {
    let local = Local::start();
    let device = Recorded::connected(local.config(DEVICE));
    let mqtt = device.client.mqtt();
    let publish = |topic, qos, len: usize| {
        let payload = vec![0; len];
        mqtt.publish(&Publish { topic, payload: &payload, qos, retain: false }).unwrap_err()
    };
    let own = "devices/device-1/messages/events/";
    let cases = [
        (publish(own, QoS::ExactlyOnce, 1), ErrorKind::Argument, "QoS 2"),
        (publish(own, QoS::AtLeastOnce, 257 * 1024), ErrorKind::TooLarge, "262144"),
        (publish("devices/device-2/messages/events/", QoS::AtLeastOnce, 1), ErrorKind::Argument, "device-2"),
        (publish("weather", QoS::AtLeastOnce, 1), ErrorKind::Argument, "topic"),
        (publish("a/#", QoS::AtLeastOnce, 1), ErrorKind::Argument, "'#'"),
        (device.client.send(&Message::new(vec![0; 257 * 1024])).unwrap_err(), ErrorKind::TooLarge, "262144"),
        (
            mqtt.subscribe(vec![("weather/#".into(), QoS::AtLeastOnce)]).unwrap_err(),
            ErrorKind::Argument,
            "devicebound",
        ),
    ];
    for (error, kind, word) in cases {
        println!("{:?}: {error}", error.kind());
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.detail().contains(word), "{error}");
    }
    // The connection is untouched: the next message goes through it.
    wait(device.client.send(&Message::new("fine")).unwrap()).unwrap();
    assert_eq!(local.event("telemetry")["body"], "fine");
    assert!(local.hub.is_connected(DEVICE));
    assert!(device.changes.try_recv().is_err());
}

#[test]
fn broken_connection_strings() {
    let cases = [
        ("", "empty"),
        ("HostName=h", "DeviceId"),
        ("DeviceId=d;SharedAccessKey=Zm9v", "HostName"),
        ("HostName=h;DeviceId=d", "SharedAccessKey"),
        ("HostName=h;DeviceId=d;SharedAccessKey=not base64", "base64"),
        ("HostName=h;DeviceId=d;SharedAccessKey=Zm9", "base64"),
        ("HostName=h;DeviceId=d;SharedAccessKey=Zm9v;x509=true", "x509"),
        ("HostName=h;DeviceId=d;SharedAccessKey=", "SharedAccessKey"),
        ("HostName=h;HostName=i;DeviceId=d;SharedAccessKey=Zm9v", "HostName"),
        ("HostName=h;DeviceId=a b;SharedAccessKey=Zm9v", "DeviceId"),
        ("HostName=h;DeviceId=a/b;SharedAccessKey=Zm9v", "DeviceId"),
        ("HostName=https://h/;DeviceId=d;SharedAccessKey=Zm9v", "HostName"),
        ("HostName=h;DeviceId=d;SharedAcessKey=Zm9v", "SharedAcessKey"),
        ("HostName=h;;DeviceId=d;SharedAccessKey=Zm9v", "empty"),
        ("HostName=h;DeviceId;SharedAccessKey=Zm9v", "="),
        ("HostName=h;SharedAccessKeyName=iothubowner;SharedAccessKey=Zm9v", "DeviceId"),
        ("HostName=h;DeviceId=d;SharedAccessSignature=SharedAccessSignature sr=x&sig=y", "se"),
    ];
    for (text, word) in cases {
        let error = Config::new().set_connection_string(text).unwrap_err();
        println!("{text:60} {error}");
        assert_eq!(error.kind(), ErrorKind::Argument, "{text}");
        assert!(error.detail().contains(word), "{text}: {error}");
        assert!(!error.detail().contains("Zm9v"), "a secret in {error}");
    }
}

#[test]
fn bad_certificates() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["d".to_owned()]).unwrap().self_signed(&key).unwrap().pem();
    let other = KeyPair::generate().unwrap().serialize_pem();
    let mut config = Config::new();
    let cases = [
        (config.set_x509(b"not PEM", key.serialize_pem().as_bytes()).unwrap_err(), "certificate"),
        (config.set_x509(certificate.as_bytes(), b"not PEM").unwrap_err(), "private_key"),
        (config.set_x509(certificate.as_bytes(), other.as_bytes()).unwrap_err(), "private_key"),
        (config.tuning.set_trusted_roots(b"-----BEGIN CERTIFICATE-----\n!\n").unwrap_err(), "trusted_roots"),
        (config.tuning.set_trusted_roots(b"").unwrap_err(), "trusted_roots"),
    ];
    for (error, name) in cases {
        println!("{error}");
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(error.detail().contains(name), "{error}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let mut config = Config::new();
    let missing =
        |config: &Config| iothub_mqtt::DeviceClient::driven(config.clone()).unwrap_err().to_string();
    assert!(missing(&config).contains("identity"));
    config.set_identity("h.azure-devices.net", "d", None).unwrap();
    assert!(missing(&config).contains("credential"));
    config.set_connection_string("HostName=h;DeviceId=d;x509=true").unwrap();
    assert!(missing(&config).contains("certificate"));
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    let mut tuning = iothub_mqtt::Tuning::default();
    let errors = [
        tuning.set_port(0).unwrap_err(),
        tuning.set_keep_alive(0).unwrap_err(),
        tuning.set_keep_alive(1178).unwrap_err(),
        tuning.set_connect_timeout(Duration::ZERO).unwrap_err(),
        tuning.set_queue_limits(0, 1 << 20).unwrap_err(),
        tuning.set_in_flight(0).unwrap_err(),
        tuning.set_time_to_live(Some(Duration::ZERO)).unwrap_err(),
        tuning.set_backoff(Duration::from_secs(2), Duration::from_secs(1)).unwrap_err(),
    ];
    for error in errors {
        println!("{error}");
        assert!(error.detail().contains(".."), "{error}");
    }
}
