//! How a device proves who it is, made afresh for each connection.

use std::fmt;
use std::time::Duration;

use super::identity::Identity;
use super::sas::{self, SasToken, SharedAccessKey};
use crate::error::Result;

/// A clock that says less than this was never set: the library is younger (2026-11-01 UTC).
const RELEASED: u64 = 1_793_491_200;

/// What the device authenticates with. Holds secrets; its `Debug` does not show them.
#[derive(Clone)]
pub enum Credential {
    /// Tokens are made and renewed by the library.
    Key { key: SharedAccessKey, policy: Option<String> },
    /// A token that somebody else made; used as it is.
    Token { text: String, expiry: u64 },
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
    pub fn prove(&self, identity: &Identity, now: u64, life: Duration) -> Proof {
        let clock = (now < RELEASED).then(|| Doubt {
            clock: true,
            detail: "the clock of this machine was never set: it is before the release of this library"
                .into(),
        });
        match self {
            Self::Certificate => Proof { password: None, renew_after: None, doubt: clock },
            Self::Key { key, policy } => Proof {
                password: Some(sas::token(
                    &identity.sas_resource(),
                    key,
                    now + life.as_secs(),
                    policy.as_deref(),
                )),
                // The rest of its life is for a slow reconnect.
                renew_after: Some(life.mul_f64(0.85)),
                doubt: clock,
            },
            Self::Token { text, expiry } => {
                let expired = (now > *expiry).then(|| Doubt {
                    clock: false,
                    detail: format!(
                        "the SAS token expired {} s ago by the clock of this machine",
                        now - expiry
                    ),
                });
                Proof { password: Some(text.clone()), renew_after: None, doubt: clock.or(expired) }
            }
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key { .. } => "Key",
            Self::Token { .. } => "Token",
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
