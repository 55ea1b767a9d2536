//! The way to the hub, check by check.

mod hub;
mod way;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::clock::{self, Difference};
use super::report::Report;
use super::{Check, words};
use crate::access::{Admission, unix_now};
use crate::config::{Config, Source, Transport};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::Credential;
use crate::io::probe::{self, Target};
use crate::io::{self, Cause, Fault, Greet, Greeting, Via};
use way::Reached;

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
        match clock::judge(unix_now()) {
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
            Some(der) => words::judge_own(der, unix_now()).map(|text| {
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
        // As a client does: what takes its time, and may change whom to trust, comes before the first
        // connection. What is wrong with it belongs to the end.
        let ahead = matches!(self.admission.access.greet, Greet::Aside { .. }).then(|| self.greeting());
        if let Some(Ok(Greeting { tls: Some(tls), .. })) = &ahead {
            self.target.config = Arc::clone(tls);
        }
        let socket = match self.reach(report) {
            Reached::Target(socket) => socket,
            Reached::Elsewhere(socket, failed) => {
                report.not_done(Check::Tls, failed);
                self.hint(socket, report);
                return report.rest_not_done(failed);
            }
            Reached::Nowhere(failed) => return report.rest_not_done(failed),
        };
        let Some(mut probe) = self.secure(socket, report) else { return };
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
        let differs =
            self.config.tuning.transport == Transport::Mqtt && self.target.port != self.websocket_port;
        differs.then(|| Target { port: self.websocket_port, ..self.target.clone() })
    }

    fn signs(&self) -> bool {
        self.admission.access.signing.is_some()
    }
}
