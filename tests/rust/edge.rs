//! A module of IoT Edge: identity, gateway, tokens and roots from what the Edge daemon provides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iothub_emulator::{Fault, Options};
use iothub_mqtt::hub::Message;
use iothub_mqtt::io::Cause;
use iothub_mqtt::{Config, ConnectionState, ErrorKind, Result};
use iothub_tests::workload::{Mood, Workload};
use iothub_tests::{DEVICE, Local, PATIENCE, Recorded, wait};

const MODULE: &str = "device-1/camera";
/// The gateway: the certificate of the local hub names it, and its hub has another name.
const GATEWAY: &str = "127.0.0.1";
const HUB: &str = "contoso.azure-devices.net";

fn edge() -> Local {
    let options = Options { name: HUB.to_owned(), ..Options::default() };
    Local::with(options.device(DEVICE).module(DEVICE, "camera"))
}

fn string(local: &Local) -> String {
    local.hub.connection_string(MODULE).unwrap()
}

fn variables(workload: &Workload) -> HashMap<&'static str, String> {
    [
        ("IOTEDGE_IOTHUBHOSTNAME", HUB),
        ("IOTEDGE_GATEWAYHOSTNAME", GATEWAY),
        ("IOTEDGE_DEVICEID", DEVICE),
        ("IOTEDGE_MODULEID", "camera"),
        ("IOTEDGE_MODULEGENERATIONID", "63700/1"),
        ("IOTEDGE_WORKLOADURI", &workload.uri()),
        ("IOTEDGE_AUTHSCHEME", "sasToken"),
        ("IOTEDGE_APIVERSION", "2019-01-30"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

fn set(config: &mut Config, variables: &HashMap<&'static str, String>) -> Result<()> {
    config.set_edge_variables(|name| variables.get(name).cloned())
}

/// Impatient, and without any root of its own.
fn config(local: &Local, workload: &Workload) -> Config {
    let mut config = Config::new();
    set(&mut config, &variables(workload)).unwrap();
    config.tuning.set_port(local.hub.mqtt_port()).unwrap();
    config.tuning.set_backoff(Duration::from_millis(10), Duration::from_millis(50)).unwrap();
    config.tuning.set_slow_backoff(Duration::from_millis(50), Duration::from_millis(100)).unwrap();
    config
}

#[test]
fn a_module_is_let_in_by_the_signature_of_the_daemon_and_trusts_its_bundle() {
    for mood in [Mood::Helpful, Mood::Chunked] {
        let local = edge();
        let workload = Workload::start(&string(&local), local.hub.ca_pem());
        workload.be(mood);
        // Its user name and token are for the hub, or the hub would refuse them; TLS verified the gateway's name.
        let module = Recorded::connected(config(&local, &workload));
        wait(module.client.send(&Message::new("frame")).unwrap()).unwrap();
        let event = local.event("telemetry");
        assert_eq!((&event["device"], &event["module"]), (&DEVICE.into(), &"camera".into()));
        let (line, _) = workload.requests.recv().unwrap();
        assert_eq!(line, "GET /trust-bundle?api-version=2019-01-30");
        let (line, body) = workload.requests.recv().unwrap();
        assert_eq!(line, "POST /modules/camera/genid/63700%2F1/sign?api-version=2019-01-30");
        assert_eq!((&body["keyId"], &body["algo"]), (&"primary".into(), &"HMACSHA256".into()));
        let data = String::from_utf8(STANDARD.decode(body["data"].as_str().unwrap()).unwrap()).unwrap();
        let (resource, expiry) = data.split_once('\n').unwrap();
        assert_eq!(resource, format!("{HUB}%2Fdevices%2F{DEVICE}%2Fmodules%2Fcamera"));
        assert!(expiry.parse::<u64>().is_ok());
        // Both are asked for again for the next connection.
        local.hub.fault(&Fault::new("drop", MODULE)).unwrap();
        module.until(ConnectionState::Connected);
        assert_eq!(workload.requests.try_iter().count(), 2);
    }
}

#[test]
fn the_tls_name_is_that_of_the_gateway() {
    let local = edge();
    let workload = Workload::start(&string(&local), local.hub.ca_pem());
    let elsewhere = iothub_tests::proxy::Proxy::on("127.0.0.2", local.hub.mqtt_address());
    let mut config = config(&local, &workload);
    config.set_gateway("127.0.0.2").unwrap();
    config.tuning.set_port(elsewhere.port()).unwrap();
    let module = Recorded::new(config);
    drop(module.client.connect().unwrap());
    assert_eq!(module.fault().cause, Some(Cause::TlsName));
}

#[test]
fn a_bundle_of_others_trusts_nobody_here() {
    let (local, other) = (edge(), Local::start());
    let workload = Workload::start(&string(&local), other.hub.ca_pem());
    let module = Recorded::new(config(&local, &workload));
    drop(module.client.connect().unwrap());
    assert_eq!(module.fault().cause, Some(Cause::TlsUntrusted));
    // Roots that the user has chosen replace the bundle.
    let mut config = config(&local, &workload);
    config.tuning.set_trusted_roots(local.hub.ca_pem().as_bytes()).unwrap();
    workload.requests.try_iter().for_each(drop);
    module.client.free();
    workload.requests.try_iter().for_each(drop);
    drop(Recorded::connected(config));
    let lines: Vec<_> = workload.requests.try_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, ["POST /modules/camera/genid/63700%2F1/sign?api-version=2019-01-30"]);
}

#[test]
fn a_daemon_over_http_serves_for_development() {
    let local = edge();
    let workload = Workload::absent().with_http(&string(&local), local.hub.ca_pem());
    drop(Recorded::connected(config(&local, &workload)));
    assert_eq!(workload.requests.try_iter().count(), 2);
}

#[test]
fn a_daemon_that_starts_late_is_waited_for_as_for_a_network() {
    let local = edge();
    let mut workload = Workload::absent();
    let module = Recorded::new(config(&local, &workload));
    let connected = module.client.connect().unwrap();
    for _ in 0..2 {
        let status = module.fault();
        assert_eq!(status.cause, Some(Cause::Network), "{status:?}");
        assert!(status.detail.contains("workload.sock gave no answer: No such file"), "{status:?}");
    }
    workload.appear(&string(&local), local.hub.ca_pem());
    wait(connected).unwrap();
}

#[test]
fn a_daemon_that_refuses_or_is_silent_is_told_and_asked_again() {
    let local = edge();
    let workload = Workload::start(&string(&local), local.hub.ca_pem());
    for (mood, cause, part) in [
        (
            Mood::Refusing,
            Cause::Authentication,
            "answered 404 to /trust-bundle?api-version=2019-01-30: Module not found",
        ),
        (Mood::Confused, Cause::Authentication, "the SAS signer gave 31 bytes"),
        (Mood::Silent, Cause::Network, "workload.sock gave no answer: timed out"),
    ] {
        workload.be(mood);
        let mut config = config(&local, &workload);
        config.tuning.set_connect_timeout(Duration::from_millis(400)).unwrap();
        let module = Recorded::new(config);
        drop(module.client.connect().unwrap());
        let status = module.fault();
        assert_eq!(status.cause, Some(cause), "{status:?}");
        assert!(status.detail.contains(part), "{part:?} is not in {}", status.detail);
        workload.be(Mood::Helpful);
        module.until(ConnectionState::Connected);
    }
}

#[test]
fn variables_are_checked() {
    let workload = Workload::absent();
    let full = variables(&workload);
    for name in [
        "IOTEDGE_IOTHUBHOSTNAME",
        "IOTEDGE_DEVICEID",
        "IOTEDGE_MODULEID",
        "IOTEDGE_MODULEGENERATIONID",
        "IOTEDGE_WORKLOADURI",
        "IOTEDGE_AUTHSCHEME",
    ] {
        for blank in [None, Some(" ".to_owned())] {
            let mut some = full.clone();
            some.remove(name);
            some.extend(blank.map(|blank| (name, blank)));
            let error = set(&mut Config::new(), &some).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Argument);
            assert!(error.detail().starts_with(&format!("{name}: is not set")), "{error}");
        }
    }
    for (name, value) in [
        ("IOTEDGE_AUTHSCHEME", "x509"),
        ("IOTEDGE_WORKLOADURI", "/run/workload.sock"),
        ("IOTEDGE_GATEWAYHOSTNAME", "a b"),
        ("IOTEDGE_DEVICEID", "a/b"),
    ] {
        let mut wrong = full.clone();
        wrong.insert(name, value.to_owned());
        let mut config = Config::new();
        let error = set(&mut config, &wrong).unwrap_err();
        assert!(
            error.detail().contains(if name == "IOTEDGE_DEVICEID" { "DeviceId" } else { name }),
            "{error}"
        );
        // Nothing was kept of it.
        let untouched = iothub_mqtt::DeviceClient::driven(config).map(drop).unwrap_err();
        assert!(untouched.detail().starts_with("identity: not given"), "{untouched}");
    }
    // Without a gateway the hub itself is dialled; this process is no module.
    let mut direct = full.clone();
    direct.remove("IOTEDGE_GATEWAYHOSTNAME");
    set(&mut Config::new(), &direct).unwrap();
    assert!(Config::new().set_edge_environment().is_err());
}

#[test]
fn development_variables_come_first() {
    let local = edge();
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), local.hub.ca_pem()).unwrap();
    let workload = Workload::absent();
    for name in ["EdgeHubConnectionString", "IotHubConnectionString"] {
        let mut given = variables(&workload);
        given.insert(name, format!("{};GatewayHostName={GATEWAY}", string(&local)));
        given.insert("EdgeModuleCACertificateFile", roots.path().display().to_string());
        let mut config = Config::new();
        set(&mut config, &given).unwrap();
        config.tuning.set_port(local.hub.mqtt_port()).unwrap();
        let module = Recorded::connected(config);
        wait(module.client.close(PATIENCE).unwrap()).unwrap();

        given.insert("EdgeModuleCACertificateFile", "/nowhere/roots.pem".to_owned());
        let error = set(&mut Config::new(), &given).unwrap_err();
        assert!(error.detail().contains("EdgeModuleCACertificateFile: /nowhere/roots.pem"), "{error}");
        given.insert(name, "HostName=SECRET".to_owned());
        let error = set(&mut Config::new(), &given).unwrap_err();
        assert!(error.detail().starts_with(name) && !error.detail().contains("SECRET"), "{error}");
    }
}
