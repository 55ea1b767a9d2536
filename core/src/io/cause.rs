//! Why a connection ended or could not be made, and what follows from it.

use std::fmt;
use std::io;

use crate::error::{Error, ErrorKind};

/// Why a connection ended or could not be made.
///
/// The numbers are part of the C interface: none is ever changed or used again. 0 means "no cause".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Cause {
    /// The host name has no address, or the name service gave no answer.
    Dns = 1,
    /// The host answered that nothing listens on the port.
    ConnectionRefused = 2,
    /// No route, network down, or a firewall that says so.
    Unreachable = 3,
    /// No answer in time while connecting: TCP, TLS or CONNACK.
    ConnectTimeout = 4,
    /// The connection broke: a reset.
    ConnectionReset = 5,
    /// Any other failure of a socket, such as no descriptor left.
    Network = 6,
    /// The server's certificate is not issued by a trusted root.
    TlsUntrusted = 7,
    /// The server's certificate has expired, or the clock of this machine is ahead.
    TlsExpired = 8,
    /// The server's certificate is for another name.
    TlsName = 9,
    /// Any other failure of TLS.
    Tls = 10,
    /// The proxy refused or broke its protocol.
    Proxy = 11,
    /// The hub refused the credentials, or they could not be made.
    Authentication = 12,
    /// The clock of this machine is wrong.
    Clock = 13,
    /// Another connection with the same identity seems to replace this one again and again: the hub has
    /// ended several in a row soon after it had accepted them, and without a reason.
    TakenOver = 14,
    /// The peer was silent for longer than the keep-alive allows.
    KeepAlive = 15,
    /// The peer broke MQTT.
    Protocol = 16,
    /// The hub asked to slow down.
    Throttled = 17,
    /// The hub closed the connection, with or without the goodbye of TLS, and gave no reason.
    ClosedByHub = 18,
    /// The library reconnects with fresh credentials; not a failure.
    Renewed = 19,
    /// The application closed the client.
    ClosedByUs = 20,
    /// The configuration contradicts itself; the only cause that is never tried again.
    Configuration = 21,
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// At once, then after waits that grow from a second to two minutes.
    Soon,
    /// After a minute and more: somebody has to act, set a clock or enable a device.
    Slow,
    /// Not at all.
    Never,
}

impl Cause {
    /// Every cause, in the order of the numbers.
    pub const ALL: [Self; 21] = [
        Self::Dns,
        Self::ConnectionRefused,
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::ConnectionReset,
        Self::Network,
        Self::TlsUntrusted,
        Self::TlsExpired,
        Self::TlsName,
        Self::Tls,
        Self::Proxy,
        Self::Authentication,
        Self::Clock,
        Self::TakenOver,
        Self::KeepAlive,
        Self::Protocol,
        Self::Throttled,
        Self::ClosedByHub,
        Self::Renewed,
        Self::ClosedByUs,
        Self::Configuration,
    ];

    /// The permanent number.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The place in [`Cause::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize - 1
    }

    /// The permanent name: lower case, words joined by `_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::ConnectionRefused => "connection_refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectionReset => "connection_reset",
            Self::Network => "network",
            Self::TlsUntrusted => "tls_untrusted",
            Self::TlsExpired => "tls_expired",
            Self::TlsName => "tls_name",
            Self::Tls => "tls",
            Self::Proxy => "proxy",
            Self::Authentication => "authentication",
            Self::Clock => "clock",
            Self::TakenOver => "taken_over",
            Self::KeepAlive => "keep_alive",
            Self::Protocol => "protocol",
            Self::Throttled => "throttled",
            Self::ClosedByHub => "closed_by_hub",
            Self::Renewed => "renewed",
            Self::ClosedByUs => "closed_by_us",
            Self::Configuration => "configuration",
        }
    }

    pub const fn error_kind(self) -> ErrorKind {
        match self {
            Self::Dns
            | Self::ConnectionRefused
            | Self::Unreachable
            | Self::ConnectTimeout
            | Self::ConnectionReset
            | Self::Network
            | Self::Proxy
            | Self::KeepAlive
            | Self::ClosedByHub
            | Self::Renewed => ErrorKind::Network,
            Self::TlsUntrusted | Self::TlsExpired | Self::TlsName | Self::Tls => ErrorKind::Tls,
            Self::Authentication | Self::Clock => ErrorKind::Auth,
            Self::TakenOver => ErrorKind::Rejected,
            Self::Protocol => ErrorKind::Protocol,
            Self::Throttled => ErrorKind::Throttled,
            Self::ClosedByUs => ErrorKind::Closed,
            Self::Configuration => ErrorKind::Argument,
        }
    }

    /// What the world can cure is tried again, soon if it cures itself.
    ///
    /// A connection that was taken over comes back slowly: two devices with one identity would
    /// otherwise throw each other out without end.
    pub const fn retry(self) -> Retry {
        match self {
            Self::Dns
            | Self::ConnectionRefused
            | Self::Unreachable
            | Self::ConnectTimeout
            | Self::ConnectionReset
            | Self::Network
            | Self::Proxy
            | Self::KeepAlive
            | Self::Protocol
            | Self::ClosedByHub
            | Self::Renewed => Retry::Soon,
            Self::TlsUntrusted
            | Self::TlsExpired
            | Self::TlsName
            | Self::Tls
            | Self::Authentication
            | Self::Clock
            | Self::TakenOver
            | Self::Throttled => Retry::Slow,
            Self::ClosedByUs | Self::Configuration => Retry::Never,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One failed connection: the cause for programs, the detail for people.
///
/// The detail names the host and the rule, and never holds a key, a token or a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub cause: Cause,
    pub detail: String,
}

impl Fault {
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }

    /// A socket failed on the connection to `peer` (`host:port`).
    ///
    /// An error that carries a [`rustls::Error`], as rustls' own streams make it, is classified as
    /// [`Fault::tls`] does.
    pub fn io(peer: &str, error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => Self::tls(peer, tls),
            None => Self::new(cause_of(error), format!("{peer}: {error}")),
        }
    }

    pub fn error_kind(&self) -> ErrorKind {
        self.cause.error_kind()
    }

    pub fn retry(&self) -> Retry {
        self.cause.retry()
    }
}

