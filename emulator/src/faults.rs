//! Faults on demand. What is asked for is kept here until the connections that it is meant for take it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::HubError;
use crate::identity::Identity;

/// A fault that a test or a person asks for.
///
/// | `fault` | what happens | goes with |
/// |---|---|---|
/// | `drop` | the socket is closed without a packet | `after_messages` |
/// | `lose_session` (`drop_and_lose_session`) | `drop`, and the stored session is forgotten | `after_messages` |
/// | `expire` | closed as if the token had expired | |
/// | `take_over` | closed as if another connection of the identity had come | |
/// | `truncate` | half a packet is sent, then `drop` | |
/// | `corrupt` | bytes are sent that are no packet | |
/// | `half_open` | nothing is read or answered, the socket stays open; a later connection still gets its CONNACK | `for_ms`, else for ever |
/// | `mute` | CONNECT is taken and not answered, the socket stays open | `for_ms`, else for ever |
/// | `delay` | what comes is taken at once and answered when the time is over | `for_ms` |
/// | `slow_reader` | 16 bytes are read every 10 ms | `for_ms` |
/// | `refuse` | CONNECT is answered with a refusing CONNACK | `code`, `for_ms` |
/// | `throttle` | requests are answered with 429 | `for_ms` |
/// | `server_error` | requests are answered with `code`, 500 to 599, by default 500 | `code`, `for_ms` |
/// | `no_answer` | requests are dropped without an answer | `for_ms` |
///
/// Requests are those of twins and those to the provisioning service, whose clients go by their
/// registration id here. Of the faults of connections `mute` and `refuse` alone reach these.
///
/// A fault reaches the live connections that it is for at once, which counts as one use of `count`
/// however many they are; what is left of `count` waits for connections that are made later, one
/// use for each. `mute` and `refuse` count CONNECTs, `throttle`, `server_error` and `no_answer`
/// requests, and none of them reaches anything at once; with `for_ms` and no `count` they hold for
/// that time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which one; see above.
    pub fault: String,
    /// `ID`, `ID/MODULE`, a registration id or `*` for everybody.
    #[serde(default = "everybody")]
    pub device: String,
    /// How often it happens, from 1.
    #[serde(default)]
    pub count: Option<u32>,
    /// How long it lasts, in milliseconds.
    #[serde(default, alias = "for-ms")]
    pub for_ms: Option<u64>,
    /// `drop` and `lose_session`: the message of the device, counted from 1 on each connection,
    /// that the hub still takes and no longer acknowledges. At once where it is absent.
    #[serde(default, alias = "after-messages")]
    pub after_messages: Option<u32>,
    /// `refuse`: the return code of the CONNACK, 1 to 5, by default 3. `server_error`: the status.
    #[serde(default)]
    pub code: Option<u16>,
}

fn everybody() -> String {
    "*".to_owned()
}

impl Fault {
    pub fn new(kind: &str, device: &str) -> Self {
        Self {
            fault: kind.to_owned(),
            device: device.to_owned(),
            count: None,
            for_ms: None,
            after_messages: None,
            code: None,
        }
    }

    #[must_use]
    pub fn count(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    #[must_use]
    pub fn for_time(mut self, time: Duration) -> Self {
        self.for_ms = u64::try_from(time.as_millis()).ok();
        self
    }

    #[must_use]
    pub fn after_messages(mut self, messages: u32) -> Self {
        self.after_messages = Some(messages);
        self
    }

    #[must_use]
    pub fn code(mut self, code: u16) -> Self {
        self.code = Some(code);
        self
    }
}

/// The faults that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Close the socket without a packet.
    Drop,
    /// Drop, and forget the stored session.
    LoseSession,
    /// Answer CONNECT with a refusing CONNACK.
    Refuse,
    /// Neither read nor answer, with the socket open.
    HalfOpen,
    /// Take CONNECT and never answer it.
    Mute,
    /// Read, and answer late.
    Delay,
    /// Read at most a few bytes at a time.
    SlowReader,
    /// Answer twin requests with 429.
    Throttle,
    /// Answer twin requests with an error of the server.
    ServerError,
    /// Do not answer twin requests.
    NoAnswer,
    /// Cut as if the token had expired.
    Expire,
    /// Cut as if another connection of the same identity had come.
    TakeOver,
    /// Send half of the next packet, then drop.
    Truncate,
    /// Send a packet that is none, and stay.
    Corrupt,
}

