//! The findings so far.

use super::{Check, Finding, Verdict};
use crate::error::{Error, Result};
use crate::io::Fault;

pub(super) struct Report<'a> {
    tell: &'a mut dyn FnMut(&Finding),
    told: usize,
    first_failure: Option<Error>,
}

impl<'a> Report<'a> {
    pub(super) fn new(tell: &'a mut dyn FnMut(&Finding)) -> Self {
        Self { tell, told: 0, first_failure: None }
    }

    fn add(&mut self, check: Check, verdict: Verdict, detail: String) {
        debug_assert_eq!(Check::ALL.get(self.told), Some(&check));
        self.told += 1;
        (self.tell)(&Finding { check, verdict, detail });
    }

    pub(super) fn passed(&mut self, check: Check, detail: impl Into<String>) {
        self.add(check, Verdict::Passed, detail.into());
    }

    pub(super) fn not_needed(&mut self, check: Check, detail: impl Into<String>) {
        self.add(check, Verdict::NotNeeded, detail.into());
    }

    pub(super) fn failed(&mut self, check: Check, error: Error) {
        self.add(check, Verdict::Failed(error.kind()), error.detail().to_owned());
        self.first_failure.get_or_insert(error);
    }

    /// What was found, and what more there is to say about it.
    pub(super) fn fault(&mut self, check: Check, fault: Fault, more: &[String]) {
        let kind = fault.error_kind();
        let detail = more.iter().fold(fault.detail, |text, more| format!("{text}; {more}"));
        self.failed(check, Error::new(kind, detail));
    }

    /// Every check that has not been told, because of the one that failed last.
    pub(super) fn rest_not_done(&mut self, because: Check) {
        while let Some(check) = Check::ALL.get(self.told).copied() {
            self.not_done(check, because);
        }
    }

    pub(super) fn not_done(&mut self, check: Check, because: Check) {
        self.add(check, Verdict::NotDone, format!("not done: {} failed", because.name()));
    }

    pub(super) fn end(self) -> Result<()> {
        self.first_failure.map_or(Ok(()), Err)
    }
}
