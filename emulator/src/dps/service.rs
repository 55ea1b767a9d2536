//! Who is let in, and the answers to what they ask.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use iothub_mqtt::hub::sas::CLOCK_SKEW;
use jiff::Timestamp;
use serde_json::Value;

use super::enrollments::{Attested, Enrollments, Evidence, check_token};
use super::names::{RegistrationId, Username};
use super::options::{DpsOptions, Reprovision};
use super::registrations::{Attestation, Outcome, Registration, assigning, refusal};
use super::request::{Refused, check};
use crate::auth::NamedKey;
use crate::broker::Broker;
use crate::chain::Shown;
use crate::error::HubError;
use crate::events::Event;
use crate::faults::FaultKind;
use crate::identity::Identity;

/// From here on `substatus` tells a device that was at the hub before.
const REPROVISIONED_SINCE: &str = "2019-04-15";

#[derive(Debug)]
pub(crate) struct Dps {
    pub(super) id_scope: String,
    /// The `assignedHub` of every registration.
    hub: String,
    retry_after: u16,
    poll_limit: u16,
    pub(super) enrollments: Enrollments,
    /// By the id in lower case. Locked before the broker's state.
    registrations: Mutex<HashMap<String, Registration>>,
}

/// A client that was let in to register.
#[derive(Debug)]
pub(crate) struct Registrant {
    pub(crate) registration: RegistrationId,
    api_version: String,
    evidence: Evidence,
}

impl Registrant {
    /// What a fault for it names.
    pub(crate) fn identity(&self) -> Identity {
        Identity::device(self.registration.as_str())
    }

    /// Seconds since 1970 after which its token is over for good.
    pub(crate) fn until(&self) -> Option<u64> {
        match &self.evidence {
            Evidence::Token(token) => Some(token.expiry.saturating_add(CLOCK_SKEW)),
            Evidence::Certificate(_) => None,
        }
    }
}

/// An answer in a topic of its own.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u16>,
    pub(crate) body: Value,
}

impl Answer {
    fn refused(code: u32, message: &str) -> Self {
        let status = u16::try_from(code / 1000).unwrap_or(500);
        Self { status, retry_after: None, body: refusal(code, message, Timestamp::now()) }
    }
}

