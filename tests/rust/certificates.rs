//! Certificates in files that are replaced, and keys that sign through a callback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use iothub_emulator::{CredentialOptions, Fault, Identity, Options};
use iothub_mqtt::hub::Message;
use iothub_mqtt::io::Cause;
use iothub_mqtt::{Config, ConnectionState, Error, ErrorKind};
use iothub_tests::{DEVICE, Local, PATIENCE, Recorded, wait};
use rcgen::{CertificateParams, KeyPair, SigningKey};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A device's certificate and its key.
struct Owned {
    key: KeyPair,
    pem: String,
    thumbprint: String,
}

impl Owned {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([DEVICE.to_owned()]).unwrap().self_signed(&key).unwrap();
        let thumbprint = Sha256::digest(certificate.der()).iter().map(|byte| format!("{byte:02X}")).collect();
        Self { key, pem: certificate.pem(), thumbprint }
    }
}

fn hub_knowing(thumbprints: &[&Owned]) -> Local {
    let thumbprints = thumbprints.iter().map(|owned| owned.thumbprint.clone()).collect();
    let device = Identity::device(DEVICE);
    Local::with(Options::default().identity(device, CredentialOptions::Thumbprints(thumbprints)))
}

/// Two files in a folder of their own.
struct Files {
    folder: TempDir,
}

impl Files {
    fn of(owned: &Owned) -> Self {
        let this = Self { folder: TempDir::new().unwrap() };
        this.become_(owned);
        this
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("device.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn become_(&self, owned: &Owned) {
        fs::write(self.certificate(), &owned.pem).unwrap();
        fs::write(self.key(), owned.key.serialize_pem()).unwrap();
    }
}

fn from_files(local: &Local, files: &Files) -> Config {
    let mut config = local.config(DEVICE);
    config.set_x509_files(&files.certificate(), &files.key()).unwrap();
    config
}

#[test]
fn a_rotated_certificate_is_shown_at_the_next_connection() {
    let (old, new, unknown) = (Owned::new(), Owned::new(), Owned::new());
    let local = hub_knowing(&[&old, &new]);
    let files = Files::of(&old);
    let device = Recorded::connected(from_files(&local, &files));
    let reconnect = || local.hub.fault(&Fault::new("drop", DEVICE)).unwrap();

    // What the hub does not know is refused: it was read again.
    files.become_(&unknown);
    reconnect();
    let refused = loop {
        let status = device.fault();
        if status.cause == Some(Cause::Authentication) {
            break status;
        }
    };
    assert!(refused.detail.contains("CONNACK 5"), "{refused:?}");
    files.become_(&new);
    device.until(ConnectionState::Connected);
    wait(device.client.send(&Message::new("rotated")).unwrap()).unwrap();
    assert_eq!(local.event("telemetry")["body"], "rotated");
}

#[test]
fn files_that_cannot_be_used_any_more_are_named_and_tried_again() {
    let (good, other) = (Owned::new(), Owned::new());
    let local = hub_knowing(&[&good]);
    let files = Files::of(&good);
    type Breakage<'a> = (&'static str, Box<dyn Fn() + 'a>);
    let breakages: [Breakage<'_>; 4] = [
        ("device.pem", Box::new(|| fs::remove_file(files.certificate()).unwrap())),
        ("no private key", Box::new(|| fs::write(files.key(), "SECRET").unwrap())),
        ("do", Box::new(|| fs::write(files.key(), other.key.serialize_pem()).unwrap())),
        (
            "is no file",
            Box::new(|| {
                fs::remove_file(files.key()).unwrap();
                fs::create_dir(files.key()).unwrap();
            }),
        ),
    ];
    for (part, break_them) in breakages {
        // One client each: to one that is thrown out again and again it is another matter.
        let device = Recorded::connected(from_files(&local, &files));
        break_them();
        local.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
        let status = loop {
            let status = device.fault();
            if status.cause != Some(Cause::ClosedByHub) && status.cause != Some(Cause::ConnectionReset) {
                break status;
            }
        };
        assert_eq!(status.cause, Some(Cause::Authentication), "{status:?}");
        let folder = files.folder.path().display().to_string();
        for part in [part, folder.as_str()] {
            assert!(status.detail.contains(part), "{part:?} is not in {}", status.detail);
        }
        assert!(!status.detail.contains("SECRET"));
        if files.key().is_dir() {
            fs::remove_dir(files.key()).unwrap();
        }
        files.become_(&good);
        device.until(ConnectionState::Connected);
    }
}

#[test]
fn files_are_checked_at_the_call() {
    let (one, other) = (Owned::new(), Owned::new());
    let files = Files::of(&one);
    let mut config = Config::new();
    let missing = files.folder.path().join("missing.pem");
    let error = config.set_x509_files(&missing, &files.key()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert!(error.detail().starts_with("certificate: ") && error.detail().contains("missing.pem"), "{error}");
    fs::write(files.key(), other.key.serialize_pem()).unwrap();
    let error = config.set_x509_files(&files.certificate(), &files.key()).unwrap_err();
    assert!(error.detail().contains("public keys differ") && error.detail().contains("key.pem"), "{error}");
    assert!(!format!("{config:?}").contains("Files"));
}

/// Signs with `owned`'s key; `calls` counts.
fn signing(config: &mut Config, owned: &Arc<Owned>, calls: &Arc<AtomicUsize>) {
    let (signer, calls) = (Arc::clone(owned), Arc::clone(calls));
    let sign = move |scheme, data: &[u8]| {
        calls.fetch_add(1, Ordering::SeqCst);
        assert_eq!(scheme, 0x0403);
        Ok(signer.key.sign(data).unwrap())
    };
    config.set_x509_signer(owned.pem.as_bytes(), Arc::new(sign)).unwrap();
}

#[test]
fn a_signer_shows_its_certificate_and_shares_no_session_with_another() {
    let owned = Arc::new(Owned::new());
    let local = hub_knowing(&[&owned]);
    for _ in 0..2 {
        let calls = Arc::default();
        let mut config = local.config(DEVICE);
        signing(&mut config, &owned, &calls);
        let device = Recorded::connected(config);
        wait(device.client.send(&Message::new("signed")).unwrap()).unwrap();
        assert_eq!(local.event("telemetry")["body"], "signed");
        assert_eq!(calls.load(Ordering::SeqCst), 1, "a session of another signer was resumed");
        local.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
        device.until(ConnectionState::Connected);
        wait(device.client.send(&Message::new("again")).unwrap()).unwrap();
        assert_eq!(local.event("telemetry")["body"], "again");
    }
}

#[test]
fn a_signer_that_fails_or_has_another_key_is_told_and_asked_again() {
    let (owned, other) = (Arc::new(Owned::new()), Owned::new());
    let local = hub_knowing(&[&owned]);
    let (calls, signer) = (AtomicUsize::new(0), Arc::clone(&owned));
    let sign = move |_, data: &[u8]| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Err(Error::new(ErrorKind::State, "no card in the reader")),
        1 => panic!("on purpose"),
        2 => Ok(other.key.sign(data).unwrap()),
        3 => Ok(Vec::new()),
        _ => Ok(signer.key.sign(data).unwrap()),
    };
    let mut config = local.config(DEVICE);
    config.set_x509_signer(owned.pem.as_bytes(), Arc::new(sign)).unwrap();
    let device = Recorded::new(config);
    let refusal = wait(device.client.connect().unwrap()).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::Auth);
    assert!(refusal.detail().contains("the TLS signer failed: no card in the reader"), "{refusal}");
    for part in ["no card", "panicked", "does not fit the certificate", "does not fit the certificate"] {
        let status = device.fault();
        assert_eq!(status.cause, Some(Cause::Authentication), "{status:?}");
        assert!(status.detail.contains(part), "{part:?} is not in {}", status.detail);
    }
    device.until(ConnectionState::Connected);
}

