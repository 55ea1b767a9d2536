//! Programs on a network that breaks, and programs that leave while it is in use.

use std::net::TcpListener;

use iothub_tests::http_proxy::HttpProxy;
use iothub_tests::proxy::Proxy;

use crate::run::{Running, every_way};

#[test]
fn reset() {
    every_way("reset", |lab, program, under| {
        let proxy = Proxy::to(lab.hub.mqtt_address());
        let port = proxy.port().to_string();
        let running = Running::start(program, &[], under, lab, &[("HUB_PORT", port)]);
        // In the middle of what is being sent.
        for connections in 1..=5 {
            proxy.wait_accepted(connections);
            for _ in 0..20 {
                lab.event("telemetry");
            }
            proxy.cut();
        }
        running.end();
    });
}

#[test]
fn transports() {
    every_way("transports", |lab, program, under| {
        let proxy = HttpProxy::start();
        proxy.demand("me", "p@ss");
        let more = [
            ("HUB_WEBSOCKET_PORT", lab.hub.https_port().to_string()),
            ("PROXY_PORT", proxy.port().to_string()),
        ];
        let said = Running::start(program, &[], under, lab, &more).end();
        let expected =
            ["mqtt", "websocket", "mqtt, proxy", "websocket, proxy", "proxy of the environment", "no proxy"];
        assert_eq!(said, expected);
        assert_eq!(lab.bodies(), expected);
        assert!(proxy.unauthorized() >= 1);
        assert_eq!(proxy.targets().len() - proxy.unauthorized(), 3);
    });
}

#[test]
fn leave() {
    every_way("leave", |lab, program, under| {
        // Threads that are stopped in the middle of their work hold what no pointer shows.
        let under = under.without_leaks();
        for when in ["unused", "connected", "closing", "inside"] {
            for how in ["exit", "return"] {
                let said = Running::start(program, &[when, how], under, lab, &[]).end();
                assert_eq!(said, ["left"]);
            }
        }
        // A server that accepts and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port().to_string();
        for how in ["exit", "return"] {
            let more = [("HUB_PORT", port.clone())];
            let mut running = Running::start(program, &["connecting", how], under, lab, &more);
            running.hear("connecting");
            let _connection = silent.accept().unwrap();
            running.say("accepted");
            assert_eq!(running.end(), ["connecting", "left"]);
        }
    });
}
