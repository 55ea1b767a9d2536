//! What a person needs to register a device, keys included.

use serde::{Deserialize, Serialize};

use super::enrollments::{GroupAttestation, derive};
use super::service::Dps;
use crate::auth::Credential;

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) id_scope: String,
    enrollments: Vec<EnrollmentSummary>,
    groups: Vec<GroupSummary>,
}

#[derive(Clone, Serialize, Deserialize)]
struct EnrollmentSummary {
    registration: String,
    key: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct GroupSummary {
    name: String,
    key: Option<String>,
}

impl Dps {
    pub(crate) fn id_scope(&self) -> &str {
        &self.id_scope
    }

    /// The primary key of an individual enrollment.
    pub(crate) fn enrollment_key(&self, registration: &str) -> Option<&str> {
        match &self.enrollments.individual(registration)?.credential {
            Credential::Keys(keys) => Some(&keys[0].base64),
            _ => None,
        }
    }

    /// The primary key of a group, or of one of its devices.
    pub(crate) fn group_key(&self, name: &str, registration: Option<&str>) -> Option<String> {
        match (&self.enrollments.group(name)?.attestation, registration) {
            (GroupAttestation::Keys(keys), None) => Some(keys[0].base64.clone()),
            (GroupAttestation::Keys(keys), Some(id)) => derive(&keys[0], id).ok().map(|named| named.base64),
            (GroupAttestation::Roots(_), _) => None,
        }
    }

    pub(crate) fn summary(&self) -> Summary {
        let (individuals, groups) = self.enrollments.all();
        let individuals = individuals.into_iter().map(|one| EnrollmentSummary {
            registration: one.registration.as_str().to_owned(),
            key: self.enrollment_key(one.registration.as_str()).map(str::to_owned),
        });
        let groups = groups
            .iter()
            .map(|one| GroupSummary { name: one.name.clone(), key: self.group_key(&one.name, None) });
        Summary {
            id_scope: self.id_scope.clone(),
            enrollments: individuals.collect(),
            groups: groups.collect(),
        }
    }
}
