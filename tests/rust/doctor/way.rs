//! What is wrong on the way to the hub.

use std::net::TcpListener;
use std::time::Duration;

use iothub_emulator::Options;
use iothub_mqtt::{Check, ErrorKind, Verdict};
use iothub_tests::http_proxy::{Behaviour, HttpProxy};
use iothub_tests::{DEVICE, Local};

use crate::patient::*;

#[test]
fn what_is_wrong_with_the_way() {
    let local = Local::start();
    let brief = Duration::from_millis(300);
    let mut nameless = local.config(DEVICE);
    nameless.set_gateway("no-such-hub.invalid").unwrap();
    let mut closed = local.config(DEVICE);
    let (_held, unused) = unused_address();
    closed.tuning.set_port(unused.port()).unwrap();
    // An address of its own: this machine may have a hub on port 443.
    closed.set_gateway("127.94.30.7").unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut mute = local.config(DEVICE);
    mute.tuning.set_port(silent.local_addr().unwrap().port()).unwrap();
    mute.tuning.set_connect_timeout(brief).unwrap();
    let mut away = local.config(DEVICE);
    away.tuning.set_local_address("192.0.2.1").unwrap();
    let mut plain = over_websocket(&local);
    plain.tuning.set_port(local.hub.mqtt_port()).unwrap();
    for (case, not_done) in [
        (
            Case {
                what: "a name that is not there",
                config: nameless,
                check: Check::Name,
                kind: ErrorKind::Network,
                parts: parts(&[
                    "no-such-hub.invalid: the name lookup failed",
                    "check the spelling",
                    "getent hosts",
                ]),
            },
            Check::Tcp,
        ),
        (
            Case {
                what: "nobody listens",
                config: closed,
                check: Check::Tcp,
                kind: ErrorKind::Network,
                parts: parts(&["refused", "port 443 fails, too", "check the network"]),
            },
            Check::Tls,
        ),
        (
            Case {
                what: "a local address of another machine",
                config: away,
                check: Check::Tcp,
                kind: ErrorKind::Network,
                parts: parts(&["cannot bind to the local address 192.0.2.1", "check the local address"]),
            },
            Check::Tls,
        ),
        (
            Case {
                what: "a server that says nothing",
                config: mute,
                check: Check::Tls,
                kind: ErrorKind::Network,
                parts: parts(&["TLS handshake did not end within 300ms", "does not speak TLS"]),
            },
            Check::Credentials,
        ),
        (
            Case {
                what: "a WebSocket on the port of MQTT",
                config: plain,
                check: Check::WebSocket,
                kind: ErrorKind::Network,
                parts: parts(&["before it answered the WebSocket upgrade"]),
            },
            Check::Credentials,
        ),
    ] {
        assert_eq!(verdict(&fails(&case), not_done), Verdict::NotDone, "{}", case.what);
    }
}

#[test]
fn what_a_proxy_refuses() {
    let local = Local::start();
    let target = format!("localhost:{}", local.hub.mqtt_port());
    let through = |url: &str| {
        let mut config = local.config(DEVICE);
        config.tuning.set_proxy(Some(url)).unwrap();
        config
    };
    let forbidding = HttpProxy::start();
    forbidding.behave(Behaviour::Refuse(403));
    let strict = HttpProxy::start();
    strict.demand("me", "right");
    let silent = HttpProxy::start();
    silent.behave(Behaviour::Silent);
    let mut patient = through(&silent.url());
    patient.tuning.set_connect_timeout(Duration::from_millis(300)).unwrap();
    let (_held, closed) = unused_address();
    let wrong = format!("http://me:wrong-secret@127.0.0.1:{}", strict.port());
    for (what, config, said) in [
        (
            "a proxy that forbids",
            through(&forbidding.url()),
            parts(&[
                &format!("does not allow connections to {target}"),
                "403",
                "ask those who run the proxy",
            ]),
        ),
        (
            "a proxy that wants a password",
            through(&strict.url()),
            parts(&["asks for a user name", "in its URL"]),
        ),
        ("a wrong password", through(&wrong), parts(&["does not take the user name and password"])),
        ("a silent proxy", patient, parts(&["did not answer CONNECT within 0.3 s"])),
        (
            "no proxy there",
            through(&format!("http://{closed}")),
            parts(&[&format!("proxy {closed}: cannot connect"), "check the address of the proxy"]),
        ),
    ] {
        let findings =
            fails(&Case { what, config, check: Check::Proxy, kind: ErrorKind::Network, parts: said });
        assert_eq!(verdict(&findings, Check::Tcp), Verdict::NotDone);
        assert!(findings.iter().all(|finding| !finding.detail.contains("wrong-secret")));
    }
}

/// Port 8883 is forbidden, 443 is not, and the hub is there.
#[test]
fn the_websocket_is_recommended_where_it_would_do() {
    let options = Options { name: "hub.invalid".into(), ..Options::default().device(DEVICE) };
    let (local, proxy) = (Local::with(options), HttpProxy::start());
    proxy.resolve_to(local.hub.https_address());
    proxy.behave(Behaviour::OnlyPort(443));
    let mut config = local.config(DEVICE);
    config.set_gateway("hub.invalid").unwrap();
    config.tuning.set_port(8883).unwrap();
    config.tuning.set_proxy(Some(&proxy.url())).unwrap();
    let findings = fails(&Case {
        what: "only port 443",
        config: config.clone(),
        check: Check::Proxy,
        kind: ErrorKind::Network,
        parts: parts(&[
            "does not allow connections to hub.invalid:8883",
            "443 is open: use the WebSocket transport",
        ]),
    });
    holds(well(&findings, Check::WebSocket), &["the hub takes MQTT in a WebSocket on port 443"]);
    assert_eq!(verdict(&findings, Check::Credentials), Verdict::NotDone);
}
