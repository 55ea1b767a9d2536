//! The options that say how a device proves itself: whose they are, and how each is checked.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;

use super::Config;
use crate::error::{Error, Result};
use crate::hub::{Credential, SasSigner, TokenSource};
use crate::io::{ClientCertificate, SigningCertificate, TlsOptions, TlsSigner, Workload};

/// Where the credentials of each connection come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Credential(Credential),
    /// A certificate and its key, read for each connection.
    Files(CertificateFiles),
    /// A certificate whose key signs through a callback.
    TlsSigner(SigningCertificate),
    /// The daemon of IoT Edge, which also says whom to trust on the way through its gateway.
    Edge {
        workload: Workload,
        through_gateway: bool,
    },
}

/// Two PEM files that somebody may replace at any time.
#[derive(Clone)]
pub(crate) struct CertificateFiles {
    certificate: PathBuf,
    private_key: PathBuf,
}

impl fmt::Debug for CertificateFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateFiles").field(&self.certificate).finish()
    }
}

/// More than any chain or key; a path to a device or a log would fill the memory.
const MOST_PEM: u64 = 1 << 20;

fn read(name: &str, path: &Path) -> Result<Vec<u8>> {
    let rule = |rule: &dyn fmt::Display| Error::argument(name, format_args!("{}: {rule}", path.display()));
    let found = fs::metadata(path).map_err(|error| rule(&error))?;
    if !found.is_file() {
        return Err(rule(&"is no file"));
    }
    if found.len() > MOST_PEM {
        return Err(rule(&"is larger than 1 MiB"));
    }
    fs::read(path).map_err(|error| rule(&error))
}

impl CertificateFiles {
    pub(crate) fn read(&self) -> Result<ClientCertificate> {
        Ok(ClientCertificate {
            certificate: read("certificate", &self.certificate)?,
            private_key: read("private_key", &self.private_key)?,
        })
    }

    /// The configuration of what was read; an error names the files.
    pub(crate) fn checked(&self, tls: &TlsOptions) -> Result<Arc<ClientConfig>> {
        tls.client_config().map_err(|error| {
            let (certificate, key) = (self.certificate.display(), self.private_key.display());
            Error::new(error.kind(), format!("{} ({certificate} with {key})", error.detail()))
        })
    }
}

impl Config {
    /// Who signs tokens with the device's or module's key, in place of the key itself: a TPM, an HSM, a
    /// key vault. It is given the bytes to sign and gives their HMAC-SHA256, 32 bytes.
    ///
    /// It is called for each connection and each renewal, before which the connection serves on until it
    /// is done, and no error is told while it does. It runs on a thread of the library, never twice at a
    /// time for one client. It may take up to [`Tuning::set_connect_timeout`]; one that takes longer is
    /// left behind, and the next attempt waits for its return. An error is the text of a status with the
    /// cause `authentication`, and must hold no secret.
    ///
    /// [`Tuning::set_connect_timeout`]: crate::Tuning::set_connect_timeout
    pub fn set_sas_signer(&mut self, sign: SasSigner) {
        self.credential = Some(Source::Credential(Credential::Signer(sign)));
    }

    /// Who gives a whole token for each connection. The connection is made anew at 85 % of what is left
    /// of the token's life then. Called as the signer of [`Config::set_sas_signer`] is.
    pub fn set_sas_token_source(&mut self, source: TokenSource) {
        self.credential = Some(Source::Credential(Credential::Source(source)));
    }

    /// As [`Config::set_x509`], from files, which are read now and again for each connection: a
    /// certificate that was replaced is shown from the next one on. Files that cannot be used then are a
    /// status with the cause `authentication`, and are tried again.
    ///
    /// # Errors
    /// `Argument`, with the path: a file cannot be read, or is at most good for another use.
    pub fn set_x509_files(&mut self, certificate: &Path, private_key: &Path) -> Result<()> {
        let absolute = |name, path: &Path| {
            // The working directory may be another one when it is read again.
            std::path::absolute(path).map_err(|error| Error::argument(name, error))
        };
        let files = CertificateFiles {
            certificate: absolute("certificate", certificate)?,
            private_key: absolute("private_key", private_key)?,
        };
        let identity = files.read()?;
        let trusted_roots = self.tuning.tls.trusted_roots.clone();
        let tls = TlsOptions { trusted_roots, identity: Some(identity) };
        files.checked(&tls)?;
        self.tuning.tls = tls;
        self.credential = Some(Source::Files(files));
        Ok(())
    }

    /// The device's certificate with its chain in PEM, and who signs with its key. `sign` is given a TLS
    /// `SignatureScheme` (RFC 8446, 4.2.3; 0x0403: ECDSA on P-256 with SHA-256) and the bytes, not hashed
    /// yet, and gives the signature as TLS carries it (ECDSA in DER).
    ///
    /// The schemes are those of the certificate's key: RSA 0x0804 to 0x0806 and 0x0401, 0x0501, 0x0601,
    /// P-256 0x0403, P-384 0x0503, Ed25519 0x0807. Called as the signer of [`Config::set_sas_signer`] is,
    /// for each connection but those that resume a TLS session.
    ///
    /// # Errors
    /// `Argument`: no certificate, or a key of another kind.
    pub fn set_x509_signer(&mut self, certificate: &[u8], sign: TlsSigner) -> Result<()> {
        self.credential = Some(Source::TlsSigner(SigningCertificate::new(certificate, sign)?));
        self.tuning.tls.identity = None;
        Ok(())
    }
}
