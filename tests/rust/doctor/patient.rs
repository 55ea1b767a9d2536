//! What the cases are made of.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use iothub_mqtt::io::TlsSigner;
use iothub_mqtt::{Check, Config, Error, ErrorKind, Finding, Transport, Verdict, doctor};
use iothub_tests::{DEVICE, Local};
use rcgen::{CertificateParams, DnType, KeyPair, SigningKey, date_time_ymd};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
use sha2::{Digest, Sha256};

/// Every finding, once each and in order, and the result, which is the first failure.
pub(crate) fn examine(config: &Config) -> (Vec<Finding>, Result<(), Error>) {
    let mut findings = Vec::new();
    let result = doctor(config, &mut |finding| findings.push(finding.clone()));
    let order: Vec<Check> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(order, Check::ALL);
    for finding in &findings {
        println!(
            "  {:<12} {:<16} {}",
            finding.check.name(),
            format!("{:?}", finding.verdict),
            finding.detail
        );
    }
    println!();
    let first = findings.iter().find_map(|finding| match finding.verdict {
        Verdict::Failed(kind) => Some(Error::new(kind, finding.detail.clone())),
        _ => None,
    });
    assert_eq!(result.clone().err(), first);
    (findings, result)
}

pub(crate) fn verdict(findings: &[Finding], check: Check) -> Verdict {
    findings.iter().find(|finding| finding.check == check).unwrap().verdict
}

/// The text of `check`, which has passed or was not needed.
pub(crate) fn well(findings: &[Finding], check: Check) -> &str {
    let finding = findings.iter().find(|finding| finding.check == check).unwrap();
    assert!(matches!(finding.verdict, Verdict::Passed | Verdict::NotNeeded), "{finding:?}");
    &finding.detail
}

pub(crate) fn over_websocket(local: &Local) -> Config {
    let mut config = local.config(DEVICE);
    config.tuning.set_transport(Transport::WebSocket);
    config.tuning.set_port(local.hub.https_port()).unwrap();
    config
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[track_caller]
pub(crate) fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

/// A certificate of the device.
pub(crate) struct Owned {
    pub(crate) pem: String,
    pub(crate) key: String,
    pub(crate) thumbprint: String,
}

impl Owned {
    /// Good from 2020 until a first of January.
    pub(crate) fn until(year: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([DEVICE.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, DEVICE);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        let thumbprint = Sha256::digest(certificate.der()).iter().map(|byte| format!("{byte:02X}")).collect();
        Self { pem: certificate.pem(), key: key.serialize_pem(), thumbprint }
    }

    /// What signs with its key.
    pub(crate) fn signer(&self) -> TlsSigner {
        let key = KeyPair::from_pem(&self.key).unwrap();
        Arc::new(move |_, data: &[u8]| Ok(key.sign(data).unwrap()))
    }

    pub(crate) fn show(&self, config: &mut Config) {
        config.set_x509(self.pem.as_bytes(), self.key.as_bytes()).unwrap();
    }
}

/// Nobody listens there, and nobody can while the socket lives.
pub(crate) fn unused_address() -> (OwnedFd, SocketAddr) {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = getsockname(&socket).unwrap().try_into().unwrap();
    (socket, address)
}

/// What is wrong, and how it has to be said.
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) config: Config,
    pub(crate) check: Check,
    pub(crate) kind: ErrorKind,
    pub(crate) parts: Vec<String>,
}

#[track_caller]
pub(crate) fn fails(case: &Case) -> Vec<Finding> {
    println!("{}", case.what);
    let (findings, result) = examine(&case.config);
    let error = result.expect_err(case.what);
    let failed = findings.iter().find(|finding| matches!(finding.verdict, Verdict::Failed(_))).unwrap();
    assert_eq!((failed.check, error.kind()), (case.check, case.kind), "{}: {error}", case.what);
    for part in &case.parts {
        assert!(error.detail().contains(part), "{}: {part:?} is not in {error:?}", case.what);
    }
    findings
}

pub(crate) fn parts(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}