#[test]
fn a_signer_that_hangs_stalls_nobody_and_its_client_can_be_freed() {
    let owned = Arc::new(Owned::new());
    let thumbprints = CredentialOptions::Thumbprints(vec![owned.thumbprint.clone()]);
    let local =
        Local::with(Options::default().identity(Identity::device(DEVICE), thumbprints).device("other"));
    let (tell, asked) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let signer = Arc::clone(&owned);
    let sign = move |_, data: &[u8]| {
        tell.send(()).unwrap_or_default();
        let _ = released.lock().unwrap().recv();
        Ok(signer.key.sign(data).unwrap())
    };
    let mut config = local.config(DEVICE);
    config.set_x509_signer(owned.pem.as_bytes(), Arc::new(sign)).unwrap();
    config.tuning.set_connect_timeout(Duration::from_secs(1)).unwrap();
    let device = Recorded::new(config);
    let connected = device.client.connect().unwrap();
    asked.recv_timeout(PATIENCE).unwrap();
    let other = Recorded::connected(local.config("other"));
    wait(other.client.send(&Message::new("meanwhile")).unwrap()).unwrap();
    assert_eq!(local.event("telemetry")["body"], "meanwhile");

    let refusal = wait(connected).unwrap_err();
    assert_eq!(refusal.detail(), "the TLS signer did not answer within 1s");
    assert_eq!(device.fault().cause, Some(Cause::Authentication));
    let again = device.fault();
    assert_eq!(again.cause, Some(Cause::Authentication));
    assert_eq!(again.detail, "the TLS signer has not come back from the call for an earlier attempt");
    assert!(asked.try_recv().is_err(), "called twice at a time");
    device.client.free();
    drop(release);
}

#[test]
fn a_certificate_that_no_signer_can_sign_for_is_refused_at_the_call() {
    let mut config = Config::new();
    let sign = Arc::new(|_, _: &[u8]| Ok(Vec::new()));
    let error = config.set_x509_signer(b"SECRET", sign.clone()).unwrap_err();
    assert!(error.detail().starts_with("certificate: ") && !error.detail().contains("SECRET"), "{error}");
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let good = CertificateParams::new([DEVICE.to_owned()]).unwrap().self_signed(&ed25519).unwrap();
    config.set_x509_signer(good.pem().as_bytes(), sign).unwrap();
    assert!(format!("{config:?}").contains("Ed25519"));
}

/// The handshake comes back from the helper thread with the request for the WebSocket still to send.
#[test]
fn a_signer_works_over_websocket_too() {
    let owned = Arc::new(Owned::new());
    let local = hub_knowing(&[&owned]);
    let mut config = local.config(DEVICE);
    signing(&mut config, &owned, &Arc::default());
    config.tuning.set_transport(iothub_mqtt::config::Transport::WebSocket);
    config.tuning.set_port(local.hub.https_port()).unwrap();
    let device = Recorded::connected(config);
    wait(device.client.send(&Message::new("by websocket")).unwrap()).unwrap();
    assert_eq!(local.event("telemetry")["body"], "by websocket");
}
