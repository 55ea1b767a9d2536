//! Who is enrolled, and whether somebody who registers is among them. Pure: the time is given.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iothub_mqtt::hub::percent;
use iothub_mqtt::hub::sas::SasToken;
use serde_json::{Map, Value};

use super::names::RegistrationId;
use super::options::{DpsOptions, EnrollmentOptions, GroupOptions, Reprovision};
use crate::auth::{Credential, NamedKey, check_expiry};
use crate::chain::{Roots, Shown};
use crate::identity::Identity;
use crate::tls::thumbprint;
use crate::twins::Twin;

/// What an enrollment makes of those whom it lets in.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) tags: Map<String, Value>,
    pub(crate) desired: Map<String, Value>,
    pub(crate) payload: Option<Value>,
    pub(crate) edge: bool,
    pub(crate) reprovision: Reprovision,
    pub(crate) disabled: bool,
    pub(crate) allocation_error: Option<u32>,
    pub(crate) assigning_polls: u32,
}

#[derive(Debug)]
pub(super) struct Individual {
    pub(super) registration: RegistrationId,
    device_id: Option<String>,
    /// Keys or thumbprints.
    pub(super) credential: Credential,
    terms: Terms,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) attestation: GroupAttestation,
    terms: Terms,
}

#[derive(Debug)]
pub(super) enum GroupAttestation {
    Keys(Box<[NamedKey; 2]>),
    Roots(Roots),
}

/// What a client brought at CONNECT.
#[derive(Debug)]
pub(crate) enum Evidence {
    Token(SasToken),
    Certificate(Shown),
}

/// Somebody who is enrolled.
#[derive(Debug)]
pub(super) struct Attested<'a> {
    pub(super) terms: &'a Terms,
    pub(super) device_id: &'a str,
    /// What the device proves itself to the hub with from now on.
    pub(super) credential: Credential,
    pub(super) group: Option<&'a str>,
}

/// Somebody who is not.
#[derive(Debug)]
pub(super) struct Unattested {
    /// What the service says.
    pub(super) message: &'static str,
    /// For people.
    pub(super) reason: String,
}

#[derive(Debug, Default)]
pub(super) struct Enrollments {
    individuals: HashMap<String, Individual>,
    groups: Vec<Group>,
}

impl Enrollments {
    /// Checks what was asked for; `generate` makes a key from a label.
    pub(super) fn new(
        options: &DpsOptions,
        generate: impl Fn(&str) -> Result<NamedKey, String>,
    ) -> Result<Self, String> {
        let mut enrollments = Self::default();
        for given in &options.enrollments {
            let failed = |why: String| format!("the enrollment '{}': {why}", given.registration);
            let individual = Individual::new(given, &generate).map_err(failed)?;
            if enrollments.individuals.insert(individual.registration.key(), individual).is_some() {
                return Err(failed("is given twice".into()));
            }
        }
        for given in &options.groups {
            let failed = |why: String| format!("the enrollment group '{}': {why}", given.name);
            if enrollments.groups.iter().any(|group| group.name == given.name) {
                return Err(failed("is given twice".into()));
            }
            enrollments.groups.push(Group::new(given, &generate).map_err(failed)?);
        }
        Ok(enrollments)
    }

    pub(super) fn individual(&self, registration: &str) -> Option<&Individual> {
        self.individuals.get(&registration.to_ascii_lowercase())
    }

    pub(super) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Every individual enrollment in the order of ids, then every group in the order given.
    pub(super) fn all(&self) -> (Vec<&Individual>, &[Group]) {
        let mut individuals: Vec<_> = self.individuals.values().collect();
        individuals.sort_by(|a, b| a.registration.as_str().cmp(b.registration.as_str()));
        (individuals, &self.groups)
    }

