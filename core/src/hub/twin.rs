//! Requests for the twin that wait for the hub, and the changes that it tells of.
//!
//! A request is kept until it is answered or its time is over: what a connection took with it is
//! asked again on the next, in the order in which it was asked first, so that the last report of a
//! property stays the last. Request ids carry a salt, so that the answer to an earlier process is
//! nobody's.

mod refusal;
mod waiting;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::refusal::{is_transient, refusal};
use self::waiting::{Kind, Waiting};
use super::desired::{Desired, Seen, Step};
use super::topic::{self, TwinResponse};
use crate::error::{Error, ErrorKind, Result};

/// Requests that may wait.
const MOST: usize = 1_000;
/// The wait after a refusal for lack of capacity, where the hub names none; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long the library waits for an answer of its own before it asks again.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(60);

/// A document that is older than a change was announced is read again so often; then the change counts as
/// gone.
const INSISTENCE: u32 = 5;

/// What a request brought.
#[derive(Clone, PartialEq, Eq)]
pub enum TwinAnswer {
    /// The document: `{"desired":{…},"reported":{…}}`.
    Twin(Bytes),
    /// The new version of the reported properties, where the hub told it.
    Reported(Option<u64>),
}

/// Without what the twin holds.
impl fmt::Debug for TwinAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twin(document) => write!(f, "Twin({} bytes)", document.len()),
            Self::Reported(version) => f.debug_tuple("Reported").field(version).finish(),
        }
    }
}

/// What an incoming message came to.
#[derive(Debug)]
pub enum Heard<T> {
    Answer(T, Result<TwinAnswer>),
    Desired(Desired),
}

/// The twin of one client.
pub struct Twin<T> {
    salt: u32,
    last: u64,
    waiting: VecDeque<Waiting<T>>,
    seen: Option<Seen>,
    connected: bool,
    /// The hub asked to slow down.
    held_until: Option<Instant>,
    refusals: u32,
    /// A request was not taken when it was to be sent.
    kept_back: bool,
}

impl<T> fmt::Debug for Twin<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twin").field("waiting", &self.waiting.len()).field("seen", &self.seen).finish()
    }
}

impl<T> Twin<T> {
    pub fn new(salt: u32) -> Self {
        Self {
            salt,
            last: 0,
            waiting: VecDeque::new(),
            seen: None,
            connected: false,
            held_until: None,
            refusals: 0,
            kept_back: false,
        }
    }

    /// Asks for the document.
    ///
    /// # Errors
    /// `Full`, with the tag.
    pub fn get(&mut self, tag: T, until: Instant) -> std::result::Result<(), (Error, T)> {
        self.ask(Kind::Get, tag, until)
    }

    /// Reports properties: a JSON merge patch, checked by [`check_patch`].
    ///
    /// # Errors
    /// As [`Twin::get`].
    pub fn report(&mut self, patch: Bytes, tag: T, until: Instant) -> std::result::Result<(), (Error, T)> {
        self.ask(Kind::Report { patch, overtaken: false }, tag, until)
    }

    fn ask(&mut self, kind: Kind, tag: T, until: Instant) -> std::result::Result<(), (Error, T)> {
        if self.waiting.len() >= MOST {
            return Err((Error::new(ErrorKind::Full, format!("{MOST} twin requests wait for the hub")), tag));
        }
        self.push(kind, Some(tag), Some(until));
        Ok(())
    }

    fn push(&mut self, kind: Kind, tag: Option<T>, until: Option<Instant>) {
        self.last += 1;
        let (number, not_before, refused) = (self.last, None, None);
        self.waiting.push_back(Waiting { number, kind, tag, until, not_before, sent: false, refused });
    }

    /// Whether changes of the desired properties are wanted. At first everything is delivered.
    pub fn watch(&mut self, wanted: bool) {
        if !wanted {
            self.seen = None;
            self.waiting.retain(|waiting| !matches!(waiting.kind, Kind::CatchUp { .. }));
        } else if self.seen.is_none() {
            self.seen = Some(Seen::default());
            self.catch_up();
        }
    }

    fn catch_up(&mut self) {
        let asked = self.waiting.iter().any(|waiting| matches!(waiting.kind, Kind::CatchUp { .. }));
        if !asked {
            self.push(Kind::CatchUp { fruitless: 0 }, None, None);
        }
    }

    /// The answer did not bring what was missed: at once it is asked again only if a change overtook it, and
    /// once.
    fn catch_up_again(&mut self, fruitless: u32, overtaken: bool, now: Instant) {
        self.push(Kind::CatchUp { fruitless: fruitless.saturating_add(1) }, None, None);
        if let Some(again) = self.waiting.back_mut().filter(|_| !overtaken || fruitless > 0) {
            again.not_before = Some(now + doubled(fruitless));
        }
    }

