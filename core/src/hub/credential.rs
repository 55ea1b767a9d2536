//! How a device proves who it is, made afresh for each connection. Pure: the time is given.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::date::utc;
use super::identity::Identity;
use super::sas::{self, SasToken, SharedAccessKey};
use crate::error::{Error, ErrorKind, Result};

/// A clock that says less than this was never set: the library is younger (2026-11-01 UTC).
pub(crate) const RELEASED: u64 = 1_793_491_200;

/// Signs with the device's or module's key where that key is kept: HMAC-SHA256 of the bytes given.
pub type SasSigner = Arc<dyn Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync>;

/// Gives a whole token, `SharedAccessSignature sr=…`, that is good now.
pub type TokenSource = Arc<dyn Fn() -> Result<String> + Send + Sync>;

/// What the device authenticates with. Holds secrets; its `Debug` does not show them.
#[derive(Clone)]
pub enum Credential {
    /// Tokens are made and renewed by the library.
    Key { key: SharedAccessKey, policy: Option<String> },
    /// A token that somebody else made; used as it is.
    Token { text: String, expiry: u64 },
    /// Tokens are made by the library and signed by somebody else; may block.
    Signer(SasSigner),
    /// Tokens are made by somebody else for each connection; may block.
    Source(TokenSource),
    /// The certificate that TLS shows.
    Certificate,
}

/// What a credential gives for one connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// The MQTT password; `None` for certificates.
    pub password: Option<String>,
    /// When the connection is to be made anew, counted from now.
    pub renew_after: Option<Duration>,
    /// Why the hub may refuse it, if that can be seen from here.
    pub doubt: Option<Doubt>,
}

/// Something that is wrong with a credential as far as this machine can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The clock is the reason, not the credential.
    pub clock: bool,
    pub detail: String,
}

impl Credential {
    /// A token as the portal or a tool prints it.
    ///
    /// # Errors
    /// `Argument` if it is not a SAS token.
    pub fn token(text: &str) -> Result<Self> {
        let expiry = text.parse::<SasToken>()?.expiry;
        Ok(Self::Token { text: text.to_owned(), expiry })
    }

    /// `now` is in seconds since 1970; `life` is for how long a token that is made here is good.
    ///
    /// # Errors
    /// What a signer or a source says, and what is wrong with what it gave.
    pub fn prove(&self, identity: &Identity, now: u64, life: Duration) -> Result<Proof> {
        match self {
            Self::Certificate => Ok(Proof { password: None, renew_after: None, doubt: None }),
            Self::Key { key, policy } => Ok(Proof::signed(now, life, |expiry| {
                sas::token(&identity.sas_resource(), key, expiry, policy.as_deref())
            })),
            Self::Signer(sign) => Proof::signed_by(identity, now, life, |text| sign(text)),
            Self::Token { text, expiry } => Ok(Proof {
                password: Some(text.clone()),
                renew_after: None,
                doubt: doubt_of_token(*expiry, now),
            }),
            Self::Source(source) => {
                let text = source().map_err(|error| told("the SAS token source failed", &error))?;
                let expiry = text
                    .parse::<SasToken>()
                    .map_err(|error| told("the SAS token source gave no SAS token", &error))?
                    .expiry;
                // The rest of its life is for a slow reconnect.
                let left = Duration::from_secs(expiry.saturating_sub(now)).mul_f64(RENEWED_AT);
                Ok(Proof {
                    password: Some(text),
                    renew_after: (!left.is_zero()).then_some(left),
                    doubt: doubt_of_token(expiry, now),
                })
            }
        }
    }
}

/// The part of a token's life after which the connection is made anew.
const RENEWED_AT: f64 = 0.85;

impl Proof {
    /// With a token that `sign` signs: it is given what a token's signature covers.
    ///
    /// # Errors
    /// What `sign` says; what it gave is no HMAC-SHA256.
    pub fn signed_by(
        identity: &Identity,
        now: u64,
        life: Duration,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        const LENGTH: usize = 32;
        let resource = identity.sas_resource();
        let expiry = now + life.as_secs();
        let signature = sign(sas::signed_text(&resource, expiry).as_bytes())
            .map_err(|error| told("the SAS signer failed", &error))?;
        if signature.len() != LENGTH {
            let text = format!(
                "the SAS signer gave {} bytes; HMAC-SHA256 has {LENGTH}, not encoded",
                signature.len()
            );
            return Err(Error::new(ErrorKind::Auth, text));
        }
        Ok(Self::signed(now, life, |expiry| {
            sas::token_with_signature(&resource, &STANDARD.encode(signature), expiry, None)
        }))
    }

    fn signed(now: u64, life: Duration, token: impl FnOnce(u64) -> String) -> Self {
        let doubt = if now < RELEASED {
            Doubt { clock: true, detail: NEVER_SET.to_owned() }
        } else {
            // A clock that is wrong by hours looks the same as a wrong key.
            let detail = format!("its token was made by the clock of this machine, which says {}", utc(now));
            Doubt { clock: false, detail }
        };
        Self {
            password: Some(token(now + life.as_secs())),
            renew_after: Some(life.mul_f64(RENEWED_AT)),
            doubt: Some(doubt),
        }
    }
}

pub(crate) const NEVER_SET: &str =
    "the clock of this machine was never set: it is before the release of this library";

/// Our clock has no part in a token of somebody else's, unless it was made on this machine.
fn doubt_of_token(expiry: u64, now: u64) -> Option<Doubt> {
    if now < RELEASED {
        Some(if expiry < RELEASED {
            let detail = format!("{NEVER_SET}, and so is the expiry of the SAS token");
            Doubt { clock: true, detail }
        } else {
            let detail =
                format!("{NEVER_SET}, so whether the SAS token has expired cannot be seen from here");
            Doubt { clock: false, detail }
        })
    } else if now > expiry {
        let detail = format!("the SAS token expired {} s ago by the clock of this machine", now - expiry);
        Some(Doubt { clock: false, detail })
    } else {
        None
    }
}

fn told(what: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("{what}: {}", error.detail()))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key { .. } => "Key",
            Self::Token { .. } => "Token",
            Self::Signer(_) => "Signer",
            Self::Source(_) => "Source",
            Self::Certificate => "Certificate",
        })
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof")
            .field("renew_after", &self.renew_after)
            .field("doubt", &self.doubt)
            .finish_non_exhaustive()
    }
}