    /// Decides at `now` (seconds since 1970). An individual enrollment goes before every group.
    pub(super) fn attest<'a>(
        &'a self,
        registration: &'a RegistrationId,
        evidence: &Evidence,
        now: u64,
    ) -> Result<Attested<'a>, Unattested> {
        let result = match self.individual(registration.as_str()) {
            Some(individual) => individual.attest(evidence, now),
            None => self.attest_by_group(registration, evidence, now),
        };
        let message = match evidence {
            Evidence::Token(_) => "Unauthorized",
            Evidence::Certificate(_) => "Invalid certificate.",
        };
        result.map_err(|reason| Unattested { message, reason })
    }

    fn attest_by_group<'a>(
        &'a self,
        registration: &'a RegistrationId,
        evidence: &Evidence,
        now: u64,
    ) -> Result<Attested<'a>, String> {
        let mut reasons = vec![format!("'{registration}' has no individual enrollment")];
        for group in &self.groups {
            match group.attest(registration, evidence, now) {
                Ok(credential) => {
                    return Ok(Attested {
                        terms: &group.terms,
                        device_id: registration.as_str(),
                        credential,
                        group: Some(&group.name),
                    });
                }
                Err(reason) => reasons.push(format!("group '{}': {reason}", group.name)),
            }
        }
        Err(reasons.join("; "))
    }
}

/// The terms in either kind of options.
macro_rules! terms {
    ($given:expr) => {
        Terms {
            tags: $given.tags.clone(),
            desired: $given.desired.clone(),
            payload: $given.payload.clone(),
            edge: $given.edge,
            reprovision: $given.reprovision,
            disabled: $given.disabled,
            allocation_error: $given.allocation_error,
            assigning_polls: $given.assigning_polls,
        }
    };
}

impl Individual {
    fn new(
        given: &EnrollmentOptions,
        generate: impl Fn(&str) -> Result<NamedKey, String>,
    ) -> Result<Self, String> {
        let registration = RegistrationId::new(&given.registration)?;
        let keys = [&given.key, &given.secondary_key];
        let thumbprints = [&given.thumbprint, &given.secondary_thumbprint];
        let credential = match thumbprints.iter().any(|given| given.is_some()) {
            false => Credential::Keys(pair(keys, |which| {
                generate(&format!("enrollment {which} {}", given.registration))
            })?),
            true if keys.iter().any(|given| given.is_some()) => {
                return Err("has a key and a thumbprint, of which there may be one".into());
            }
            true => {
                let thumbprints = thumbprints.into_iter().flatten().map(|text| thumbprint(text));
                Credential::Thumbprints(thumbprints.collect::<Result<_, _>>()?)
            }
        };
        if given.device_id.as_deref().is_some_and(|id| !Identity::device(id).is_valid()) {
            return Err("the device id is empty, too long or has a forbidden character".into());
        }
        Ok(Self {
            registration,
            device_id: given.device_id.clone(),
            credential,
            terms: terms!(given).checked()?,
        })
    }

    fn attest(&self, evidence: &Evidence, now: u64) -> Result<Attested<'_>, String> {
        match (&self.credential, evidence) {
            (Credential::Keys(keys), Evidence::Token(token)) => {
                if !keys.iter().any(|named| token.verify(&named.key)) {
                    return Err(format!(
                        "neither key of the enrollment '{}' signed the token",
                        self.registration
                    ));
                }
            }
            (Credential::Thumbprints(known), Evidence::Certificate(shown)) => {
                if !known.iter().any(|thumbprint| shown.thumbprints.matches(thumbprint)) {
                    return Err(format!(
                        "the certificate's thumbprints are not the enrollment's: SHA1 {}, SHA256 {}",
                        shown.thumbprints.sha1, shown.thumbprints.sha256
                    ));
                }
                shown.check_validity(now)?;
                shown.check_name(self.registration.as_str(), |name| self.registration.is(name))?;
            }
            (Credential::Keys(_), Evidence::Certificate(_)) => {
                return Err(format!("'{}' is enrolled with a key and sent no token", self.registration));
            }
            (_, _) => {
                return Err(format!(
                    "'{}' is enrolled with a certificate and sent a token",
                    self.registration
                ));
            }
        }
        Ok(Attested {
            terms: &self.terms,
            device_id: self.device_id.as_deref().unwrap_or(self.registration.as_str()),
            credential: self.credential.clone(),
            group: None,
        })
    }
}

