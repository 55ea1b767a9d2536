//! Whether a token or a certificate lets somebody in. Pure: the time is given.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iothub_mqtt::hub::percent;
use iothub_mqtt::hub::sas::{self, CLOCK_SKEW, SasToken, SharedAccessKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::chain::{Roots, Shown};
use crate::error::HubError;
use crate::identity::Identity;
use crate::settings::{ScopeCase, ScopeEncoding, Settings};

/// How a device or module proves who it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Credential {
    /// The primary and the secondary key; either may sign.
    Keys(Box<[NamedKey; 2]>),
    /// Upper- or lower-case hexadecimal, SHA-1 or SHA-256.
    Thumbprints(Vec<String>),
    /// A certificate in its name from an authority that the hub trusts.
    Authority,
    /// It cannot connect by itself: a module behind an Edge hub.
    None,
}

impl Credential {
    /// The service API's word for it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Keys(_) => "sas",
            Self::Thumbprints(_) => "selfSigned",
            Self::Authority => "certificateAuthority",
            Self::None => "none",
        }
    }
}

/// A key with the text that a connection string carries.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct NamedKey {
    pub(crate) base64: String,
    pub(crate) key: SharedAccessKey,
}

impl NamedKey {
    pub(crate) fn new(base64: &str) -> iothub_mqtt::Result<Self> {
        Ok(Self { base64: base64.to_owned(), key: SharedAccessKey::from_base64(base64)? })
    }

    /// A key that nobody has had before.
    pub(crate) fn random() -> Result<Self, HubError> {
        let failed = || HubError::new(500_001, "ServerError", "no key could be made");
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| failed())?;
        Self::new(&STANDARD.encode(bytes)).map_err(|_| failed())
    }
}

impl TryFrom<String> for NamedKey {
    type Error = iothub_mqtt::Error;

    fn try_from(base64: String) -> iothub_mqtt::Result<Self> {
        Self::new(&base64)
    }
}

impl From<NamedKey> for String {
    fn from(key: NamedKey) -> Self {
        key.base64
    }
}

impl fmt::Debug for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamedKey(hidden)")
    }
}

/// What a shared access policy of the hub allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    DeviceConnect,
    ServiceConnect,
    RegistryRead,
    RegistryWrite,
}

/// The five policies that every hub starts with.
pub(crate) const POLICIES: [&str; 5] =
    ["iothubowner", "service", "device", "registryRead", "registryReadWrite"];

#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) name: &'static str,
    pub(crate) key: NamedKey,
}

impl Policy {
    fn allows(&self, right: Right) -> bool {
        match self.name {
            "iothubowner" => true,
            "service" => right == Right::ServiceConnect,
            "device" => right == Right::DeviceConnect,
            "registryRead" => right == Right::RegistryRead,
            "registryReadWrite" => matches!(right, Right::RegistryRead | Right::RegistryWrite),
            _ => false,
        }
    }
}

/// The names that a token may call the hub by, and its policies.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) hosts: Vec<String>,
    pub(crate) policies: Vec<Policy>,
    /// Who may vouch for devices that are registered by authority.
    pub(crate) roots: Roots,
    pub(crate) tokens: Tokens,
}

/// How tokens are read and how long they last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens {
    /// Seconds after its expiry in which a token is still taken.
    skew: u64,
    /// Seconds on top of it until a connection is cut.
    grace: u64,
    case: ScopeCase,
    encoding: ScopeEncoding,
}

impl From<&Settings> for Tokens {
    fn from(settings: &Settings) -> Self {
        Self {
            skew: settings.token_skew.as_secs(),
            grace: settings.token_grace.as_secs(),
            case: settings.sas_case,
            encoding: settings.sas_encoding,
        }
    }
}

/// A device that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    /// `iothub-connection-auth-method`, JSON.
    pub(crate) method: String,
    /// Seconds since 1970 after which the connection is cut; never with a certificate.
    pub(crate) until: Option<u64>,
}

impl Authority {
    /// The host name of connection strings.
    pub(crate) fn name(&self) -> &str {
        self.hosts.first().map_or("localhost", String::as_str)
    }

    /// A token that may do everything until `expiry` (seconds since 1970).
    pub(crate) fn owner_token(&self, expiry: u64) -> Option<String> {
        let owner = self.policies.iter().find(|policy| policy.name == "iothubowner")?;
        Some(sas::token(&sas::encode_resource(self.name()), &owner.key.key, expiry, Some(owner.name)))
    }

