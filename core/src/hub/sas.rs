//! Shared access signatures: keys, and the tokens that they sign.
//!
//! A token is `SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={policy}]`.
//! The signature is HMAC-SHA256 over the text of `sr` exactly as sent, a line feed, and `se`
//! (Microsoft's page "Control access to IoT Hub by using shared access signatures").

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::percent;
use crate::error::{Error, ErrorKind, Result};

/// How long after its expiry IoT Hub still takes a token, in seconds.
pub const CLOCK_SKEW: u64 = 300;

const SCHEME: &str = "SharedAccessSignature";

/// .NET and Python ignore the unused low bits of the last character, so such keys are in use.
const KEYS: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);
/// The embedded C SDK passes on a signature as it was given, padded or not.
const SIGNATURES: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key of a device, a module or a policy.
#[derive(Clone)]
pub struct SharedAccessKey(Hmac<Sha256>);

impl SharedAccessKey {
    /// Reads a key in padded standard base64, as the portal and the CLI print it.
    ///
    /// # Errors
    /// `Argument` where the text is empty or not base64. The text itself is never in the error.
    pub fn from_base64(key: &str) -> Result<Self> {
        const NAME: &str = "SharedAccessKey";
        if key.is_empty() {
            return Err(Error::argument(NAME, "must not be empty"));
        }
        let bytes = KEYS.decode(key).map_err(|_| {
            let cut = !key.len().is_multiple_of(4)
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
            Error::argument(
                NAME,
                if cut {
                    "must be base64 with its padding: its length is no multiple of 4, \
                     the end (often '=') may have been cut off"
                } else {
                    "must be base64"
                },
            )
        })?;
        Self::from_bytes(&bytes)
    }

    /// Takes the key as bytes, already decoded.
    ///
    /// # Errors
    /// `Argument` where `bytes` is empty.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::argument("SharedAccessKey", "must not be empty"));
        }
        match Hmac::new_from_slice(bytes) {
            Ok(mac) => Ok(Self(mac)),
            Err(_) => Err(Error::new(ErrorKind::Internal, "HMAC-SHA256 takes keys of any length")),
        }
    }

    /// HMAC-SHA256 of `data`.
    pub fn sign(&self, data: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(data);
        mac.finalize().into_bytes().into()
    }

    /// Whether `signature` is this key's over `data`, in time that does not depend on where they
    /// differ.
    pub fn verify(&self, data: &[u8], signature: &[u8]) -> bool {
        let mut mac = self.0.clone();
        mac.update(data);
        mac.verify_slice(signature).is_ok()
    }
}

impl fmt::Debug for SharedAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedAccessKey(hidden)")
    }
}

/// The resource of a token as the client sends it: `uri` percent-encoded, upper-case digits.
pub fn encode_resource(uri: &str) -> String {
    percent::encode(uri)
}

/// The text that a token's signature covers. `resource` is `sr` exactly as sent, `expiry_unix` in
/// seconds since 1970. This is what an external signer (TPM, HSM, Edge workload API) is given.
pub fn signed_text(resource: &str, expiry_unix: u64) -> String {
    format!("{resource}\n{expiry_unix}")
}

/// A token signed with `key`. `resource_encoded` is sent as it is, so it has to be encoded
/// already (see [`encode_resource`]); `key_name` is the policy's name where a policy's key signs.
pub fn token(
    resource_encoded: &str,
    key: &SharedAccessKey,
    expiry_unix: u64,
    key_name: Option<&str>,
) -> String {
    let signature = key.sign(signed_text(resource_encoded, expiry_unix).as_bytes());
    token_with_signature(resource_encoded, &SIGNATURES.encode(signature), expiry_unix, key_name)
}

