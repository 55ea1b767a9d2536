//! The mistakes that people make, and what a C program is told about each.

use std::net::TcpListener;

use iothub_tests::proxy::Proxy;
use rcgen::{CertificateParams, KeyPair};

use crate::run::{Running, every_way};

/// What was done, and then code, cause and a part of the detail.
const EXPECTED: [[&str; 4]; 47] = [
    ["connection string: empty", "IOTHUB_E_ARGUMENT", "none", "must not be empty"],
    ["connection string: no host", "IOTHUB_E_ARGUMENT", "none", "HostName is missing"],
    ["connection string: no device", "IOTHUB_E_ARGUMENT", "none", "DeviceId is missing"],
    [
        "connection string: no credential",
        "IOTHUB_E_ARGUMENT",
        "none",
        "give SharedAccessKey, SharedAccessSignature or x509=true",
    ],
    ["connection string: a service's", "IOTHUB_E_ARGUMENT", "none", "connection string of a hub policy"],
    ["connection string: unknown part", "IOTHUB_E_ARGUMENT", "none", "Colour is no known key"],
    ["connection string: part without =", "IOTHUB_E_ARGUMENT", "none", "part 2 has no '='"],
    ["connection string: empty part", "IOTHUB_E_ARGUMENT", "none", "part 2 is empty"],
    ["connection string: part twice", "IOTHUB_E_ARGUMENT", "none", "DeviceId is there twice"],
    ["connection string: blank value", "IOTHUB_E_ARGUMENT", "none", "DeviceId has no value"],
    ["connection string: key not base64", "IOTHUB_E_ARGUMENT", "none", "SharedAccessKey: must be base64"],
    ["connection string: key and x509", "IOTHUB_E_ARGUMENT", "none", "x509=true excludes SharedAccessKey"],
    ["connection string: bad device id", "IOTHUB_E_ARGUMENT", "none", "DeviceId: must not contain '/'"],
    ["roots: not PEM", "IOTHUB_E_ARGUMENT", "none", "trusted_roots: no certificate in it"],
    ["roots: empty", "IOTHUB_E_ARGUMENT", "none", "trusted_roots: no certificate in it"],
    ["roots: a key", "IOTHUB_E_ARGUMENT", "none", "it holds: PRIVATE KEY"],
    ["x509: not PEM", "IOTHUB_E_ARGUMENT", "none", "certificate: no certificate in it"],
    ["x509: key missing", "IOTHUB_E_ARGUMENT", "none", "private_key: no private key"],
    ["x509: key of another", "IOTHUB_E_ARGUMENT", "none", "does not belong to the certificate"],
    ["no identity", "IOTHUB_E_ARGUMENT", "none", "identity: not given"],
    ["port 0", "IOTHUB_E_ARGUMENT", "none", "port: 0 is not in 1..=65535"],
    ["keep alive", "IOTHUB_E_ARGUMENT", "none", "keep_alive: 1178 is not in 1..=1177"],
    ["ping timeout", "IOTHUB_E_ARGUMENT", "none", "ping_timeout: 0 is not in 1..=600"],
    ["connect timeout", "IOTHUB_E_ARGUMENT", "none", "connect_timeout: 600.001s is not in 1ms..=600s"],
    ["backoff", "IOTHUB_E_ARGUMENT", "none", "backoff_most: 99ms is not in 100ms..=3600s"],
    ["slow backoff", "IOTHUB_E_ARGUMENT", "none", "slow_backoff_first: 9ms is not in 10ms..=86400s"],
    ["queue messages", "IOTHUB_E_ARGUMENT", "none", "queue_messages: 0 is not in 1..=65000"],
    ["queue bytes", "IOTHUB_E_ARGUMENT", "none", "queue_bytes: 1023 is not in 1024..=1073741824"],
    ["in flight", "IOTHUB_E_ARGUMENT", "none", "in_flight: 65001 is not in 1..=65000"],
    ["time to live", "IOTHUB_E_ARGUMENT", "none", "time_to_live: 31536000.001s is not in 1ms..=31536000s"],
    ["sas life", "IOTHUB_E_ARGUMENT", "none", "sas_life: 9s is not in 10s..=31536000s"],
    ["sas key", "IOTHUB_E_ARGUMENT", "none", "SharedAccessKey: must be base64"],
    ["sas token", "IOTHUB_E_ARGUMENT", "none", "the field sr is missing or empty"],
    ["host", "IOTHUB_E_ARGUMENT", "none", "HostName: must be a host name alone"],
    ["gateway", "IOTHUB_E_ARGUMENT", "none", "gateway: "],
    ["model", "IOTHUB_E_ARGUMENT", "none", "model_id: begins with"],
    ["will at QoS 2", "IOTHUB_E_ARGUMENT", "none", "qos: "],
    ["will at QoS 256", "IOTHUB_E_ARGUMENT", "none", "qos: "],
    ["wrong key", "IOTHUB_E_AUTH", "authentication", "(CONNACK 5)"],
    ["expired token", "IOTHUB_E_AUTH", "authentication", "the SAS token expired"],
    ["unknown device", "IOTHUB_E_AUTH", "authentication", "the identity is unknown or disabled"],
    ["untrusted root", "IOTHUB_E_TLS", "tls_untrusted", "not issued by a trusted root"],
    ["wrong host name", "IOTHUB_E_TLS", "tls_name", "127.0.0.2"],
    ["refused port", "IOTHUB_E_NETWORK", "connection_refused", "Connection refused"],
    ["unknown host", "IOTHUB_E_NETWORK", "dns", "the name lookup failed"],
    ["silent server", "IOTHUB_E_NETWORK", "connect_timeout", "within 50ms"],
    ["257 KiB", "IOTHUB_E_TOO_LARGE", "none", "263168 bytes"],
];

#[test]
fn errors() {
    every_way("errors", |lab, program, under| {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let certificate = CertificateParams::new(["device".to_owned()]).unwrap().self_signed(&key).unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port().to_string();
        // Closed again, and given to nobody else so soon.
        let closed = port(&TcpListener::bind("127.0.0.1:0").unwrap());
        let elsewhere = Proxy::on("127.0.0.2", lab.hub.mqtt_address());
        let more = [
            ("CERT", certificate.pem()),
            ("KEY", key.serialize_pem()),
            ("OTHER_KEY", other.serialize_pem()),
            ("CLOSED_PORT", closed),
            ("OTHER_NAME_PORT", elsewhere.port().to_string()),
            ("SILENT_PORT", port(&silent)),
        ];
        let said = Running::start(program, &[], under, lab, &more).end();
        let rows: Vec<Vec<&str>> = said.iter().map(|line| line.splitn(4, " | ").collect()).collect();
        for (row, expected) in rows.iter().zip(EXPECTED) {
            let [what, status, cause, part] = &expected;
            assert_eq!(row[..3], [*what, *status, *cause], "{row:?}");
            assert!(row[3].contains(part), "{part:?} is not in {row:?}");
        }
        assert_eq!(rows.len(), EXPECTED.len(), "{:?}", rows.last());
    });
}