    pub(crate) fn is_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// Decides a CONNECT of `identity` at `now` (seconds since 1970); the error is for people.
    pub(crate) fn admit(
        &self,
        identity: &Identity,
        credential: &Credential,
        password: Option<&str>,
        certificate: Option<&Shown>,
        now: u64,
    ) -> Result<Granted, String> {
        let scope = if identity.module_id().is_some() { "module" } else { "device" };
        let method =
            |scope: &str, kind: &str| format!(r#"{{"scope":"{scope}","type":"{kind}","issuer":"iothub"}}"#);
        let Some(password) = password else {
            return match (credential, certificate) {
                (Credential::Keys(_), _) => Err(format!("{identity} sent no SAS token as password")),
                (Credential::None, _) => Err(format!("{identity} is registered without credentials")),
                (Credential::Thumbprints(_) | Credential::Authority, None) => {
                    Err(format!("{identity} is registered with a certificate and showed none"))
                }
                (Credential::Authority, Some(shown)) => {
                    self.roots.check(shown, now)?;
                    let id = identity.to_string();
                    shown.check_name(&id, |name| name == id)?;
                    Ok(Granted { method: method(scope, "x509"), until: None })
                }
                (Credential::Thumbprints(known), Some(Shown { thumbprints: shown, .. })) => {
                    if known.iter().any(|thumbprint| shown.matches(thumbprint)) {
                        Ok(Granted { method: method(scope, "x509"), until: None })
                    } else {
                        let [primary, secondary] = [0, 1].map(|i| known.get(i).map_or("", String::as_str));
                        Err(format!(
                            "Thumbprint does not match configuration: Thumbprint: SHA1Hash={}, SHA2Hash={}; \
                             Configuration: PrimaryThumbprint={primary}, SecondaryThumbprint={secondary}",
                            shown.sha1, shown.sha256
                        ))
                    }
                }
            };
        };
        let token: SasToken = password.parse().map_err(|e: iothub_mqtt::Error| e.to_string())?;
        let mut wanted = vec!["devices", identity.device_id()];
        if let Some(module) = identity.module_id() {
            wanted.extend(["modules", module]);
        }
        let granted = match &token.key_name {
            Some(name) => {
                self.check_policy(&token, name, Right::DeviceConnect, &wanted)?;
                method("hub", "sas")
            }
            None => {
                if self.covered(&token, &wanted)? < 2 {
                    return Err("the token's sr names no device and it has no skn".into());
                }
                let keys = match credential {
                    Credential::Keys(keys) => keys,
                    Credential::None => {
                        return Err(format!("{identity} is registered without credentials"));
                    }
                    Credential::Thumbprints(_) | Credential::Authority => {
                        return Err(format!("{identity} is registered with a certificate and sent a token"));
                    }
                };
                if !keys.iter().any(|named| token.verify(&named.key)) {
                    return Err(format!("neither key of {identity} signed the token"));
                }
                method(scope, "sas")
            }
        };
        let end = last_second(&token, self.tokens.skew, now)?;
        Ok(Granted { method: granted, until: Some(end.saturating_add(self.tokens.grace)) })
    }

    /// Decides a request of a back-end to `path` (segments after the host); the error is for people.
    pub(crate) fn admit_service(
        &self,
        token: &str,
        right: Right,
        path: &[&str],
        now: u64,
    ) -> Result<(), String> {
        let token: SasToken = token.parse().map_err(|e: iothub_mqtt::Error| e.to_string())?;
        let name = token.key_name.clone().ok_or("the token has no skn")?;
        self.check_policy(&token, &name, right, path)?;
        last_second(&token, self.tokens.skew, now)?;
        Ok(())
    }

    fn check_policy(
        &self,
        token: &SasToken,
        name: &str,
        right: Right,
        wanted: &[&str],
    ) -> Result<(), String> {
        let policy = self
            .policies
            .iter()
            .find(|policy| policy.name == name)
            .ok_or_else(|| format!("the hub has no policy '{name}'"))?;
        if !policy.allows(right) {
            return Err(format!("the policy '{name}' does not allow this"));
        }
        self.covered(token, wanted)?;
        if token.verify(&policy.key.key) {
            Ok(())
        } else {
            Err(format!("the key of the policy '{name}' did not sign the token"))
        }
    }

    /// How many segments of `wanted` the token's `sr` names, which all have to agree.
    ///
    /// SDKs encode ids once or twice, so either is taken. The 2018 sample ends `sr` with
    /// `/api-version=...`.
    fn covered(&self, token: &SasToken, wanted: &[&str]) -> Result<usize, String> {
        let decoded = percent::decode(&token.resource).map_err(|e| e.to_string())?;
        let mut segments: Vec<&str> = decoded.split('/').collect();
        if segments.last().is_some_and(|last| last.starts_with("api-version=")) {
            segments.pop();
        }
        let (host, rest) = segments.split_first().ok_or("the token's sr is empty")?;
        if !self.is_host(host) {
            return Err(format!("the token's sr is for the host '{host}', not for this hub"));
        }
        let equal = |sent: &str, id: &str| match self.tokens.case {
            ScopeCase::Ignored => sent.eq_ignore_ascii_case(id),
            ScopeCase::Compared => sent == id,
        };
        let twice = self.tokens.encoding == ScopeEncoding::OnceOrTwice;
        let same = |sent: &str, id: &str| {
            equal(sent, id) || twice && percent::decode(sent).is_ok_and(|again| equal(&again, id))
        };
        if rest.len() <= wanted.len() && rest.iter().zip(wanted).all(|(sent, id)| same(sent, id)) {
            Ok(rest.len())
        } else {
            Err(format!("the token's sr '{decoded}' does not cover {}", wanted.join("/")))
        }
    }
}

/// Whether a token of the provisioning service is over.
pub(crate) fn check_expiry(token: &SasToken, now: u64) -> Result<(), String> {
    last_second(token, CLOCK_SKEW, now).map(|_| ())
}

/// The last second in which a token is taken.
fn last_second(token: &SasToken, skew: u64, now: u64) -> Result<u64, String> {
    let end = token.expiry.saturating_add(skew);
    if now > end {
        let (ago, se) = (now.saturating_sub(token.expiry), token.expiry);
        return Err(format!("the token expired {ago} s ago (se={se}, the hub's clock is {now})"));
    }
    Ok(end)
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "auth_token_tests.rs"]
mod token_tests;