impl Group {
    fn new(
        given: &GroupOptions,
        generate: impl Fn(&str) -> Result<NamedKey, String>,
    ) -> Result<Self, String> {
        if given.name.is_empty() {
            return Err("a name must not be empty".into());
        }
        let keys = [&given.key, &given.secondary_key];
        let attestation = match given.roots.is_empty() {
            true => GroupAttestation::Keys(pair(keys, |which| {
                generate(&format!("enrollment group {which} {}", given.name))
            })?),
            false if keys.iter().any(|given| given.is_some()) => {
                return Err("has a key and roots, of which there may be one".into());
            }
            false => GroupAttestation::Roots(Roots::read(&given.roots)?),
        };
        Ok(Self { name: given.name.clone(), attestation, terms: terms!(given).checked()? })
    }

    fn attest(
        &self,
        registration: &RegistrationId,
        evidence: &Evidence,
        now: u64,
    ) -> Result<Credential, String> {
        match (&self.attestation, evidence) {
            (GroupAttestation::Keys(keys), Evidence::Token(token)) => {
                // The id may have been written in lower case where the device's key was made.
                for id in [registration.as_str(), &registration.key()] {
                    let derived = [derive(&keys[0], id)?, derive(&keys[1], id)?];
                    if derived.iter().any(|named| token.verify(&named.key)) {
                        return Ok(Credential::Keys(Box::new(derived)));
                    }
                }
                Err("no key derived from its keys signed the token".into())
            }
            (GroupAttestation::Roots(roots), Evidence::Certificate(shown)) => {
                roots.check(shown, now)?;
                shown.check_name(registration.as_str(), |name| registration.is(name))?;
                Ok(Credential::Thumbprints(vec![shown.thumbprints.sha256.clone()]))
            }
            (GroupAttestation::Keys(_), _) => Err("enrolls with keys".into()),
            (GroupAttestation::Roots(_), _) => Err("enrolls with certificates".into()),
        }
    }
}

impl Terms {
    fn checked(self) -> Result<Self, String> {
        if self.allocation_error.is_some_and(|code| !(400_207..=400_209).contains(&code)) {
            return Err("allocation-error must be 400207, 400208 or 400209".into());
        }
        Twin::initial(&self.tags, &self.desired, "").map_err(|why| format!("twin: {why}"))?;
        Ok(self)
    }
}

/// The primary and the secondary key, made up where they are not given.
fn pair(
    [primary, secondary]: [&Option<String>; 2],
    generate: impl Fn(&str) -> Result<NamedKey, String>,
) -> Result<Box<[NamedKey; 2]>, String> {
    let read = |given: &Option<String>, which: &str| match given {
        None => generate(which),
        Some(key) => {
            let length = STANDARD.decode(key).map_or(0, |bytes| bytes.len());
            match NamedKey::new(key) {
                Ok(named) if (16..=64).contains(&length) => Ok(named),
                Ok(_) => Err("a key has 16 to 64 bytes in base64".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        }
    };
    Ok(Box::new([read(primary, "primary")?, read(secondary, "secondary")?]))
}

/// The key of a device in a group: HMAC-SHA256 of its registration id under the group's key.
pub(super) fn derive(group: &NamedKey, registration: &str) -> Result<NamedKey, String> {
    NamedKey::new(&STANDARD.encode(group.key.sign(registration.as_bytes()))).map_err(|e| e.to_string())
}

/// Whether a token is for `registration` under `id_scope` at `now` (seconds since 1970), whoever
/// signed it. SDKs encode `sr` once, twice or not at all.
pub(super) fn check_token(
    token: &SasToken,
    id_scope: &str,
    registration: &RegistrationId,
    now: u64,
) -> Result<(), String> {
    let wanted = format!("{id_scope}/registrations/{registration}");
    let mut resource = token.resource.clone();
    for _ in 0..2 {
        if !resource.eq_ignore_ascii_case(&wanted) {
            resource = percent::decode(&resource).map_err(|e| e.to_string())?.into_owned();
        }
    }
    if !resource.eq_ignore_ascii_case(&wanted) {
        return Err(format!("the token's sr '{resource}' is not '{wanted}'"));
    }
    if let Some(name) = token.key_name.as_deref().filter(|name| *name != "registration") {
        return Err(format!("the token's skn is '{name}' and not 'registration'"));
    }
    check_expiry(token, now)
}

#[cfg(test)]
#[path = "enrollments_tests.rs"]
mod tests;
