//! Direct methods that were called and not answered yet.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};

/// The longest that a back-end waits for an answer (Microsoft's page "Understand and invoke direct
/// methods": `responseTimeoutInSeconds` is 5 to 300).
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Calls that are remembered; an older one counts as forgotten.
const MOST: usize = 4096;
/// The largest request or answer.
pub const MAX_METHOD_BODY: usize = 128 * 1024;

/// Names one call of a method. Never reused in the life of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MethodRequest(pub u64);

/// A call of a direct method.
#[derive(Clone, PartialEq, Eq)]
pub struct Method {
    /// As it was sent: a command of a component is `component*command`.
    pub name: String,
    /// JSON, or empty.
    pub body: Bytes,
    /// To be answered with, once.
    pub request: MethodRequest,
}

impl Method {
    /// The Plug and Play component that the command is for; `None` is the default component.
    pub fn component(&self) -> Option<&str> {
        self.name.split_once('*').map(|(component, _)| component)
    }

    /// The name without its component.
    pub fn command(&self) -> &str {
        self.name.split_once('*').map_or(&self.name, |(_, command)| command)
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Method")
            .field("name", &self.name)
            .field("body", &self.body.len())
            .field("request", &self.request)
            .finish()
    }
}

struct Call {
    /// As the hub wrote it, to be given back verbatim.
    rid: String,
    at: Instant,
    answered: bool,
}

/// The calls of one client, oldest first.
#[derive(Default)]
pub struct Methods {
    calls: VecDeque<Call>,
    /// The number of `calls[0]`.
    base: u64,
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Methods").field("calls", &self.calls.len()).finish()
    }
}

impl Methods {
    /// A call came. `copy` says that it may be the second copy of one (DUP); then `None` if it is.
    pub fn called(&mut self, rid: &str, copy: bool, now: Instant) -> Option<MethodRequest> {
        while self.calls.len() >= MOST || self.calls.front().is_some_and(|call| is_over(call, now)) {
            self.calls.pop_front();
            self.base += 1;
        }
        if copy && self.calls.iter().any(|call| call.rid == rid) {
            return None;
        }
        self.calls.push_back(Call { rid: rid.to_owned(), at: now, answered: false });
        Some(MethodRequest(self.base + self.calls.len() as u64 - 1))
    }

    /// The id to answer `request` with, if it may be answered. It stays open until [`Methods::answered`].
    ///
    /// # Errors
    /// `NotFound`: never called, answered already, or so long ago that nobody waits any more.
    pub fn open(&self, request: MethodRequest, now: Instant) -> Result<&str> {
        let rule = match self.find(request) {
            Some(call) if call.answered => "answered already",
            Some(call) if !is_over(call, now) => return Ok(&call.rid),
            _ => "no such call, or one whose caller has stopped waiting (after 300 s)",
        };
        Err(Error::new(ErrorKind::NotFound, format!("request: {rule}")))
    }

    pub fn answered(&mut self, request: MethodRequest) {
        if let Some(call) = request.0.checked_sub(self.base).and_then(|n| self.calls.get_mut(n as usize)) {
            call.answered = true;
        }
    }

    fn find(&self, request: MethodRequest) -> Option<&Call> {
        self.calls.get(usize::try_from(request.0.checked_sub(self.base)?).ok()?)
    }
}

fn is_over(call: &Call, now: Instant) -> bool {
    now.saturating_duration_since(call.at) > LONGEST_WAIT
}

/// Whether `body` may be the answer to a method.
///
/// # Errors
/// `TooLarge` above 128 KiB; `Argument` where it is neither empty nor JSON.
pub fn check_answer(body: &[u8]) -> Result<()> {
    if body.len() > MAX_METHOD_BODY {
        let rule = format!("json: {} bytes; IoT Hub takes at most {MAX_METHOD_BODY}", body.len());
        return Err(Error::new(ErrorKind::TooLarge, rule));
    }
    if body.is_empty() {
        return Ok(());
    }
    super::json::check(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(result: Result<&str>) -> ErrorKind {
        result.unwrap_err().kind()
    }

    #[test]
    fn each_call_is_answered_once() {
        let now = Instant::now();
        let mut methods = Methods::default();
        let first = methods.called("a", false, now).unwrap();
        let second = methods.called("b", false, now).unwrap();
        assert_eq!(methods.open(second, now), Ok("b"));
        methods.answered(second);
        assert_eq!(kind(methods.open(second, now)), ErrorKind::NotFound);
        assert_eq!(methods.open(first, now), Ok("a"));
        assert_eq!(kind(methods.open(MethodRequest(2), now)), ErrorKind::NotFound);
    }

    #[test]
    fn a_copy_is_no_second_call_even_after_the_answer() {
        let now = Instant::now();
        let mut methods = Methods::default();
        let request = methods.called("a", false, now).unwrap();
        assert_eq!(methods.called("a", true, now), None);
        methods.answered(request);
        assert_eq!(methods.called("a", true, now), None);
        // Two callers may have drawn one id; only DUP marks a copy.
        assert!(methods.called("a", false, now).is_some());
    }

    #[test]
    fn a_late_answer_is_refused_and_its_call_forgotten() {
        let now = Instant::now();
        let mut methods = Methods::default();
        let old = methods.called("a", false, now).unwrap();
        let later = now + LONGEST_WAIT + Duration::from_millis(1);
        assert_eq!(methods.open(old, now + LONGEST_WAIT), Ok("a"));
        assert_eq!(kind(methods.open(old, later)), ErrorKind::NotFound);
        let new = methods.called("b", false, later).unwrap();
        assert_ne!(old, new);
        assert_eq!(kind(methods.open(old, later)), ErrorKind::NotFound);
        assert_eq!(methods.open(new, later), Ok("b"));
    }

    #[test]
    fn the_number_of_open_calls_is_bounded() {
        let now = Instant::now();
        let mut methods = Methods::default();
        let first = methods.called("first", false, now).unwrap();
        for n in 0..MOST {
            methods.called(&n.to_string(), false, now);
        }
        assert_eq!(kind(methods.open(first, now)), ErrorKind::NotFound);
        assert_eq!(methods.calls.len(), MOST);
    }

    #[test]
    fn commands_of_components() {
        let method = |name: &str| Method { name: name.into(), body: Bytes::new(), request: MethodRequest(0) };
        let split = |name| {
            let method = method(name);
            (method.component().map(str::to_owned), method.command().to_owned())
        };
        assert_eq!(split("reboot"), (None, "reboot".into()));
        assert_eq!(
            split("thermostat1*getMaxMinReport"),
            (Some("thermostat1".into()), "getMaxMinReport".into())
        );
    }
}
