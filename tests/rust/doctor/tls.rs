//! What is wrong with the server's certificate.

use std::time::Duration;

use iothub_mqtt::{Check, Config, ErrorKind, Verdict};
use iothub_tests::http_proxy::HttpProxy;
use iothub_tests::tls_server::TlsServer;
use iothub_tests::{DEVICE, Local, Recorded};
use rcgen::date_time_ymd;

use crate::patient::*;

#[test]
fn what_is_wrong_with_the_server_s_certificate() {
    let local = Local::start();
    let at = |server: &TlsServer, trusts: &str| {
        let mut config = local.config(DEVICE);
        config.tuning.set_port(server.address().port()).unwrap();
        config.tuning.set_trusted_roots(trusts.as_bytes()).unwrap();
        config
    };
    let stranger = TlsServer::start("localhost", "Stranger's Root", |_| {});
    let old = TlsServer::start("localhost", "Old Root", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2024, 1, 1);
    });
    let early = TlsServer::start("localhost", "Early Root", |params| {
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2091, 1, 1);
    });
    let other = TlsServer::start("other.example", "Other Root", |_| {});
    // Nobody resolves the name of the hub: it is the proxy that leads elsewhere.
    let intercepting = TlsServer::start("contoso.azure-devices.net", "Looking Glass", |_| {});
    let proxy = HttpProxy::start();
    proxy.resolve_to(intercepting.address());
    let mut intercepted = Config::new();
    intercepted
        .set_connection_string("HostName=contoso.azure-devices.net;DeviceId=d;SharedAccessKey=c2VjcmV0")
        .unwrap();
    intercepted.tuning.set_proxy(Some(&proxy.url())).unwrap();
    for (what, config, kind, said) in [
        (
            "an unknown issuer",
            at(&stranger, local.hub.ca_pem()),
            ErrorKind::Tls,
            parts(&[
                "not issued by a trusted root",
                "issued by \"Stranger's Root\"",
                "trusted_roots",
                "looks into TLS",
            ]),
        ),
        (
            "an expired certificate",
            at(&old, old.root()),
            ErrorKind::Tls,
            parts(&["expired on 2024-01-01", "issued by \"Old Root\"", "renew it on the server"]),
        ),
        (
            "a certificate of the future",
            at(&early, early.root()),
            ErrorKind::Auth,
            parts(&["2090-01-01", "set the clock", "issued by \"Early Root\""]),
        ),
        (
            "another name",
            at(&other, other.root()),
            ErrorKind::Tls,
            parts(&["not for localhost; it is for other.example", "as host or gateway"]),
        ),
        (
            "a proxy that looks into TLS",
            intercepted,
            ErrorKind::Tls,
            parts(&["Microsoft or DigiCert", "have this host exempted", "the root of \"Looking Glass\""]),
        ),
    ] {
        let findings = fails(&Case { what, config, check: Check::Tls, kind, parts: said });
        assert_eq!(verdict(&findings, Check::Credentials), Verdict::NotDone);
    }
}

/// A certificate that expired while a client runs is seen, although the client resumes its session.
#[test]
fn tls_is_checked_anew() {
    let local = Local::start();
    let server = TlsServer::start("localhost", "Root", |_| {});
    let mut config = local.config(DEVICE);
    config.tuning.set_port(server.address().port()).unwrap();
    config.tuning.set_trusted_roots(server.root().as_bytes()).unwrap();
    config.tuning.set_connect_timeout(Duration::from_millis(300)).unwrap();
    // Keeps the store of sessions, which equal options share.
    let idle = Recorded::new(config.clone());
    let client = Recorded::new(config.clone());
    drop(client.client.connect().unwrap());
    while !server.resumed() {}
    drop(client);
    server.forget();
    let (findings, _) = examine(&config);
    assert_eq!(verdict(&findings, Check::Tls), Verdict::Passed);
    assert!(!server.resumed());
    drop(idle);
}
