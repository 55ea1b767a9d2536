//! What is wrong with options and credentials.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use iothub_emulator::{Fault, Options};
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use iothub_mqtt::{Check, Config, Error, ErrorKind, Transport, Verdict};
use iothub_tests::http_proxy::HttpProxy;
use iothub_tests::tls_server::TlsServer;
use iothub_tests::{DEVICE, Local};

use crate::patient::*;

#[test]
fn what_the_options_lack() {
    let local = Local::start();
    let owned = Owned::until(2024);
    let mut expired = local.config(DEVICE);
    owned.show(&mut expired);
    let mut unnamed = Config::new();
    unnamed.set_sas_key("c2VjcmV0").unwrap();
    let mut keyless = Config::new();
    keyless.set_identity("localhost", DEVICE, None).unwrap();
    let mut bare = Config::new();
    bare.set_connection_string("HostName=localhost.lan;DeviceId=d;x509=true").unwrap();
    for (what, config, kind, said) in [
        ("no identity", unnamed, ErrorKind::Argument, parts(&["identity", "set a connection string"])),
        ("no credential", keyless, ErrorKind::Argument, parts(&["credential", "set a key"])),
        ("no certificate", bare, ErrorKind::Argument, parts(&["certificate", "x509=true"])),
    ] {
        let findings = fails(&Case { what, config, check: Check::Options, kind, parts: said });
        assert_eq!(verdict(&findings, Check::Clock), Verdict::Passed);
        for check in [Check::Name, Check::Tcp, Check::Credentials] {
            assert_eq!(verdict(&findings, check), Verdict::NotDone);
        }
    }
    let findings = fails(&Case {
        what: "an expired certificate of the device",
        config: expired,
        check: Check::Options,
        kind: ErrorKind::Auth,
        parts: parts(&["expired on 2024-01-01", "renew it", "thumbprint"]),
    });
    // The rest does not depend on it.
    assert_eq!(verdict(&findings, Check::Tls), Verdict::Passed);
}

#[test]
fn what_the_hub_refuses() {
    let local = Local::start();
    let owned = Owned::until(2049);
    let known = Owned::until(2049);
    let by_certificate = Local::with(Options::default().x509_device(DEVICE, &known.thumbprint));
    let mut wrong_key = local.config(DEVICE);
    wrong_key.set_sas_key("d3Jvbmctc2VjcmV0").unwrap();
    let mut stranger = local.config(DEVICE);
    stranger.set_identity("localhost", "stranger", None).unwrap();
    let string = local.hub.connection_string(DEVICE).unwrap();
    let key = SharedAccessKey::from_base64(string.split("SharedAccessKey=").nth(1).unwrap()).unwrap();
    let resource = sas::encode_resource(&format!("localhost/devices/{DEVICE}"));
    let mut stale = local.config(DEVICE);
    stale.set_sas_token(&sas::token(&resource, &key, now() - 3600, None)).unwrap();
    let mut mismatch = by_certificate.config(DEVICE);
    owned.show(&mut mismatch);
    let mut wrong_key_by_websocket = over_websocket(&local);
    wrong_key_by_websocket.set_sas_key("d3Jvbmctc2VjcmV0").unwrap();
    for (what, config, said) in [
        (
            "a wrong key",
            wrong_key,
            parts(&["CONNACK 5", "clock of this machine", "primary or secondary key", "in the portal"]),
        ),
        (
            "a wrong key, and the time of the hub",
            wrong_key_by_websocket,
            parts(&["CONNACK 5", "agrees with the hub's", "primary or secondary key"]),
        ),
        ("an unknown device", stranger, parts(&["CONNACK 5", "stranger is registered", "enabled"])),
        ("an expired token", stale, parts(&["the SAS token expired 36", "has not expired"])),
        (
            "another certificate",
            mismatch,
            parts(&["CONNACK 5", "SHA-256 thumbprint", &owned.thumbprint, "\"device-1\""]),
        ),
    ] {
        let findings =
            fails(&Case { what, config, check: Check::Credentials, kind: ErrorKind::Auth, parts: said });
        for finding in findings {
            assert!(!finding.detail.contains("d3Jvbmct") && !finding.detail.contains("sig="), "{finding:?}");
        }
    }
    for (fault, kind, said) in [
        (Fault::new("refuse", DEVICE).code(3), ErrorKind::Network, parts(&["CONNACK 3", "try again later"])),
        (Fault::new("refuse", DEVICE).code(2), ErrorKind::Auth, parts(&["CONNACK 2", "client id"])),
        (Fault::new("mute", DEVICE), ErrorKind::Network, parts(&["no CONNACK within 500ms", "silent"])),
    ] {
        local.hub.fault(&fault.count(1)).unwrap();
        let mut config = local.config(DEVICE);
        if kind == ErrorKind::Network && said[0].contains("500ms") {
            config.tuning.set_connect_timeout(Duration::from_millis(500)).unwrap();
        }
        fails(&Case { what: "a fault of the hub", config, check: Check::Credentials, kind, parts: said });
    }
}

