//! From the first byte to CONNACK.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Broker;
use super::connection::Peer;
use super::links::{Arrival, Attached, Cause};
use super::packet::{self, Connect, ConnectReturnCode, LastWill, Login, Packet, QoS, Unreadable};
use super::rules::{self, Request};
use super::traffic::{READ_AHEAD, Stream};
use crate::dps::names;
use crate::dps::registrant::Registrant;
use crate::events::Event;
use crate::faults::FaultKind;
use crate::identity::Identity;
use crate::registry::Will;
use crate::settings::{ConnackCode, MismatchCode, Settings};
use crate::time::unix_now;

/// Of what a client sends behind a CONNECT that waits for its answer.
const KEPT_AHEAD: usize = 64 * 1024;

/// A connection that was let in; CONNACK is in the stream's output.
pub(super) enum Welcome {
    Device(Admitted),
    /// A client of the provisioning service.
    Registrant {
        client: Registrant,
        keep_alive: u16,
    },
}

pub(super) struct Admitted {
    pub(super) identity: Identity,
    pub(super) attached: Attached,
    /// Seconds, as the client asked for; 0 for none.
    pub(super) keep_alive: u16,
    /// Seconds since 1970 when its token is over for good.
    pub(super) until: Option<u64>,
}

impl Welcome {
    fn session_present(&self) -> bool {
        match self {
            Self::Device(device) => device.attached.session_present,
            // D: the provisioning service treats every session as non-persistent.
            Self::Registrant { .. } => false,
        }
    }
}

/// Why there will be no session, and what the client is told.
pub(super) struct Refusal {
    identity: Option<Identity>,
    /// Of a client of the provisioning service.
    registration: Option<String>,
    cause: Cause,
    return_code: Option<u8>,
}

impl Refusal {
    fn silent(cause: Cause) -> Self {
        Self { identity: None, registration: None, cause, return_code: None }
    }

    fn unauthorized(cause: Cause) -> Self {
        let return_code = Some(ConnectReturnCode::NotAuthorized as u8);
        Self { return_code, ..Self::silent(cause) }
    }

    /// Puts the return code for failed authentication that is wanted in place of the usual one.
    fn choose_code(&mut self, settings: &Settings) {
        let usual = self.return_code == Some(ConnectReturnCode::NotAuthorized as u8);
        let by_choice = self.cause.code == "fault" || self.registration.is_some();
        if usual && !by_choice && settings.auth_refusal == ConnackCode::BadUserNameOrPassword {
            self.return_code = Some(ConnectReturnCode::BadUserNamePassword as u8);
        }
    }

    fn tell(self, broker: &Broker) {
        let Self { identity, registration, cause, return_code } = self;
        let Some(registration) = registration else {
            return broker.refused(identity.as_ref(), cause, return_code);
        };
        let Cause { code, reason } = cause;
        broker.events.emit(None, || Event::NotProvisioned { registration, code, reason, return_code });
    }
}

/// Reads CONNECT and decides; `None` when the stream is to be closed, with what is in its output.
pub(super) async fn welcome<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut Stream<S>,
    peer: &Peer,
    broker: &Arc<Broker>,
) -> Option<Welcome> {
    let decided = match tokio::time::timeout(broker.settings.connect_deadline, first_packet(stream)).await {
        Err(_) => Err(Refusal::silent(Cause::new("no_connect", "no CONNECT came in time"))),
        Ok(None) => return None,
        Ok(Some(Ok(Packet::Connect(connect)))) => {
            if !mute(stream, &connect, broker).await {
                return None;
            }
            decide(connect, peer, broker)
        }
        Ok(Some(Ok(_))) => Err(Refusal::silent(Cause::new("protocol", "the first packet was no CONNECT"))),
        Ok(Some(Err(Unreadable::ProtocolLevel))) => Err(Refusal {
            return_code: Some(ConnectReturnCode::RefusedProtocolVersion as u8),
            ..Refusal::silent(Cause::new(
                "protocol_level",
                "only MQTT 3.1.1 (protocol level 4) is spoken here",
            ))
        }),
        Ok(Some(Err(unreadable))) => {
            Err(Refusal::silent(Cause::new("protocol", format!("unreadable CONNECT: {unreadable:?}"))))
        }
    };
    match decided {
        Ok(welcome) => {
            packet::write_connack(&mut stream.output, welcome.session_present(), 0);
            Some(welcome)
        }
        Err(mut refusal) => {
            refusal.choose_code(&broker.settings);
            if let Some(code) = refusal.return_code {
                packet::write_connack(&mut stream.output, false, code);
            }
            refusal.tell(broker);
            None
        }
    }
}