impl FaultKind {
    pub(crate) const NAMES: [(&'static str, Self); 15] = [
        ("drop", Self::Drop),
        ("lose_session", Self::LoseSession),
        ("drop_and_lose_session", Self::LoseSession),
        ("refuse", Self::Refuse),
        ("half_open", Self::HalfOpen),
        ("mute", Self::Mute),
        ("delay", Self::Delay),
        ("slow_reader", Self::SlowReader),
        ("throttle", Self::Throttle),
        ("server_error", Self::ServerError),
        ("no_answer", Self::NoAnswer),
        ("expire", Self::Expire),
        ("take_over", Self::TakeOver),
        ("truncate", Self::Truncate),
        ("corrupt", Self::Corrupt),
    ];

    pub(crate) fn parse(name: &str) -> Result<Self, HubError> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind).ok_or_else(|| {
            let first = Self::NAMES.iter().filter(|(name, kind)| kind.name() == *name);
            let names: Vec<&str> = first.map(|(name, _)| *name).collect();
            HubError::argument(format!("there is no fault '{name}'; there are {}", names.join(", ")))
        })
    }

    /// Its first name.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| *name)
    }

    fn fields(self) -> Fields {
        let for_ms = match self {
            Self::Delay | Self::SlowReader => Need::Must,
            Self::HalfOpen
            | Self::Mute
            | Self::Refuse
            | Self::Throttle
            | Self::ServerError
            | Self::NoAnswer => Need::May,
            _ => Need::No,
        };
        let code = match self {
            Self::Refuse => Some((3, 1, 5)),
            Self::ServerError => Some((500, 500, 599)),
            _ => None,
        };
        Fields { for_ms, after_messages: matches!(self, Self::Drop | Self::LoseSession), code }
    }

    /// Each under its first name, with what goes with it.
    pub(crate) fn described() -> Vec<Described> {
        let first = Self::NAMES.iter().filter(|(name, kind)| kind.name() == *name);
        first.map(|(name, kind)| Described { name, fields: kind.fields() }).collect()
    }
}

/// A fault as `GET /emulator/faults` describes it.
#[derive(Debug, Serialize)]
pub(crate) struct Described {
    name: &'static str,
    #[serde(flatten)]
    fields: Fields,
}

/// What goes with a fault, besides its count.
#[derive(Debug, Serialize)]
struct Fields {
    for_ms: Need,
    after_messages: bool,
    /// The default, the least and the most.
    code: Option<(u16, u16, u16)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Need {
    No,
    May,
    Must,
}

/// A fault in waiting.
#[derive(Debug, Clone)]
pub(crate) struct Armed {
    pub(crate) kind: FaultKind,
    device: String,
    remaining: u32,
    until: Option<Instant>,
    pub(crate) after_messages: Option<u32>,
    pub(crate) code: u16,
}

impl Armed {
    /// Checks what was asked for.
    pub(crate) fn new(fault: &Fault, now: Instant) -> Result<Self, HubError> {
        let kind = FaultKind::parse(&fault.fault)?;
        let Fields { for_ms, after_messages, code: codes } = kind.fields();
        let rule = match fault {
            Fault { count: Some(0), .. } => Some("count must be at least 1"),
            Fault { after_messages: Some(0), .. } => Some("after_messages must be at least 1"),
            Fault { after_messages: Some(_), .. } if !after_messages => {
                Some("after_messages goes with drop and lose_session")
            }
            Fault { for_ms: Some(_), .. } if for_ms == Need::No => {
                Some("for_ms goes with faults that last and those of requests, not with one moment's")
            }
            Fault { for_ms: None, .. } if for_ms == Need::Must => Some("delay and slow_reader need for_ms"),
            Fault { code: Some(code), .. } => match codes {
                None => Some("code goes with refuse and server_error"),
                Some((_, least, most)) if (least..=most).contains(code) => None,
                Some(_) => Some("code must be 1 to 5 with refuse and 500 to 599 with server_error"),
            },
            _ => None,
        };
        if let Some(rule) = rule {
            return Err(HubError::argument(rule));
        }
        let forever = fault.for_ms.is_some() && fault.count.is_none();
        Ok(Self {
            kind,
            device: fault.device.clone(),
            remaining: fault.count.unwrap_or(if forever { u32::MAX } else { 1 }),
            until: fault.for_ms.map(|ms| now + Duration::from_millis(ms)),
            after_messages: fault.after_messages,
            code: fault.code.or(codes.map(|(default, ..)| default)).unwrap_or_default(),
        })
    }

    pub(crate) fn is_for(&self, identity: &Identity) -> bool {
        self.device == "*" || self.device == identity.to_string()
    }

    pub(crate) fn use_once(&mut self) {
        self.remaining = self.remaining.saturating_sub(1);
    }

    /// `None` where its time alone ends it.
    pub(crate) fn uses_left(&self) -> Option<u32> {
        Some(self.remaining).filter(|remaining| *remaining < u32::MAX)
    }

    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }
}

/// The faults that wait for a connection or a request.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Vec<Armed>);