#[test]
fn what_makes_the_credentials_fails_or_hangs() {
    let local = Local::start();
    let mut failing = local.config(DEVICE);
    failing.set_sas_signer(Arc::new(|_: &[u8]| Err(Error::new(ErrorKind::Auth, "the TPM is locked"))));
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let mut hanging = local.config(DEVICE);
    hanging.tuning.set_connect_timeout(Duration::from_millis(500)).unwrap();
    hanging.set_sas_token_source(Arc::new(move || {
        released.lock().unwrap().recv().unwrap_or_default();
        Err(Error::new(ErrorKind::Auth, "too late"))
    }));
    for (what, config, said) in [
        ("a signer that fails", failing, parts(&["the TPM is locked", "not the hub"])),
        ("a source that hangs", hanging, parts(&["the SAS token source did not answer within 500ms"])),
    ] {
        let findings =
            fails(&Case { what, config, check: Check::Credentials, kind: ErrorKind::Auth, parts: said });
        assert_eq!(verdict(&findings, Check::Tls), Verdict::Passed);
    }
    let owned = Owned::until(2049);
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let mut stuck = local.config(DEVICE);
    stuck.tuning.set_connect_timeout(Duration::from_millis(500)).unwrap();
    let sign = move |_, _: &[u8]| {
        gone.lock().unwrap().recv().unwrap_or_default();
        Ok(Vec::new())
    };
    stuck.set_x509_signer(owned.pem.as_bytes(), Arc::new(sign)).unwrap();
    fails(&Case {
        what: "a TLS signer that hangs",
        config: stuck,
        check: Check::Tls,
        kind: ErrorKind::Auth,
        parts: parts(&["the TLS signer did not answer within 500ms"]),
    });
    drop((release, go));
}

/// The port of MQTT says no word of the time; the other one does.
#[test]
fn a_clock_that_is_wrong_is_said_where_a_token_is_refused() {
    const TWO_DAYS: u64 = 2 * 86_400 + 60;
    let (local, proxy) = (Local::start(), HttpProxy::start());
    let date = http_date(now() + TWO_DAYS);
    let answer = format!("HTTP/1.1 400 Bad Request\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n");
    let web = TlsServer::answering("localhost", "Web Root", answer, |_| {});
    proxy.resolve_port_to(8883, local.hub.mqtt_address());
    proxy.resolve_port_to(443, web.address());
    let mut config = local.config(DEVICE);
    config.tuning.set_trusted_roots(format!("{}{}", local.hub.ca_pem(), web.root()).as_bytes()).unwrap();
    config.tuning.set_proxy(Some(&proxy.url())).unwrap();
    config.tuning.set_port(8883).unwrap();
    let mut wrong_key = config.clone();
    wrong_key.set_sas_key("d3Jvbmctc2VjcmV0").unwrap();
    fails(&Case {
        what: "a clock that is behind",
        config: wrong_key,
        check: Check::Credentials,
        kind: ErrorKind::Auth,
        parts: parts(&["CONNACK 5", "the clock of this machine is 2 days behind the hub's", "set it"]),
    });
    assert_eq!(proxy.targets(), ["localhost:8883", "localhost:443"]);

    // Over WebSocket it is seen on the way, with a refusal too.
    config.tuning.set_transport(Transport::WebSocket);
    config.tuning.set_port(443).unwrap();
    fails(&Case {
        what: "a clock that is behind, over WebSocket",
        config,
        check: Check::WebSocket,
        kind: ErrorKind::Protocol,
        parts: parts(&["400 Bad Request", "2 days behind the hub's"]),
    });
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`; nobody looks at the name of the day.
fn http_date(seconds: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (mut days, clock) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("Sun, {:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", days + 1, MONTHS[month])
}