    pub fn connected(&mut self) {
        self.connected = true;
        for waiting in &mut self.waiting {
            waiting.not_before = None;
        }
        if self.seen.is_some() {
            self.catch_up();
        }
    }

    /// What waits is asked again on the next connection, but for a report that a later one has
    /// overtaken: sent again it would undo that.
    pub fn disconnected(&mut self, heard: &mut Vec<Heard<T>>) {
        self.connected = false;
        for waiting in &mut self.waiting {
            waiting.sent = false;
            if waiting.tag.is_none() {
                waiting.until = None;
            }
        }
        self.give_up(heard, Waiting::overtaken);
    }

    /// Ends what `reason` gives a reason for.
    fn give_up(&mut self, heard: &mut Vec<Heard<T>>, reason: impl Fn(&Waiting<T>) -> Option<Error>) {
        let mut n = 0;
        while let Some(waiting) = self.waiting.get(n) {
            match reason(waiting) {
                Some(error) => {
                    let tag = self.waiting.remove(n).and_then(|waiting| waiting.tag);
                    heard.extend(tag.map(|tag| Heard::Answer(tag, Err(error))));
                }
                None => n += 1,
            }
        }
    }

    /// Gives `publish` the topic and body of each request that is to be sent now, at QoS 0, until it
    /// says that it does not take one.
    pub fn send(&mut self, now: Instant, mut publish: impl FnMut(&str, &[u8]) -> bool) {
        if !self.connected || self.held_until.is_some_and(|until| now < until) {
            return;
        }
        self.held_until = None;
        self.kept_back = false;
        let last = self.waiting.iter().rposition(|waiting| waiting.sent && waiting.is_report());
        // A report that was refused waits for the later ones that the hub is about to answer.
        let ordered = !self.waiting.iter().take(last.unwrap_or(0)).any(|w| !w.sent && w.is_report());
        for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.sent) {
            if waiting.not_before.is_some_and(|at| now < at) || waiting.is_report() && !ordered {
                continue;
            }
            let rid = format!("{:08x}-{:x}", self.salt, waiting.number);
            waiting.sent = match &waiting.kind {
                Kind::Get | Kind::CatchUp { .. } => publish(&topic::twin_get(&rid), &[]),
                Kind::Report { patch, .. } => publish(&topic::twin_patch(&rid), patch),
            };
            if !waiting.sent {
                self.kept_back = true;
                return;
            }
            if waiting.tag.is_none() {
                waiting.until = Some(now + CATCH_UP_PATIENCE);
            }
        }
    }

    /// Whether a request was not taken when it was to be sent: [`Twin::send`] is to be called again.
    pub fn is_kept_back(&self) -> bool {
        self.kept_back
    }

    /// Requests of the application that are not over.
    pub fn len(&self) -> usize {
        self.waiting.iter().filter(|waiting| waiting.tag.is_some()).count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the hub owes an answer on this connection.
    pub fn expects(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.sent)
    }

    /// An answer came. Unknown ids are ignored.
    pub fn answered(
        &mut self,
        answer: TwinResponse<'_>,
        body: Bytes,
        now: Instant,
        heard: &mut Vec<Heard<T>>,
    ) {
        let Some(n) = self.position(answer.rid) else {
            log::debug!("an answer to a twin request that nobody waits for");
            return;
        };
        if is_transient(answer.status) {
            return self.refused(n, answer, &body, now, heard);
        }
        self.refusals = 0;
        let Some(waiting) = self.waiting.remove(n) else { return };
        if waiting.is_report() && matches!(answer.status, 200..300) {
            for earlier in self.waiting.iter_mut().take(n) {
                if let Kind::Report { overtaken, .. } = &mut earlier.kind {
                    *overtaken = true;
                }
            }
            self.give_up(heard, Waiting::overtaken);
        }
        let result = match answer.status {
            200..300 => Ok(match waiting.kind {
                Kind::Report { .. } => TwinAnswer::Reported(answer.version),
                Kind::Get | Kind::CatchUp { .. } => TwinAnswer::Twin(body),
            }),
            status => Err(refusal(status, &body)),
        };
        match (waiting.tag, waiting.kind, result) {
            (Some(tag), _, result) => heard.push(Heard::Answer(tag, result)),
            (None, Kind::CatchUp { fruitless }, Ok(TwinAnswer::Twin(document))) => {
                let insists = fruitless >= INSISTENCE;
                match self.seen.as_mut().map(|seen| seen.read(&document, insists)) {
                    Some(Ok(Step::Gap)) => self.catch_up_again(fruitless, true, now),
                    Some(Err(error)) => {
                        log::warn!("desired properties that cannot be read: {error}");
                        self.catch_up_again(fruitless, false, now);
                    }
                    step => self.take(step, heard),
                }
            }
            (None, Kind::CatchUp { fruitless }, Err(error)) => {
                log::warn!("the twin could not be read: {error}");
                self.catch_up_again(fruitless, false, now);
            }
            _ => {}
        }
    }

    /// The hub had no capacity: everything waits, and this is asked again unless that came too late.
    fn refused(
        &mut self,
        n: usize,
        answer: TwinResponse<'_>,
        body: &[u8],
        now: Instant,
        heard: &mut Vec<Heard<T>>,
    ) {
        // Refusals of requests that were sent together are one, however many they are.
        if self.held_until.is_none_or(|until| now >= until) {
            self.refusals = self.refusals.saturating_add(1);
        }
        let seconds = answer.retry_after.map(|seconds| Duration::from_secs(seconds.min(3600)));
        let wait = seconds.unwrap_or_else(|| doubled(self.refusals.saturating_sub(1)));
        self.held_until = self.held_until.max(Some(now + wait));
        let Some(waiting) = self.waiting.get_mut(n) else { return };
        waiting.sent = false;
        waiting.refused = Some(refusal(answer.status, body));
        if waiting.tag.is_none() {
            waiting.until = None;
        }
        self.give_up(heard, Waiting::overtaken);
    }

    /// A change of the desired properties came.
    pub fn notified(&mut self, version: u64, body: &[u8], heard: &mut Vec<Heard<T>>) {
        let step = self.seen.as_mut().map(|seen| seen.notified(version, body));
        self.take(step, heard);
    }

    fn take(&mut self, step: Option<Result<Step>>, heard: &mut Vec<Heard<T>>) {
        match step {
            Some(Ok(Step::Deliver(desired))) => heard.push(Heard::Desired(desired)),
            Some(Ok(Step::Gap)) => self.catch_up(),
            Some(Err(error)) => log::warn!("desired properties that cannot be read: {error}"),
            Some(Ok(Step::Old)) | None => {}
        }
    }

    fn position(&self, rid: &str) -> Option<usize> {
        let (salt, number) = rid.split_once('-')?;
        let number = u64::from_str_radix(number, 16).ok()?;
        (u32::from_str_radix(salt, 16) == Ok(self.salt))
            .then(|| self.waiting.iter().position(|waiting| waiting.number == number))?
    }

    /// When [`Twin::timer`] or [`Twin::send`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let unsent = || self.waiting.iter().filter(|waiting| self.connected && !waiting.sent);
        let held = self.held_until.filter(|_| unsent().next().is_some());
        let again = unsent().filter_map(|waiting| waiting.not_before);
        self.waiting.iter().filter_map(|waiting| waiting.until).chain(again).chain(held).min()
    }

    /// Ends what is past its time. What may be sent from now on has no time any more, whether or not the
    /// connection takes it.
    pub fn timer(&mut self, now: Instant, heard: &mut Vec<Heard<T>>) {
        self.held_until = self.held_until.filter(|until| now < *until);
        for waiting in &mut self.waiting {
            waiting.not_before = waiting.not_before.filter(|at| now < *at);
            if waiting.tag.is_none() && waiting.until.is_some_and(|until| now >= until) {
                (waiting.until, waiting.sent) = (None, false);
            }
        }
        let connected = self.connected;
        self.give_up(heard, |waiting| {
            waiting.until.filter(|until| now >= *until).map(|_| match &waiting.refused {
                Some(refusal) => refusal.clone(),
                None if !connected => {
                    Error::new(ErrorKind::Timeout, "there was no connection to ask the hub")
                }
                None => Error::new(ErrorKind::Timeout, "the hub did not answer the twin request"),
            })
        });
    }

    /// Everything that waits, with the error `Closed`.
    pub fn close(&mut self, heard: &mut Vec<Heard<T>>) {
        self.seen = None;
        self.give_up(heard, |_| Some(Error::closed()));
    }
}

/// The wait after so many failures in a row.
fn doubled(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_WAIT)
}

/// Whether `patch` may be reported.
///
/// # Errors
/// `Argument` where it is no JSON object.
pub fn check_patch(patch: &[u8]) -> Result<()> {
    super::json::object(patch).map(drop)
}

#[cfg(test)]
mod tests;
