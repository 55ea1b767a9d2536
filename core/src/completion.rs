//! How an operation tells its caller that it is over: exactly once, whatever happens.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::hub::TwinAnswer;
use crate::mqtt::{Outcome, QoS};

/// What an operation that went well brought.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// The hub acknowledged it.
    Done,
    /// The QoS granted to each filter; `None` where the server refused it.
    Subscribed(Vec<Option<QoS>>),
    /// The twin: `{"desired":{…},"reported":{…}}`, each with its `$version`.
    Twin(Bytes),
    /// The new version of the reported properties; `None` where the hub did not tell it.
    Reported(Option<u64>),
}

/// Without what the twin holds.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("Done"),
            Self::Subscribed(granted) => f.debug_tuple("Subscribed").field(granted).finish(),
            Self::Twin(document) => write!(f, "Twin({} bytes)", document.len()),
            Self::Reported(version) => f.debug_tuple("Reported").field(version).finish(),
        }
    }
}

impl From<TwinAnswer> for Answer {
    fn from(answer: TwinAnswer) -> Self {
        match answer {
            TwinAnswer::Twin(document) => Self::Twin(document),
            TwinAnswer::Reported(version) => Self::Reported(version),
        }
    }
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Published | Outcome::Unsubscribed => Self::Done,
            Outcome::Subscribed(granted) => Self::Subscribed(granted),
        }
    }
}

/// Three words that travel with an operation, for a caller in another language.
pub type Words = [usize; 3];

/// The end of one operation. Called exactly once: with the answer, or with an error of kind
/// `Closed` when it is dropped.
pub struct Completion(Kind);

enum Kind {
    Spent,
    Future(Arc<Promise>),
    Boxed(Box<dyn FnOnce(Result<Answer>) + Send>),
    Words(fn(Words, Option<Result<Answer>>), Words),
}

impl Completion {
    /// Nobody waits.
    pub fn ignored() -> Self {
        Self(Kind::Spent)
    }

    pub fn new(f: impl FnOnce(Result<Answer>) + Send + 'static) -> Self {
        Self(Kind::Boxed(Box::new(f)))
    }

    /// Costs no allocation. `run` gets `None` when the operation was refused at the call, so that
    /// the words can be given back without telling anybody.
    pub fn from_words(run: fn(Words, Option<Result<Answer>>), words: Words) -> Self {
        Self(Kind::Words(run, words))
    }

    /// A completion and the future of its answer. Dropping the future cancels nothing.
    pub fn future() -> (Self, Pending) {
        let promise = Arc::new(Promise::default());
        (Self(Kind::Future(Arc::clone(&promise))), Pending(promise))
    }

    pub(crate) fn is_ignored(&self) -> bool {
        matches!(self.0, Kind::Spent)
    }

    pub(crate) fn complete(mut self, result: Result<Answer>) {
        self.finish(Some(result));
    }

    /// The operation was refused at the call, which reports it.
    pub(crate) fn abandon(mut self) {
        self.finish(None);
    }

    fn finish(&mut self, result: Option<Result<Answer>>) {
        match (std::mem::replace(&mut self.0, Kind::Spent), result) {
            (Kind::Words(run, words), result) => run(words, result),
            (Kind::Future(promise), Some(result)) => promise.set(result),
            (Kind::Boxed(f), Some(result)) => f(result),
            (Kind::Spent, _) | (_, None) => {}
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if !matches!(self.0, Kind::Spent) {
            self.finish(Some(Err(Error::closed())));
        }
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Completion")
    }
}

#[derive(Default)]
struct Promise(Mutex<Progress>);

#[derive(Default)]
enum Progress {
    #[default]
    Pending,
    Waiting(Waker),
    Ready(Result<Answer>),
    Taken,
}

impl Promise {
    fn set(&self, result: Result<Answer>) {
        let before = {
            let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *progress, Progress::Ready(result))
        };
        if let Progress::Waiting(waker) = before {
            waker.wake();
        }
    }
}

/// The answer to come. It may be dropped, or polled by several tasks in turn; the operation goes on.
#[must_use = "dropping it is fine, but then nobody learns of the outcome"]
pub struct Pending(Arc<Promise>);

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

impl Future for Pending {
    type Output = Result<Answer>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut progress = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*progress {
            Progress::Ready(_) => match std::mem::replace(&mut *progress, Progress::Taken) {
                Progress::Ready(result) => Poll::Ready(result),
                _ => Poll::Pending,
            },
            // Polled again after it was ready: it never will be again.
            Progress::Taken => Poll::Pending,
            Progress::Pending | Progress::Waiting(_) => {
                *progress = Progress::Waiting(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