impl Dps {
    /// Checks what was asked for; `generate` makes a key from a label.
    pub(crate) fn new(
        options: &DpsOptions,
        made_up_scope: String,
        hub: &str,
        generate: impl Fn(&str) -> Result<NamedKey, String>,
    ) -> Result<Self, String> {
        let id_scope = options.id_scope.clone().unwrap_or(made_up_scope);
        if id_scope.is_empty() || !id_scope.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err("the id scope has letters and digits alone".into());
        }
        if !(1..=300).contains(&options.retry_after) {
            return Err("retry-after must be 1 to 300 seconds".into());
        }
        Ok(Self {
            id_scope,
            hub: hub.to_owned(),
            retry_after: options.retry_after,
            poll_limit: options.poll_limit,
            enrollments: Enrollments::new(options, generate)?,
            registrations: Mutex::default(),
        })
    }

    /// Whether a fault may name `registration`.
    pub(crate) fn knows(&self, registration: &str) -> bool {
        self.enrollments.individual(registration).is_some()
            || self.registrations().contains_key(&registration.to_ascii_lowercase())
    }

    /// Decides a CONNECT at `now` (seconds since 1970) by what it says of itself. Who is enrolled is
    /// told in the answer to a registration, as the service does; the error is for people.
    pub(crate) fn admit(
        &self,
        username: Username,
        client_id: &str,
        password: Option<&str>,
        shown: Option<&Shown>,
        now: u64,
    ) -> Result<Registrant, String> {
        let Username { id_scope, registration, api_version } = username;
        if !id_scope.eq_ignore_ascii_case(&self.id_scope) {
            return Err(format!("the id scope is '{id_scope}' and not '{}'", self.id_scope));
        }
        if !registration.is(client_id) {
            return Err(format!("the ClientId '{client_id}' is not the registration id '{registration}'"));
        }
        let evidence = match (password, shown) {
            (Some(password), _) => {
                let token = password.parse().map_err(|e: iothub_mqtt::Error| e.to_string())?;
                check_token(&token, &self.id_scope, &registration, now)?;
                Evidence::Token(token)
            }
            (None, Some(shown)) => Evidence::Certificate(shown.clone()),
            (None, None) => return Err("neither a SAS token nor a certificate came".into()),
        };
        Ok(Registrant { registration, api_version, evidence })
    }

    /// Answers a registration; `None` where a fault wants no answer.
    pub(crate) fn register(
        &self,
        broker: &Broker,
        client: &Registrant,
        body: &[u8],
        now: u64,
    ) -> Option<Answer> {
        if let Some(disturbed) = self.disturbed(broker, client) {
            return disturbed;
        }
        Some(self.decide(broker, client, body, now).unwrap_or_else(|refused| {
            let Refused { code, message, reason } = *refused;
            self.refuse(broker, client, code, reason);
            Answer::refused(code, message)
        }))
    }

    fn decide(
        &self,
        broker: &Broker,
        client: &Registrant,
        body: &[u8],
        now: u64,
    ) -> Result<Answer, Box<Refused>> {
        check(&client.registration, body)?;
        let attested = self
            .enrollments
            .attest(&client.registration, &client.evidence, now)
            .map_err(|no| Refused::new(401_002, no.message, no.reason))?;
        let attestation = Attestation {
            kind: match client.evidence {
                Evidence::Token(_) => "symmetricKey",
                Evidence::Certificate(_) => "x509",
            },
            group: attested.group.map(str::to_owned),
        };
        let polls = attested.terms.assigning_polls;
        let mut registrations = self.registrations();
        let known = registrations.get_mut(&client.registration.key());
        let settled = attested.terms.reprovision == Reprovision::Never && !attested.terms.disabled;
        let operation = match known {
            Some(known) if settled && known.device_id().is_some() => known.start(polls),
            known => {
                let earlier = known.as_ref().and_then(|known| known.device_id());
                let outcome = self.outcome(broker, client, &attested, earlier)?;
                let time = Timestamp::now();
                match known {
                    Some(known) => {
                        known.update(attestation, outcome, time);
                        known.start(polls)
                    }
                    None => {
                        let mut new =
                            Registration::new(client.registration.clone(), attestation, outcome, time);
                        let operation = new.start(polls);
                        registrations.insert(client.registration.key(), new);
                        operation
                    }
                }
            }
        };
        Ok(Answer { status: 202, retry_after: Some(self.retry_after), body: assigning(&operation) })
    }

    /// Assigns the device, which gets its place at the hub. `earlier` is where it was assigned before.
    fn outcome(
        &self,
        broker: &Broker,
        client: &Registrant,
        attested: &Attested<'_>,
        earlier: Option<&str>,
    ) -> Result<Outcome, Box<Refused>> {
        let terms = attested.terms;
        if terms.disabled {
            self.refuse(broker, client, 403_000, "the enrollment is disabled".into());
            return Ok(Outcome::Disabled);
        }
        if let Some(code) = terms.allocation_error {
            let message = "Custom allocation failed with status code: 400".to_owned();
            self.refuse(broker, client, code, format!("the allocation fails as it was told to: {message}"));
            return Ok(Outcome::Failed { code, message });
        }
        let reset = terms.reprovision == Reprovision::Reset;
        // Ids that differ in case alone are one device, under the name that came first.
        let device_id = earlier.filter(|_| attested.group.is_some()).unwrap_or(attested.device_id);
        let device = Identity::device(device_id);
        let existed = broker.provision(&device, &attested.credential, terms).map_err(
            |HubError { code, message, .. }| Refused::new(code, "The hub refused the device.", message),
        )?;
        let substatus = match existed {
            true if reset && earlier.is_some() => "deviceDataReset",
            true if client.api_version.as_str() >= REPROVISIONED_SINCE => "reprovisionedToInitialAssignment",
            _ => "initialAssignment",
        };
        broker.events.emit(Some(&device), || Event::Provisioned {
            registration: client.registration.to_string(),
            group: attested.group.map(str::to_owned),
            substatus,
        });
        let payload = terms.payload.clone();
        Ok(Outcome::Assigned { device_id: device_id.to_owned(), substatus, payload })
    }

    /// Answers a poll at `now`; `None` where a fault wants no answer.
    pub(crate) fn status(
        &self,
        broker: &Broker,
        client: &Registrant,
        operation: &str,
        now: Instant,
    ) -> Option<Answer> {
        if let Some(disturbed) = self.disturbed(broker, client) {
            return disturbed;
        }
        let mut registrations = self.registrations();
        let known = registrations.get_mut(&client.registration.key());
        let Some(known) = known else {
            return Some(Answer::refused(404_202, "Operation not found."));
        };
        if !known.may_poll(self.poll_limit, now) {
            return Some(self.throttled());
        }
        Some(match known.poll(operation, &self.hub) {
            Some((true, body)) => Answer { status: 200, retry_after: None, body },
            Some((false, body)) => Answer { status: 202, retry_after: Some(self.retry_after), body },
            None => Answer::refused(404_202, "Operation not found."),
        })
    }

    /// What a fault makes of a request: an answer, or none at all.
    fn disturbed(&self, broker: &Broker, client: &Registrant) -> Option<Option<Answer>> {
        let identity = client.identity();
        if broker.take_fault(FaultKind::NoAnswer, &identity).is_some() {
            return Some(None);
        }
        if broker.take_fault(FaultKind::Throttle, &identity).is_some() {
            return Some(Some(self.throttled()));
        }
        let fault = broker.take_fault(FaultKind::ServerError, &identity)?;
        let answer = Answer::refused(u32::from(fault.code) * 1000, "An error of the service on demand.");
        Some(Some(Answer { retry_after: Some(self.retry_after), ..answer }))
    }

    fn throttled(&self) -> Answer {
        let answer = Answer::refused(429_001, "Operations are being throttled.");
        Answer { retry_after: Some(self.retry_after), ..answer }
    }

    fn refuse(&self, broker: &Broker, client: &Registrant, code: u32, reason: String) {
        broker.events.emit(None, || Event::NotProvisioned {
            registration: client.registration.to_string(),
            code: "registration",
            reason: format!("{code}: {reason}"),
            return_code: None,
        });
    }

    fn registrations(&self) -> std::sync::MutexGuard<'_, HashMap<String, Registration>> {
        self.registrations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
