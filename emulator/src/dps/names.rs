//! What the provisioning service takes as user name, registration id and topic. Pure.

use std::fmt;

use crate::broker::rules::is_api_version;

/// The only filter that there is.
pub(crate) const FILTER: &str = "$dps/registrations/res/#";

/// A registration id as it was sent; ids that differ in case alone are the same.
#[derive(Debug, Clone)]
pub(crate) struct RegistrationId(String);

impl RegistrationId {
    pub(crate) fn new(id: &str) -> Result<Self, &'static str> {
        if !(1..=128).contains(&id.len()) {
            return Err("a registration id has 1 to 128 characters");
        }
        if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b)) {
            return Err("a registration id has letters, digits and -._: alone");
        }
        if !id.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '-') {
            return Err("a registration id ends in a letter, a digit or '-'");
        }
        Ok(Self(id.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What is the same for all ways to write it.
    pub(crate) fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    pub(crate) fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user name taken apart: `{idScope}/registrations/{registrationId}/api-version=...`.
#[derive(Debug, Clone)]
pub(crate) struct Username {
    pub(crate) id_scope: String,
    pub(crate) registration: RegistrationId,
    pub(crate) api_version: String,
}

/// The id scope and what follows `/registrations/`, where the user name has the service's form.
///
/// `is_hub` tells the hub's own names: a device may be called `registrations`.
fn split(username: &str, is_hub: impl Fn(&str) -> bool) -> Option<(&str, &str)> {
    let (scope, rest) = username.split_once('/')?;
    let rest = rest.strip_prefix("registrations/")?;
    (!is_hub(scope)).then_some((scope, rest))
}

/// Reads a user name, `None` where it is not one of the provisioning service; the error says what is
/// wrong with it. What clients append as `ClientVersion` is as they please.
pub(crate) fn parse_username(
    username: &str,
    is_hub: impl Fn(&str) -> bool,
) -> Option<Result<Username, &'static str>> {
    let (id_scope, rest) = split(username, is_hub)?;
    let parse = || {
        let shape = "the user name must be {idScope}/registrations/{registrationId}/api-version={date}";
        let (registration, query) = rest.split_once('/').ok_or(shape)?;
        let registration = RegistrationId::new(registration)?;
        if query.starts_with('?') {
            return Err("a user name of the provisioning service has no '?' before api-version");
        }
        let version = query.split('&').find_map(|pair| pair.strip_prefix("api-version="));
        let version = version.ok_or("the user name has no api-version")?;
        if !is_api_version(version) {
            return Err("the api-version in the user name is not a date like 2019-03-31");
        }
        Ok(Username { id_scope: id_scope.to_owned(), registration, api_version: version.to_owned() })
    };
    Some(parse())
}

/// What a device may publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    Register { rid: &'a str },
    Status { rid: &'a str, operation: &'a str },
}

/// Reads a topic; the error says why the service closes the connection.
pub(crate) fn parse_topic(topic: &str) -> Result<Request<'_>, String> {
    let unknown = || format!("'{topic}' is no topic of the provisioning service");
    let rest = topic.strip_prefix("$dps/registrations/").ok_or_else(unknown)?;
    let (path, query) = rest.split_once('?').ok_or_else(unknown)?;
    let value = |name: &str| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.filter(|value| !value.is_empty()).ok_or_else(|| format!("'{topic}' has no {name}"))
    };
    match path.strip_suffix('/').unwrap_or(path) {
        "PUT/iotdps-register" => Ok(Request::Register { rid: value("$rid")? }),
        "GET/iotdps-get-operationstatus" => {
            Ok(Request::Status { rid: value("$rid")?, operation: value("operationId")? })
        }
        _ => Err(unknown()),
    }
}

/// Where the answer to `rid` goes.
pub(crate) fn answer_topic(status: u16, rid: &str, retry_after: Option<u16>) -> String {
    let wait = retry_after.map_or_else(String::new, |seconds| format!("&retry-after={seconds}"));
    format!("$dps/registrations/res/{status}/?$rid={rid}{wait}")
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
