//! Credentials from callbacks, files and IoT Edge. The keys are here, as they are elsewhere in the field.

use std::fmt::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use iothub::hub::sas::token;
use iothub::hub::{Identity, SharedAccessKey};
use iothub_emulator::{CredentialOptions, Options};
use iothub_tests::workload::Workload;
use rcgen::{CertificateParams, KeyPair, SigningKey};

use crate::lab::{DEVICE, Lab};
use crate::run::{Running, Under, every_way};

pub(crate) fn key(lab: &Lab) -> SharedAccessKey {
    let string = lab.hub.connection_string(DEVICE).unwrap();
    SharedAccessKey::from_base64(string.split_once("SharedAccessKey=").unwrap().1).unwrap()
}

pub(crate) fn start(lab: &Lab, program: &Path, under: Under, kind: &str, more: &[(&str, String)]) -> Running {
    let mut environment = vec![("HUB_NAME", lab.hub.name().to_owned()), ("DEVICE", DEVICE.to_owned())];
    environment.extend_from_slice(more);
    Running::start(program, &[kind], under, lab, &environment)
}

pub(crate) fn ends(lab: &Lab, mut running: Running, kind: &str) {
    running.hear("sent");
    assert_eq!(lab.event("telemetry")["body"], kind);
    running.end();
}

/// One program, so one test: it is compiled once at a time.
#[test]
fn credentials() {
    every_way("credentials", |lab, program, under| {
        refused(lab, program, under);
        of_a_signer(lab, program, under);
        of_a_token_source(lab, program, under);
        in_files(program, under);
        of_a_tls_signer(program, under);
        of_iot_edge(lab, program, under);
    });
}

/// The scheme and the bytes of a request to sign.
pub(crate) fn asked(line: &str) -> (u16, Vec<u8>) {
    let (scheme, data) = line.strip_prefix("sign ").unwrap().split_once(' ').unwrap();
    let byte = |at: usize| u8::from_str_radix(&data[at..at + 2], 16).unwrap();
    (u16::from_str_radix(scheme, 16).unwrap(), (0..data.len()).step_by(2).map(byte).collect())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn refused(lab: &Lab, program: &Path, under: Under) {
    Running::start(program, &["refused"], under, lab, &[]).end();
}

fn of_a_signer(lab: &Lab, program: &Path, under: Under) {
    let mut running = start(lab, program, under, "signer", &[]);
    for (answer, told) in [
        ("locked", "the SAS signer failed: the callback returned IOTHUB_E_STATE (-3)"),
        ("far off", "the SAS signer failed: the callback returned IOTHUB_E_UNKNOWN (-1000)"),
        ("too long", "the callback says that it wrote 1025 bytes where there is room for 1024"),
        ("00", "the SAS signer gave 1 bytes"),
    ] {
        asked(&running.line());
        running.say(answer);
        let status = running.line();
        assert!(status.starts_with("IOTHUB_E_AUTH authentication ") && status.contains(told), "{status}");
    }
    let (_, text) = asked(&running.line());
    running.say(&hex(&key(lab).sign(&text)));
    ends(lab, running, "signer");
}

pub(crate) fn of_a_token_source(lab: &Lab, program: &Path, under: Under) {
    let resource = Identity::new(lab.hub.name(), DEVICE, None).unwrap().sas_resource();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let token = token(&resource, &key(lab), now + 3600, None);
    ends(lab, start(lab, program, under, "source", &[("TOKEN", token)]), "source");
}

/// A hub that knows the device by this certificate.
pub(crate) fn certified(key: &KeyPair) -> (Lab, String) {
    let certificate = CertificateParams::new([DEVICE.to_owned()]).unwrap().self_signed(key).unwrap();
    let thumbprint = hex(&sha256(certificate.der()));
    let device = CredentialOptions::Thumbprints(vec![thumbprint]);
    let options = Options::default().identity(iothub_emulator::Identity::device(DEVICE), device);
    (Lab::with(options.device("second").module(DEVICE, "module")), certificate.pem())
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).to_vec()
}

pub(crate) fn in_files(program: &Path, under: Under) {
    let owned = KeyPair::generate().unwrap();
    let (lab, certificate) = certified(&owned);
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let more =
        [("CERT_FILE", file("cert.pem", certificate)), ("KEY_FILE", file("key.pem", owned.serialize_pem()))];
    ends(&lab, start(&lab, program, under, "files", &more), "files");
}

fn of_a_tls_signer(program: &Path, under: Under) {
    let owned = KeyPair::generate().unwrap();
    let (lab, certificate) = certified(&owned);
    let mut running = start(&lab, program, under, "tls", &[("CERT", certificate)]);
    asked(&running.line());
    running.say("locked");
    let status = running.line();
    assert!(status.contains("the TLS signer failed: the callback returned IOTHUB_E_STATE (-3)"), "{status}");
    let (scheme, message) = asked(&running.line());
    assert_eq!(scheme, 0x0403);
    running.say(&hex(&owned.sign(&message).unwrap()));
    ends(&lab, running, "tls");
}

pub(crate) fn of_iot_edge(lab: &Lab, program: &Path, under: Under) {
    let string = lab.hub.connection_string("device/module").unwrap();
    let workload = Workload::start(&string, lab.hub.ca_pem());
    let more = [
        ("IOTEDGE_IOTHUBHOSTNAME", lab.hub.name().to_owned()),
        ("IOTEDGE_GATEWAYHOSTNAME", "127.0.0.1".to_owned()),
        ("IOTEDGE_DEVICEID", DEVICE.to_owned()),
        ("IOTEDGE_MODULEID", "module".to_owned()),
        ("IOTEDGE_MODULEGENERATIONID", "1".to_owned()),
        ("IOTEDGE_WORKLOADURI", workload.uri()),
        ("IOTEDGE_AUTHSCHEME", "sasToken".to_owned()),
    ];
    ends(lab, start(lab, program, under, "edge", &more), "edge");
    let lines: Vec<_> = workload.requests.try_iter().map(|(line, _)| line).collect();
    assert_eq!(
        lines,
        [
            "GET /trust-bundle?api-version=2018-06-28",
            "POST /modules/module/genid/1/sign?api-version=2018-06-28"
        ]
    );
}
