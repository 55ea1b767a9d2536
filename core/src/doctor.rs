//! What is wrong between this machine and its hub, found step by step and said in words.

mod clock;
mod examination;
mod report;
mod words;

use crate::config::Config;
use crate::error::{ErrorKind, Result};
use examination::Examination;
use report::Report;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// Identity and credential are given; the certificate of the device can be read and is good today.
    Options,
    /// The clock of this machine was set.
    Clock,
    /// The host has addresses.
    Name,
    /// The proxy can be reached and opens a tunnel.
    Proxy,
    /// A connection to the host can be made.
    Tcp,
    /// The host shows a certificate that is trusted, good today, and for its name.
    Tls,
    /// The host takes MQTT in a WebSocket.
    WebSocket,
    /// The hub lets the device in.
    Credentials,
}

impl Check {
    /// In the order in which they are made.
    pub const ALL: [Self; 8] = [
        Self::Options,
        Self::Clock,
        Self::Name,
        Self::Proxy,
        Self::Tcp,
        Self::Tls,
        Self::WebSocket,
        Self::Credentials,
    ];

    /// The permanent name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Options => "options",
            Self::Clock => "clock",
            Self::Name => "name",
            Self::Proxy => "proxy",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::WebSocket => "websocket",
            Self::Credentials => "credentials",
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    Passed,
    Failed(ErrorKind),
    /// The options do without it.
    NotNeeded,
    /// A check before it failed on which it depends.
    NotDone,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    pub check: Check,
    pub verdict: Verdict,
    /// For people: what was found; of a failure also what is likely wrong and what to do. Never holds a key,
    /// a token or a password.
    pub detail: String,
}

/// Goes the way to the hub once, as a client with this `config` would, and tells what it finds: every
/// [`Check`], once each, in the order of [`Check::ALL`].
///
/// Blocks the calling thread, on which it calls `tell`; each step may take the
/// [connect timeout](crate::Tuning::set_connect_timeout). No thread is started but for a name lookup, and for
/// callbacks and files that make credentials. Inside an async runtime, call it where blocking is allowed.
///
/// The last check is a real connection with the identity of `config`: IoT Hub has one connection for each
/// identity, so that of a client that runs ends, and the client connects again. The session at the hub is kept
/// (CleanSession 0), nothing is subscribed to or sent, and the will is left out. Messages of QoS 1 that the hub
/// sends meanwhile are not acknowledged and come again after the hub's lock of a minute; a direct method that
/// is called at that moment is lost.
///
/// Where the MQTT port fails, port 443 is tried, and said to be open if it is. Where the server's certificate
/// is refused, a second connection looks at what it presents; where a token is refused that this machine made,
/// port 443 is asked for the time.
///
/// ```no_run
/// # fn main() -> iothub_mqtt::Result<()> {
/// let mut config = iothub_mqtt::Config::new();
/// config.set_connection_string("HostName=contoso.azure-devices.net;DeviceId=gauge-1;SharedAccessKey=a2V5")?;
/// iothub_mqtt::doctor(&config, &mut |finding| {
///     println!("{:<12} {:?}: {}", finding.check.name(), finding.verdict, finding.detail);
/// })
/// # }
/// ```
///
/// # Errors
/// The first failure, with its kind and the text of its finding.
pub fn doctor(config: &Config, tell: &mut dyn FnMut(&Finding)) -> Result<()> {
    const WEBSOCKET_PORT: u16 = 443;
    let mut report = Report::new(tell);
    Examination::make(config, WEBSOCKET_PORT, &mut report);
    report.end()
}

#[cfg(test)]
mod tests;
