//! TLS, WEBSOCKET and CREDENTIALS: what the server says.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Examination;
use crate::access::unix_now;
use crate::config::Source;
use crate::doctor::clock::Difference;
use crate::doctor::report::Report;
use crate::doctor::{Check, words};
use crate::error::ErrorKind;
use crate::hub::Credential;
use crate::io::probe::{Probe, TLS_SIGNER};
use crate::io::{Cause, Certificate, Fault, Greeting, is_of_the_web};

impl Examination {
    /// TLS.
    pub(super) fn secure(&self, socket: Arc<OwnedFd>, report: &mut Report<'_>) -> Option<Probe> {
        let fault = match Probe::secure(socket, &self.target, self.signs()) {
            Ok(probe) => {
                report.passed(Check::Tls, self.describe(&probe));
                return Some(probe);
            }
            Err(fault) => fault,
        };
        // Broken off, and nothing of TLS refused: a firewall that knows the port lets the first bytes pass.
        let other = match fault.error_kind() {
            ErrorKind::Network => self.alternative().and_then(|target| self.dial(target.port).ok()),
            _ => None,
        };
        let mut more = self.explain(&fault);
        if other.is_some() {
            more.push(format!("port {} is open: would the WebSocket transport do?", self.websocket_port));
        }
        report.fault(Check::Tls, fault, &more);
        if let Some(socket) = other {
            self.hint(socket, report);
        }
        report.rest_not_done(Check::Tls);
        None
    }

    fn describe(&self, probe: &Probe) -> String {
        let chain = probe.chain().unwrap_or_default();
        let Some(leaf) = chain.first() else { return "TLS is up".to_owned() };
        let of_the_web = || {
            chain.iter().filter_map(|der| Certificate::read(der)).any(|read| is_of_the_web(read.issuer_name))
        };
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
            // Its own text says what happened, and the hub has no part in it.
            Cause::Authentication if fault.detail.contains(TLS_SIGNER) => Vec::new(),
            Cause::Authentication => self.refused(),
            _ => vec![
                "something on the way, or the server, takes the connection and does not speak TLS".to_owned(),
            ],
        }
    }

    /// WEBSOCKET. Whether to go on.
    pub(super) fn upgrade(&mut self, probe: &mut Probe, report: &mut Report<'_>) -> bool {
        let Some(path) = self.config.tuning.websocket_path() else {
            report.not_needed(Check::WebSocket, "MQTT goes without one");
            return true;
        };
        let (agreed, hub) = probe.upgrade(&path);
        self.clock = hub.map(|hub| Difference::new(hub, unix_now()));
        let clock: Vec<String> = self.clock.iter().map(Difference::words).collect();
        match agreed {
            Ok(()) => {
                let text = format!("{} takes MQTT at {path}", self.target.place());
                report.passed(
                    Check::WebSocket,
                    clock.iter().fold(text, |text, clock| format!("{text}; {clock}")),
                );
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
    pub(super) fn greet(&mut self, mut probe: Probe, made: Greeting, report: &mut Report<'_>) {
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
                "it gives no reason: is this the hub's MQTT port, and is the device within its quota?"
                    .to_owned(),
            ],
            Cause::ConnectTimeout => {
                vec!["the server took CONNECT and is silent: try again later".to_owned()]
            }
            Cause::Network | Cause::Throttled => {
                vec![
                    "try again later; is the hub's quota for the day used up, or a failover going on?"
                        .to_owned(),
                ]
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
            self.clock = Some(Difference::new(hub, unix_now()));
        }
    }
}