/// A token around a signature that was made elsewhere over [`signed_text`], given in base64.
pub fn token_with_signature(
    resource_encoded: &str,
    signature_base64: &str,
    expiry_unix: u64,
    key_name: Option<&str>,
) -> String {
    let mut out = format!("{SCHEME} sr={resource_encoded}&sig=");
    percent::encode_into(&mut out, signature_base64);
    out.push_str("&se=");
    out.push_str(&expiry_unix.to_string());
    if let Some(name) = key_name {
        out.push_str("&skn=");
        percent::encode_into(&mut out, name);
    }
    out
}

/// A token taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct SasToken {
    /// `sr` exactly as sent: still encoded, in the sender's way of encoding.
    pub resource: String,
    /// `sig`, decoded.
    pub signature: Vec<u8>,
    /// `se`, in seconds since 1970.
    pub expiry: u64,
    /// `skn`, decoded; absent for a device's or module's own key, and where it is empty.
    pub key_name: Option<String>,
    /// `se` exactly as sent, because the signature covers its digits.
    expiry_text: String,
}

impl SasToken {
    /// The text that the signature covers: `sr` as sent, a line feed, `se` as sent.
    pub fn signed_text(&self) -> String {
        format!("{}\n{}", self.resource, self.expiry_text)
    }

    /// Whether `key` signed this token. Neither the expiry nor the resource is looked at.
    pub fn verify(&self, key: &SharedAccessKey) -> bool {
        key.verify(self.signed_text().as_bytes(), &self.signature)
    }

    /// Whether IoT Hub refuses the token at `now_unix` (seconds since 1970) as expired:
    /// [`CLOCK_SKEW`] after its expiry.
    pub fn is_expired(&self, now_unix: u64) -> bool {
        now_unix > self.expiry.saturating_add(CLOCK_SKEW)
    }
}

impl FromStr for SasToken {
    type Err = Error;

    /// Reads a token: fields in any order, their names in any case, exactly one white-space
    /// character after the scheme.
    ///
    /// # Errors
    /// `Argument`, with the field and the rule and never a field's value.
    fn from_str(text: &str) -> Result<Self> {
        let fields = text
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.strip_prefix(char::is_whitespace))
            .filter(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
            .ok_or_else(|| {
                malformed("must be 'SharedAccessSignature', one space, and fields without a space")
            })?;
        let [mut sr, mut sig, mut se, mut skn] = [None; 4];
        for field in fields.split('&').filter(|field| !field.is_empty()) {
            let (name, value) =
                field.split_once('=').ok_or_else(|| malformed("each field must be name=value"))?;
            let slot = match name.to_ascii_lowercase().as_str() {
                "sr" => &mut sr,
                "sig" => &mut sig,
                "se" => &mut se,
                "skn" => &mut skn,
                _ => return Err(malformed("only the fields sr, sig, se and skn are known")),
            };
            if slot.replace(value).is_some() {
                return Err(malformed("a field is there twice"));
            }
        }
        let required = |name: &str, value: Option<&str>| {
            value
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| malformed(format_args!("the field {name} is missing or empty")))
        };
        let resource = required("sr", sr)?;
        let signature = required("sig", sig)?;
        let expiry_text = required("se", se)?;

        let signature = percent::decode(&signature)
            .ok()
            .and_then(|base64| SIGNATURES.decode(base64.as_bytes()).ok())
            .ok_or_else(|| malformed("sig must be percent-encoded base64"))?;
        // `parse` alone would take a sign.
        let expiry = Some(expiry_text.as_str())
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| malformed("se must be a number of seconds since 1970"))?;
        let key_name = match skn {
            None | Some("") => None,
            Some(name) => Some(
                percent::decode(name)
                    .map_err(|_| malformed("skn must be percent-encoded UTF-8"))?
                    .into_owned(),
            ),
        };
        Ok(Self { resource, signature, expiry, key_name, expiry_text })
    }
}

impl fmt::Debug for SasToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SasToken")
            .field("resource", &self.resource)
            .field("expiry", &self.expiry)
            .field("key_name", &self.key_name)
            .finish_non_exhaustive()
    }
}

fn malformed(rule: impl fmt::Display) -> Error {
    Error::argument("SharedAccessSignature", rule)
}
