//! The files under `--certs`: a certificate authority, the server's certificate and the secret that
//! all generated keys come from. They are made on first start and reused afterwards.
//!
//! Several emulators may start on one directory at the same moment, so what must not change is
//! created by linking a finished file into place, and the first one wins.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::StartError;

const CA_FILE: &str = "ca.pem";
const CA_PRIVATE_FILE: &str = "ca-private.pem";
const SERVER_PRIVATE_FILE: &str = "server-private.pem";
const SECRET_FILE: &str = "hub-secret";
const NAMES_PREFIX: &str = "names: ";

/// What the servers need from the directory.
pub(crate) struct Store {
    pub(crate) ca_path: PathBuf,
    pub(crate) ca_pem: String,
    /// The server's certificate, then the authority's.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) secret: Vec<u8>,
}

/// Opens or fills `dir`; the server's certificate is made anew where it does not name all of `names`.
pub(crate) fn open(dir: &Path, names: &[String]) -> Result<Store, StartError> {
    let failed = |error: io::Error| StartError::new(format!("--certs {}: {error}", dir.display()));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;

    let secret = secret(dir)?;

    let authority = keep(&dir.join(CA_PRIVATE_FILE), || {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = authority_params().self_signed(&key).map_err(io::Error::other)?;
        // The key first: that is where its reader looks.
        Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
    })
    .map_err(failed)?;
    let authority_certificate =
        CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|e| damaged(dir, CA_PRIVATE_FILE, e))?;
    let ca_pem = authority
        .find("-----BEGIN CERTIFICATE-----")
        .map(|at| authority[at..].to_owned())
        .ok_or_else(|| damaged(dir, CA_PRIVATE_FILE, "it holds no certificate"))?;
    let ca_path = dir.join(CA_FILE);
    if fs::read_to_string(&ca_path).ok().as_deref() != Some(&ca_pem) {
        replace(&ca_path, &ca_pem, 0o644).map_err(failed)?;
    }

    let names_line = format!("{NAMES_PREFIX}{}", names.join(" "));
    let server_path = dir.join(SERVER_PRIVATE_FILE);
    let server = match fs::read_to_string(&server_path) {
        Ok(text) if text.lines().next() == Some(&names_line) => text,
        _ => {
            let text = issue(&authority, names)
                .map(|pem| format!("{names_line}\n{pem}"))
                .map_err(|e| damaged(dir, CA_PRIVATE_FILE, e))?;
            replace(&server_path, &text, 0o600).map_err(failed)?;
            text
        }
    };
    let certificate = CertificateDer::from_pem_slice(server.as_bytes())
        .map_err(|e| damaged(dir, SERVER_PRIVATE_FILE, e))?;
    let key =
        PrivateKeyDer::from_pem_slice(server.as_bytes()).map_err(|e| damaged(dir, SERVER_PRIVATE_FILE, e))?;

    let ca_path = ca_path.canonicalize().map_err(failed)?;
    Ok(Store { ca_path, ca_pem, chain: vec![certificate, authority_certificate], key, secret })
}

/// The secret that all made-up keys come from.
pub(crate) fn secret(dir: &Path) -> Result<Vec<u8>, StartError> {
    let failed = |error: io::Error| StartError::new(format!("--certs {}: {error}", dir.display()));
    let secret = keep(&dir.join(SECRET_FILE), || {
        let mut bytes = [0; 32];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
            .map_err(|_| io::Error::other("the system gave no random bytes"))?;
        Ok(STANDARD.encode(bytes))
    })
    .map_err(failed)?;
    STANDARD.decode(secret.trim()).map_err(|_| damaged(dir, SECRET_FILE, "it must hold base64"))
}

fn damaged(dir: &Path, file: &str, why: impl std::fmt::Display) -> StartError {
    let path = dir.join(file);
    StartError::new(format!("{} cannot be used ({why}): delete it to have a new one", path.display()))
}

/// The same each time: a loaded key and these parameters issue what the stored certificate signs.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name("iothub-emulator local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    params
}

/// The server's certificate and key as PEM.
fn issue(authority_pem: &str, names: &[String]) -> Result<String, rcgen::Error> {
    let issuer = Issuer::new(authority_params(), KeyPair::from_pem(authority_pem)?);
    let mut params = CertificateParams::default();
    let first = names.first().map_or("localhost", String::as_str);
    // X.520 limits a common name to 64 characters; the names that count are the alternative ones.
    params.distinguished_name = distinguished_name(if first.len() <= 64 { first } else { "iothub" });
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
}

fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// The content of `path`, which is made on the first call and never changed.
fn keep(path: &Path, make: impl FnOnce() -> io::Result<String>) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let temporary = write_beside(path, &make()?, 0o600)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::read_to_string(path),
    }
}

/// Puts a file into the place of another at once.
pub(crate) fn replace(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let temporary = write_beside(path, content, mode)?;
    fs::rename(temporary, path)
}

fn write_beside(path: &Path, content: &str, mode: u32) -> io::Result<PathBuf> {
    let temporary = path.with_extension(uuid::Uuid::new_v4().simple().to_string());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(content.as_bytes())?;
    Ok(temporary)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::scratch::ScratchDir;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn a_second_start_reuses_everything() {
        let dir = ScratchDir::new().unwrap();
        let first = open(dir.path(), &names(&["localhost", "127.0.0.1"])).unwrap();
        let again = open(dir.path(), &names(&["localhost", "127.0.0.1"])).unwrap();
        assert_eq!(first.chain, again.chain);
        assert_eq!(first.secret, again.secret);
        assert_eq!(first.ca_pem, fs::read_to_string(&again.ca_path).unwrap());
    }

    #[test]
    fn other_names_change_the_leaf_and_keep_the_authority() {
        let dir = ScratchDir::new().unwrap();
        let first = open(dir.path(), &names(&["localhost"])).unwrap();
        let second = open(dir.path(), &names(&["hub.example", "127.0.0.7"])).unwrap();
        assert_ne!(first.chain[0], second.chain[0]);
        assert_eq!(first.chain[1], second.chain[1]);
    }

    #[test]
    fn private_files_are_for_the_owner_alone() {
        let dir = ScratchDir::new().unwrap();
        open(dir.path(), &names(&["localhost"])).unwrap();
        for file in [CA_PRIVATE_FILE, SERVER_PRIVATE_FILE, SECRET_FILE] {
            let mode = fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4, "no temporary file is left");
    }

    #[test]
    fn simultaneous_starts_agree_on_the_authority() {
        let dir = ScratchDir::new().unwrap();
        let stores: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| open(dir.path(), &names(&["localhost"])).unwrap())).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(stores.iter().all(|s| s.chain[1] == stores[0].chain[1] && s.secret == stores[0].secret));
    }

    #[test]
    fn a_damaged_file_is_named() {
        let dir = ScratchDir::new().unwrap();
        fs::write(dir.path().join(CA_PRIVATE_FILE), "nonsense").unwrap();
        let error = open(dir.path(), &names(&["localhost"])).err().unwrap().to_string();
        assert!(error.contains(CA_PRIVATE_FILE), "{error}");
    }
}
