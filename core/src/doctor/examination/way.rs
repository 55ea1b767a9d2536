//! NAME, PROXY and TCP, and the other port where they fail.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Examination;
use crate::doctor::report::Report;
use crate::doctor::{Check, words};
use crate::io::probe::{self, Probe, Target};
use crate::io::{self, Cause, Fault};

/// Where the way led.
pub(super) enum Reached {
    Target(Arc<OwnedFd>),
    /// Not to the port that was asked for, because of a check that failed, but to that of a WebSocket.
    Elsewhere(Arc<OwnedFd>, Check),
    /// Because of the check that failed.
    Nowhere(Check),
}

const NO_PROXY: &str = "none is configured for this host";

impl Examination {
    /// NAME, PROXY and TCP.
    pub(super) fn reach(&self, report: &mut Report<'_>) -> Reached {
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
                Ok(found) => {
                    report.passed(Check::Name, format!("{host} has the {}", words::addresses(&found)))
                }
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
                report.passed(
                    Check::Tcp,
                    match probe::ends(&socket) {
                        Some((here, there)) => format!("connected to {there} from {}", here.ip()),
                        None => format!("connected to {place}"),
                    },
                );
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

    /// WEBSOCKET, although it was not asked for: would it do?
    pub(super) fn hint(&self, socket: Arc<OwnedFd>, report: &mut Report<'_>) {
        let target = Target { port: self.websocket_port, ..self.target.clone() };
        let agreed = Probe::secure(socket, &target, self.signs())
            .and_then(|mut probe| probe.upgrade(&self.config.tuning.websocket_path).0);
        let port = target.port;
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
}