/// `ETIMEDOUT` counts as a broken connection here, because on an open one it means that the peer
/// stopped acknowledging; whoever connects has to see it first.
fn cause_of(error: &io::Error) -> Cause {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => Cause::ConnectionRefused,
        // A firewall's "administratively prohibited" arrives as EACCES or EPERM.
        Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable
        | Kind::PermissionDenied => Cause::Unreachable,
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::NotConnected
        | Kind::UnexpectedEof
        | Kind::TimedOut => Cause::ConnectionReset,
        _ => Cause::Network,
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Fault {}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::io("connection", &error)
    }
}

impl From<rustls::Error> for Fault {
    fn from(error: rustls::Error) -> Self {
        Self::tls("connection", &error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::new(fault.error_kind(), fault.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_permanent() {
        let expected = [
            (1, "dns"),
            (2, "connection_refused"),
            (3, "unreachable"),
            (4, "connect_timeout"),
            (5, "connection_reset"),
            (6, "network"),
            (7, "tls_untrusted"),
            (8, "tls_expired"),
            (9, "tls_name"),
            (10, "tls"),
            (11, "proxy"),
            (12, "authentication"),
            (13, "clock"),
            (14, "taken_over"),
            (15, "keep_alive"),
            (16, "protocol"),
            (17, "throttled"),
            (18, "closed_by_hub"),
            (19, "renewed"),
            (20, "closed_by_us"),
            (21, "configuration"),
        ];
        let actual = Cause::ALL.map(|cause| (cause.number(), cause.name()));
        assert_eq!(actual, expected);
    }

    #[test]
    fn only_configuration_and_our_own_close_end_the_trying() {
        for cause in Cause::ALL {
            let stops = matches!(cause, Cause::Configuration | Cause::ClosedByUs);
            assert_eq!(cause.retry() == Retry::Never, stops, "{cause}");
        }
    }

    #[test]
    fn what_needs_a_person_is_tried_slowly() {
        for cause in [Cause::TlsUntrusted, Cause::Authentication, Cause::Clock, Cause::TakenOver] {
            assert_eq!(cause.retry(), Retry::Slow, "{cause}");
        }
        for cause in [Cause::Dns, Cause::ConnectionReset, Cause::ClosedByHub, Cause::Renewed] {
            assert_eq!(cause.retry(), Retry::Soon, "{cause}");
        }
    }

    #[test]
    fn socket_errors() {
        use rustix::io::Errno;
        for (errno, cause) in [
            (Errno::CONNREFUSED, Cause::ConnectionRefused),
            (Errno::HOSTUNREACH, Cause::Unreachable),
            (Errno::NETUNREACH, Cause::Unreachable),
            (Errno::ACCESS, Cause::Unreachable),
            (Errno::CONNRESET, Cause::ConnectionReset),
            (Errno::PIPE, Cause::ConnectionReset),
            (Errno::TIMEDOUT, Cause::ConnectionReset),
            (Errno::MFILE, Cause::Network),
        ] {
            let fault = Fault::io("hub.example:8883", &errno.into());
            assert_eq!(fault.cause, cause, "{errno:?}");
            assert!(fault.detail.starts_with("hub.example:8883: "), "{fault}");
            assert_eq!(fault.error_kind(), ErrorKind::Network);
        }
    }

    #[test]
    fn tls_errors_inside_socket_errors_are_found() {
        let inner = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let fault = Fault::from(io::Error::new(io::ErrorKind::InvalidData, inner));
        assert_eq!(fault.cause, Cause::TlsUntrusted);
        assert_eq!(Error::from(fault).kind(), ErrorKind::Tls);
    }
}
