//! What the server has granted, so that it can be told again when it has forgotten.

use std::collections::{BTreeMap, BTreeSet};

use super::packet::QoS;

#[derive(Default)]
pub(super) struct Subscriptions {
    wanted: BTreeMap<String, QoS>,
    /// The server has, or may have, forgotten them since it last granted them.
    forgotten: bool,
}

impl Subscriptions {
    pub(super) fn granted(&mut self, filters: Vec<(String, QoS)>, granted: &[Option<QoS>]) {
        for ((filter, qos), granted) in filters.into_iter().zip(granted) {
            if granted.is_some() {
                self.wanted.insert(filter, qos);
            } else {
                self.wanted.remove(&filter);
            }
        }
    }

    pub(super) fn remove(&mut self, filters: &[String]) {
        for filter in filters {
            self.wanted.remove(filter);
        }
    }

    pub(super) fn server_forgot(&mut self) {
        self.forgotten = true;
    }

    pub(super) fn server_knows(&mut self) {
        self.forgotten = false;
    }

    /// What has to be asked for again. What `pending` names will be said anyway, and later said is
    /// what counts.
    pub(super) fn to_restore(&self, pending: &BTreeSet<&str>) -> Vec<(String, QoS)> {
        if !self.forgotten {
            return Vec::new();
        }
        let missing = self.wanted.iter().filter(|(filter, _)| !pending.contains(filter.as_str()));
        missing.map(|(filter, qos)| (filter.clone(), *qos)).collect()
    }
}
