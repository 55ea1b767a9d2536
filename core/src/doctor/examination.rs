//! The way to the hub, check by check.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::clock::{self, Difference};
use super::report::Report;
use super::{Check, words};
use crate::access::Admission;
use crate::config::{Config, Source, Transport};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::Credential;
use crate::io::probe::{self, Probe, Target};
use crate::io::{self, Cause, Certificate, Fault, Greet, Greeting, Via, is_of_the_web};

pub(super) struct Examination {
    config: Config,
    source: Source,
    admission: Admission,
    via: Via,
    target: Target,
    /// Where a WebSocket is that is not asked for.
    websocket_port: u16,
    /// The certificate that the device shows.
    own: Option<Vec<u8>>,
    clock: Option<Difference>,
}

/// Where the way led.
enum Reached {
    Target(Arc<OwnedFd>),
    /// Not to the port that was asked for, because of a check that failed, but to that of a WebSocket.
    Elsewhere(Arc<OwnedFd>, Check),
    /// Because of the check that failed.
    Nowhere(Check),
}

const NO_PROXY: &str = "none is configured";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Examination {
    pub(super) fn make(config: &Config, websocket_port: u16, report: &mut Report<'_>) {
        let mut config = config.clone();
        // A probe that breaks off is no event for a back-end.
        config.will = None;
        let started = Self::new(config, websocket_port);
        match &started {
            Ok((_, Ok(text))) => report.passed(Check::Options, text),
            Ok((_, Err(error))) | Err(error) => report.failed(Check::Options, error.clone()),
        }
        match clock::judge(now()) {
            Ok(text) => report.passed(Check::Clock, text),
            Err(text) => report.fault(Check::Clock, Fault::new(Cause::Clock, text), &[]),
        }
        match started {
            Ok((mut examination, _)) => examination.go(report),
            Err(_) => report.rest_not_done(Check::Options),
        }
    }

    /// And what is to be said of the options, which may be a failure that nothing else depends on.
    fn new(config: Config, websocket_port: u16) -> Result<(Self, Result<String>)> {
        let admission = Admission::of(&config)?;
        let missing = || Error::new(ErrorKind::Internal, "a credential that was there is gone");
        let source = config.credential.clone().ok_or_else(missing)?;
        let host = admission.host.clone();
        let target = Target {
            name: io::server_name(&host)?,
            config: Arc::clone(&admission.access.tls),
            port: config.tuning.port(),
            timeout: config.tuning.connect_timeout,
            host,
        };
        let mut said = format!(
            "{} of {}, {}",
            admission.identity.client_id(),
            admission.identity.hub_host(),
            words::credential(&source)
        );
        let shows = matches!(
            source,
            Source::Credential(Credential::Certificate) | Source::Files(_) | Source::TlsSigner(_)
        );
        let own = if shows { words::own_certificate(&config)? } else { None };
        let judged = match &own {
            Some(der) => words::judge_own(der, now()).map(|text| {
                said.push_str(": ");
                said.push_str(&text);
                said
            }),
            None => Ok(said),
        };
        let via = config.tuning.via(&target.host);
        Ok((Self { config, source, admission, via, target, websocket_port, own, clock: None }, judged))
    }

    fn go(&mut self, report: &mut Report<'_>) {
        let socket = match self.reach(report) {
            Reached::Target(socket) => socket,
            Reached::Elsewhere(socket, failed) => return self.hint(socket, failed, report),
            Reached::Nowhere(failed) => return report.rest_not_done(failed),
        };
        // What may change whom to trust comes before TLS; what is wrong with it belongs to the end.
        let ahead = matches!(self.admission.access.greet, Greet::Aside { .. }).then(|| self.greeting());
        if let Some(Ok(Greeting { tls: Some(tls), .. })) = &ahead {
            self.target.config = Arc::clone(tls);
        }
        let Some(mut probe) = self.secure(socket, report) else {
            return report.rest_not_done(Check::Tls);
        };
        if !self.upgrade(&mut probe, report) {
            return report.rest_not_done(Check::WebSocket);
        }
        match ahead.unwrap_or_else(|| self.greeting()) {
            Ok(made) => self.greet(probe, made, report),
            Err(fault) => {
                let what = "it is what makes the credentials, and was not the hub".to_owned();
                report.fault(Check::Credentials, fault, &[what]);
            }
        }
    }

    fn dial(&self, port: u16) -> std::result::Result<Arc<OwnedFd>, Fault> {
        probe::dial(&self.target.host, port, &self.via, self.target.timeout)
    }

    fn greeting(&mut self) -> std::result::Result<Greeting, Fault> {
        probe::greeting(&mut self.admission.access.greet, self.target.timeout)
    }

    /// The same host, where a WebSocket would be, if that is elsewhere.
    fn alternative(&self) -> Option<Target> {
        let differs = self.config.tuning.transport == Transport::Mqtt && self.target.port != self.websocket_port;
        differs.then(|| Target { port: self.websocket_port, ..self.target.clone() })
    }

    fn signs(&self) -> bool {
        self.admission.access.signing.is_some()
    }

    /// NAME, PROXY and TCP.
    fn reach(&self, report: &mut Report<'_>) -> Reached {
        let (host, port, place) = (&self.target.host, self.target.port, self.target.place());
        if let Some(proxy) = &self.via.proxy {
            report.not_needed(Check::Name, "the proxy looks the name up");
            return match self.dial(port) {
                Ok(socket) => {
                    report.passed(Check::Proxy, format!("{} opened a tunnel to {place}", proxy.words()));
                    report.not_needed(Check::Tcp, "the proxy makes this connection");
                    Reached::Target(socket)
                }
                Err(fault) => {
                    let reached = self.unreachable(Check::Proxy, fault, report);
                    report.not_done(Check::Tcp, Check::Proxy);
                    reached
                }
            };
        }
        if probe::is_address(host) {
            report.not_needed(Check::Name, format!("{host} is an address"));
        } else {
            match probe::lookup(host, self.target.timeout) {
                Ok(found) => report.passed(Check::Name, format!("{host} has the {}", words::addresses(&found))),
                Err(fault) => {
                    let advice = format!(
                        "check the spelling of the host name, the network, and the name server (getent hosts {host})"
                    );
                    report.fault(Check::Name, fault, &[advice]);
                    report.not_needed(Check::Proxy, NO_PROXY);
                    return Reached::Nowhere(Check::Name);
                }
            }
        }
        report.not_needed(Check::Proxy, NO_PROXY);
        match self.dial(port) {
            Ok(socket) => {
                report.passed(Check::Tcp, match probe::ends(&socket) {
                    Some((here, there)) => format!("connected to {there} from {}", here.ip()),
                    None => format!("connected to {place}"),
                });
                Reached::Target(socket)
            }
            Err(fault) => self.unreachable(Check::Tcp, fault, report),
        }
    }

    /// The way to the port failed at `check`: is the other one open?
    fn unreachable(&self, check: Check, fault: Fault, report: &mut Report<'_>) -> Reached {
        let port = self.target.port;
        // A proxy that cannot be reached leads nowhere else either.
        let other = self.alternative().filter(|_| check == Check::Tcp || fault.cause == Cause::Proxy);
        let tried = other.map(|target| (target.port, self.dial(target.port)));
        let advice = match &tried {
            Some((other, Ok(_))) => {
                format!("port {port} seems blocked, {other} is open: use the WebSocket transport")
            }
            _ if check == Check::Proxy && fault.cause != Cause::Proxy => {
                "check the address of the proxy, and whether it runs".to_owned()
            }
            _ if check == Check::Proxy => "ask those who run the proxy".to_owned(),
            _ if self.via.bind != io::Bind::default() => {
                "check the local address or interface that was chosen, and the routes from there".to_owned()
            }
            Some((other, Err(_))) => format!(
                "port {other} fails, too: check the network and the host; perhaps a firewall lets nothing out but \
                 through a proxy"
            ),
            None => "check the network, the host and the port; a firewall may block it".to_owned(),
        };
        report.fault(check, fault, &[advice]);
        match tried {
            Some((_, Ok(socket))) => Reached::Elsewhere(socket, check),
            _ => Reached::Nowhere(check),
        }
    }

    /// Whether the WebSocket that was not asked for would do.
    fn hint(&self, socket: Arc<OwnedFd>, failed: Check, report: &mut Report<'_>) {
        report.not_done(Check::Tls, failed);
        if let Some(target) = self.alternative() {
            let port = target.port;
            let agreed = Probe::secure(socket, &target, self.signs())
                .and_then(|mut probe| probe.upgrade(&self.config.tuning.websocket_path).0);
            match agreed {
                Ok(()) => {
                    let text = format!("the hub takes MQTT in a WebSocket on port {port}: use that transport");
                    report.passed(Check::WebSocket, text);
                }
                Err(fault) => {
                    let text = format!("port {port} was tried because the other failed");
                    report.fault(Check::WebSocket, fault, &[text]);
                }
            }
        }
        report.rest_not_done(failed);
    }

    /// TLS.
    fn secure(&self, socket: Arc<OwnedFd>, report: &mut Report<'_>) -> Option<Probe> {
        match Probe::secure(socket, &self.target, self.signs()) {
            Ok(probe) => {
                report.passed(Check::Tls, self.describe(&probe));
                Some(probe)
            }
            Err(fault) => {
                let more = self.explain(&fault);
                report.fault(Check::Tls, fault, &more);
                None
            }
        }
    }

    fn describe(&self, probe: &Probe) -> String {
        let chain = probe.chain().unwrap_or_default();
        let Some(leaf) = chain.first() else { return "TLS is up".to_owned() };
        let of_the_web =
            || chain.iter().filter_map(|der| Certificate::read(der)).any(|read| is_of_the_web(read.issuer_name));
        let root = if self.config.tuning.tls.trusted_roots.is_some() {
            "one of trusted_roots"
        } else if matches!(self.source, Source::Edge { through_gateway: true, .. }) {
            "a root in the trust bundle of IoT Edge"
        } else if of_the_web() {
            "a root in the bundle of the web"
        } else {
            "a root of this system"
        };
        format!("{}; the server shows {}; trusted by {root}", probe.tls_version(), words::presented(leaf))
    }

    fn explain(&self, fault: &Fault) -> Vec<String> {
        match fault.cause {
            Cause::TlsUntrusted | Cause::TlsExpired | Cause::TlsName | Cause::Clock | Cause::Tls => {
                // It does not say whose certificate it was.
                let looked = self.dial(self.target.port).map(|socket| Probe::presented(socket, &self.target));
                let chain = looked.unwrap_or_default();
                let leaf = chain.first();
                let issuer = leaf.and_then(|der| Certificate::read(der)).map(|read| read.issuer());
                let mut more: Vec<String> =
                    leaf.map(|der| format!("it presents {}", words::presented(der))).into_iter().collect();
                more.extend(words::untrusted(&self.target.host, fault.cause, issuer.as_deref()));
                more
            }
            Cause::Authentication => self.refused(),
            _ => vec!["something on the way, or the server, takes the connection and does not speak TLS".to_owned()],
        }
    }

    /// WEBSOCKET. Whether to go on.
    fn upgrade(&mut self, probe: &mut Probe, report: &mut Report<'_>) -> bool {
        let Some(path) = self.config.tuning.websocket_path() else {
            report.not_needed(Check::WebSocket, "MQTT goes without one");
            return true;
        };
        let (agreed, hub) = probe.upgrade(&path);
        self.clock = hub.map(|hub| Difference::new(hub, now()));
        let clock: Vec<String> = self.clock.iter().map(Difference::words).collect();
        match agreed {
            Ok(()) => {
                let text = format!("{} takes MQTT at {path}", self.target.place());
                report.passed(Check::WebSocket, clock.iter().fold(text, |text, clock| format!("{text}; {clock}")));
                true
            }
            Err(fault) => {
                let refused = fault.cause == Cause::Authentication;
                let more = if refused { self.refused() } else { clock };
                report.fault(Check::WebSocket, fault, &more);
                false
            }
        }
    }

    /// CREDENTIALS.
    fn greet(&mut self, mut probe: Probe, made: Greeting, report: &mut Report<'_>) {
        let Err(mut fault) = probe.greet(&made.connect) else {
            let text = format!("the hub let {} in; the connection was closed again", made.connect.client_id);
            return report.passed(Check::Credentials, text);
        };
        let more = match fault.cause {
            Cause::Authentication => {
                let mut more = Vec::new();
                if let Some(doubt) = made.doubt {
                    more.push(doubt.detail);
                    if doubt.clock {
                        fault.cause = Cause::Clock;
                    }
                }
                if self.clock.is_none() && self.is_dated() {
                    self.ask_the_time();
                }
                if self.is_dated() {
                    more.extend(self.clock.iter().map(Difference::words));
                }
                more.extend(self.refused());
                more
            }
            Cause::ClosedByHub => vec![
                "it gives no reason: is this the hub's MQTT port, and is the device within its quota?".to_owned(),
            ],
            Cause::ConnectTimeout => vec!["the server took CONNECT and is silent: try again later".to_owned()],
            Cause::Network | Cause::Throttled => {
                vec!["try again later; is the hub's quota for the day used up, or a failover going on?".to_owned()]
            }
            _ => Vec::new(),
        };
        report.fault(Check::Credentials, fault, &more);
    }

    fn refused(&self) -> Vec<String> {
        words::refused(&self.source, &self.admission.identity.client_id(), self.own.as_deref())
    }

    /// Whether the clock of this machine has a part in the credentials.
    fn is_dated(&self) -> bool {
        matches!(
            self.source,
            Source::Credential(Credential::Key { .. } | Credential::Signer(_)) | Source::Edge { .. }
        )
    }

    /// The answer to a WebSocket's request has a date, whatever it says.
    fn ask_the_time(&mut self) {
        let Some(target) = self.alternative() else { return };
        let hub = self
            .dial(target.port)
            .and_then(|socket| Probe::secure(socket, &target, self.signs()))
            .map(|mut probe| probe.upgrade(&self.config.tuning.websocket_path).1);
        if let Ok(Some(hub)) = hub {
            self.clock = Some(Difference::new(hub, now()));
        }
    }
}