impl Waiting {
    /// Whether anything is left of it to wait.
    pub(crate) fn add(&mut self, armed: Armed) -> bool {
        let waits = armed.remaining > 0;
        if waits {
            self.0.push(armed);
        }
        waits
    }

    /// Takes one use of the first fault of `kind` that is meant for `identity`.
    pub(crate) fn take(&mut self, kind: FaultKind, identity: &Identity, now: Instant) -> Option<Armed> {
        self.0.retain(|armed| armed.remaining > 0 && armed.until.is_none_or(|until| now < until));
        let armed = self.0.iter_mut().find(|armed| armed.kind == kind && armed.is_for(identity))?;
        armed.remaining -= 1;
        Some(armed.clone())
    }

    /// As they were asked for, with the count and the time that are left of them.
    pub(crate) fn list(&self, now: Instant) -> Vec<Fault> {
        let left =
            self.0.iter().filter(|armed| armed.remaining > 0 && armed.until.is_none_or(|until| now < until));
        left.map(|armed| Fault {
            fault: armed.kind.name().to_owned(),
            device: armed.device.clone(),
            count: armed.uses_left(),
            for_ms: armed.until.and_then(|until| u64::try_from((until - now).as_millis()).ok()),
            after_messages: armed.after_messages,
            code: armed.kind.fields().code.map(|_| armed.code),
        })
        .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn unknown_faults_and_misplaced_fields_are_refused() {
        let now = Instant::now();
        let base = |kind| Fault::new(kind, "*");
        for (fault, part) in [
            (base("explode"), "no fault 'explode'"),
            (base("drop").count(0), "count"),
            (base("drop").after_messages(0), "after_messages"),
            (base("refuse").after_messages(1), "after_messages"),
            (base("drop").for_time(Duration::from_secs(1)), "for_ms"),
            (base("delay"), "for_ms"),
            (base("refuse").code(6), "code"),
            (base("drop").code(3), "code"),
            (base("throttle").code(500), "code"),
            (base("server_error").code(429), "code"),
            (base("refuse").code(500), "code"),
            (base("mute").after_messages(1), "after_messages"),
        ] {
            let error = Armed::new(&fault, now).unwrap_err();
            assert!(error.message.contains(part), "{fault:?}: {error}");
        }
    }

    #[test]
    fn names_may_be_spelled_as_in_toml() {
        let fault: Fault = serde_json::from_str(r#"{"fault":"drop","for-ms":1,"after-messages":2}"#).unwrap();
        assert_eq!((fault.for_ms, fault.after_messages), (Some(1), Some(2)));
    }

    #[test]
    fn what_is_left_is_told() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        waiting.add(Armed::new(&Fault::new("drop_and_lose_session", "d").count(2), now).unwrap());
        let second = Duration::from_secs(1);
        waiting.add(Armed::new(&Fault::new("server_error", "*").for_time(second).code(503), now).unwrap());
        waiting.take(FaultKind::LoseSession, &Identity::device("d"), now).unwrap();
        let list = waiting.list(now + second / 4);
        let told: Vec<_> = list.iter().map(|f| (f.fault.as_str(), f.count, f.for_ms, f.code)).collect();
        assert_eq!(
            told,
            [("lose_session", Some(1), None, None), ("server_error", None, Some(750), Some(503))]
        );
        assert_eq!(waiting.list(now + second).len(), 1);
        let error = FaultKind::parse("explode").unwrap_err().message;
        assert!(error.contains("lose_session") && !error.contains("drop_and_lose_session"), "{error}");
        // One entry for each kind, whatever names it has.
        assert_eq!(FaultKind::described().len(), FaultKind::NAMES.len() - 1);
    }

    #[test]
    fn a_fault_ends_by_count_or_by_time() {
        let now = Instant::now();
        let device = Identity::device("d");
        let mut waiting = Waiting::default();
        waiting.add(Armed::new(&Fault::new("refuse", "d").count(2), now).unwrap());
        assert!(waiting.take(FaultKind::Refuse, &Identity::device("other"), now).is_none());
        assert!(waiting.take(FaultKind::Drop, &device, now).is_none());
        assert_eq!(waiting.take(FaultKind::Refuse, &device, now).unwrap().code, 3);
        assert!(waiting.take(FaultKind::Refuse, &device, now).is_some());
        assert!(waiting.take(FaultKind::Refuse, &device, now).is_none());

        let second = Duration::from_secs(1);
        waiting.add(Armed::new(&Fault::new("refuse", "*").for_time(second), now).unwrap());
        assert!(waiting.take(FaultKind::Refuse, &device, now).is_some());
        assert!(waiting.take(FaultKind::Refuse, &device, now + second).is_none());
    }
}
