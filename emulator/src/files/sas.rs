//! Shared access signatures for one blob, in the form of Azure Storage. Pure: the time is given.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iothub_mqtt::hub::percent;
use jiff::Timestamp;
use ring::hmac;

const VERSION: &str = "2018-03-28";
const PERMISSIONS: &str = "rw";

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    Delete,
}

/// Why a signature does not let a request in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// There is none.
    Missing,
    /// It is not of this hub, or for another blob.
    Signature,
    Expired,
    Permission,
}

/// The query, from its question mark, that lets its bearer read and write `blob` of `container`.
pub(super) fn token(key: &hmac::Key, container: &str, blob: &str, expiry: Timestamp) -> String {
    let expiry = format!("{expiry:.0}");
    let signature = hmac::sign(key, signed_text(container, blob, &expiry, PERMISSIONS).as_bytes());
    let signature = STANDARD.encode(signature.as_ref());
    format!(
        "?sv={VERSION}&sr=b&sig={}&se={}&sp={PERMISSIONS}",
        percent::encode(&signature),
        percent::encode(&expiry)
    )
}

/// Checks the signature in the query of a request.
pub(super) fn check(
    key: &hmac::Key,
    container: &str,
    blob: &str,
    query: &str,
    wanted: Access,
    now: Timestamp,
) -> Result<(), Denied> {
    let signature = parameter(query, "sig").ok_or(Denied::Missing)?;
    let (expiry, permissions) =
        parameter(query, "se").zip(parameter(query, "sp")).ok_or(Denied::Signature)?;
    let signature = STANDARD.decode(signature).map_err(|_| Denied::Signature)?;
    let text = signed_text(container, blob, &expiry, &permissions);
    hmac::verify(key, text.as_bytes(), &signature).map_err(|_| Denied::Signature)?;
    let expiry: Timestamp = expiry.parse().map_err(|_| Denied::Signature)?;
    if now >= expiry {
        return Err(Denied::Expired);
    }
    let letter = match wanted {
        Access::Read => 'r',
        Access::Write => 'w',
        Access::Delete => 'd',
    };
    if permissions.contains(letter) { Ok(()) } else { Err(Denied::Permission) }
}

fn signed_text(container: &str, blob: &str, expiry: &str, permissions: &str) -> String {
    format!("{permissions}\n{expiry}\n/{container}/{blob}\n{VERSION}")
}

/// The first value of `name` in a query, decoded; a plus sign is one.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(known, _)| *known == name)?;
    percent::decode(value).ok().map(std::borrow::Cow::into_owned)
}