/// `None` when the peer went away.
async fn first_packet<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut Stream<S>,
) -> Option<Result<Packet, Unreadable>> {
    loop {
        // Whatever else it is, the rest of it need not be waited for.
        if stream.input.first().is_some_and(|first| *first != 0x10) {
            return Some(Err(Unreadable::Malformed("it is none".into())));
        }
        if let Some(result) = packet::read_first(&mut stream.input).transpose() {
            return Some(result);
        }
        match stream.read(READ_AHEAD).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Leaves CONNECT unanswered where a fault wants it; false when the peer has closed meanwhile.
async fn mute<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut Stream<S>,
    connect: &Connect,
    broker: &Arc<Broker>,
) -> bool {
    let username = connect.login.as_ref().map_or("", |login| &login.username);
    let (identity, registration) =
        match names::parse_username(username, |host| broker.authority.is_host(host)) {
            Some(Ok(username)) => {
                let registration = username.registration.to_string();
                (Identity::device(registration.as_str()), Some(registration))
            }
            Some(Err(_)) => return true,
            None => match rules::parse_username(username, broker.settings.api_version) {
                Ok(username) => (username.identity, None),
                Err(_) => return true,
            },
        };
    let Some(fault) = broker.take_fault(FaultKind::Mute, &identity) else {
        return true;
    };
    let whom = registration.is_none().then_some(identity);
    let silent = Refusal::silent(Cause::new("fault", "not answered on demand"));
    Refusal { identity: whom, registration, ..silent }.tell(broker);
    let closed = async {
        // What the client sends ahead is kept for afterwards, and not more than this.
        while stream.input.len() < KEPT_AHEAD {
            if matches!(stream.read(READ_AHEAD).await, Ok(0) | Err(_)) {
                return;
            }
        }
        std::future::pending::<()>().await;
    };
    match fault.until() {
        None => closed.await,
        Some(until) => return tokio::time::timeout_at(until.into(), closed).await.is_err(),
    }
    false
}

pub(super) fn decide(connect: Connect, peer: &Peer, broker: &Arc<Broker>) -> Result<Welcome, Refusal> {
    let login = connect.login.clone().unwrap_or_else(|| Login::new("", ""));
    match names::parse_username(&login.username, |host| broker.authority.is_host(host)) {
        Some(Ok(username)) => return decide_registrant(&connect, &login, username, peer, broker),
        Some(Err(reason)) => return Err(unusable_name(reason, &login.username)),
        None if peer.registrant => {
            let reason = "this WebSocket path is the provisioning service's, and the user name is none of it";
            return Err(Refusal::silent(Cause::new("websocket", reason)));
        }
        None => {}
    }
    let username = rules::parse_username(&login.username, broker.settings.api_version)
        .map_err(|reason| unusable_name(reason, &login.username))?;
    let identity = username.identity;
    let refuse = |cause| Refusal { identity: Some(identity.clone()), ..Refusal::unauthorized(cause) };

    if let Some(refused) = refused_on_demand(broker, &identity) {
        return Err(Refusal { identity: Some(identity), ..refused });
    }
    if !broker.authority.is_host(&username.hub) {
        let reason = format!("the user name is for the hub '{}', not for this one", username.hub);
        return Err(refuse(Cause::new("user_name", reason)));
    }
    if connect.client_id != identity.to_string() {
        let reason =
            format!("the ClientId '{}' is not '{identity}', as the user name has it", connect.client_id);
        let mut refusal = refuse(Cause::new("client_id", reason));
        if broker.settings.client_id_mismatch == MismatchCode::IdentifierRejected {
            refusal.return_code = Some(ConnectReturnCode::BadClientId as u8);
        }
        return Err(refusal);
    }
    let password = Some(login.password.as_str()).filter(|password| !password.is_empty());
    let granted =
        broker.admit(&identity, password, peer.certificate.as_ref(), unix_now()).map_err(&refuse)?;
    let will =
        connect.last_will.map(|will| read_will(&identity, will, &broker.settings)).transpose().map_err(
            |reason| Refusal {
                identity: Some(identity.clone()),
                ..Refusal::silent(Cause::new("will", reason))
            },
        )?;

    let until = granted.until;
    let arrival = Arrival {
        granted,
        clean_session: connect.clean_session,
        will,
        model_id: username.model_id,
        protocol: peer.protocol,
    };
    let attached = broker.attach(&identity, arrival).map_err(refuse)?;
    Ok(Welcome::Device(Admitted { identity, attached, keep_alive: connect.keep_alive, until }))
}

/// Says what came as the user name, which holds no secret unless somebody has mixed up the fields.
fn unusable_name(rule: &str, came: &str) -> Refusal {
    let quoted = match came {
        "" => "; there is none".to_owned(),
        _ if came.to_ascii_lowercase().contains("sharedaccess") => {
            "; what came has a key or a token in it".to_owned()
        }
        _ => {
            let mut text = String::new();
            for c in came.chars().take(200) {
                match c.is_control() {
                    true => text.extend(c.escape_default()),
                    false => text.push(c),
                }
            }
            let more = if came.chars().nth(200).is_some() { "..." } else { "" };
            format!("; '{text}{more}' came")
        }
    };
    Refusal::unauthorized(Cause::new("user_name", format!("{rule}{quoted}")))
}

/// Decides a CONNECT to the provisioning service.
fn decide_registrant(
    connect: &Connect,
    login: &Login,
    username: names::Username,
    peer: &Peer,
    broker: &Broker,
) -> Result<Welcome, Refusal> {
    let registration = username.registration.to_string();
    if let Some(refused) = refused_on_demand(broker, &Identity::device(registration.as_str())) {
        return Err(Refusal { registration: Some(registration), ..refused });
    }
    if connect.last_will.is_some() {
        let silent = Refusal::silent(Cause::new("will", "the provisioning service takes no last will"));
        return Err(Refusal { registration: Some(registration), ..silent });
    }
    let password = Some(login.password.as_str()).filter(|password| !password.is_empty());
    let client = broker
        .dps
        .admit(username, &connect.client_id, password, peer.certificate.as_ref(), unix_now())
        .map_err(|reason| {
            let refused = Refusal::unauthorized(Cause::new("unauthorized", reason));
            Refusal { registration: Some(registration), ..refused }
        })?;
    Ok(Welcome::Registrant { client, keep_alive: connect.keep_alive })
}

fn refused_on_demand(broker: &Broker, identity: &Identity) -> Option<Refusal> {
    let fault = broker.take_fault(FaultKind::Refuse, identity)?;
    let cause = Cause::new("fault", "refused on demand");
    Some(Refusal { return_code: u8::try_from(fault.code).ok(), ..Refusal::silent(cause) })
}

/// Checks a last will as the telemetry that it becomes.
fn read_will(identity: &Identity, will: LastWill, settings: &Settings) -> Result<Will, String> {
    if will.qos == QoS::ExactlyOnce {
        return Err("the last will asks for QoS 2".into());
    }
    match rules::classify_topic(identity, &will.topic) {
        Ok(Request::Telemetry { bag }) => {
            let mut properties = rules::parse_events_bag(bag, settings)?;
            properties.flag(will.retain, false, will.qos as u8, settings);
            Ok(Will { body: will.message, properties })
        }
        _ => Err(format!("'{}' is no topic for a last will", will.topic)),
    }
}
