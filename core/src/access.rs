//! What each connection of a device or module is made with: its credentials, asked for afresh, and the
//! TLS configuration that goes with them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;

use crate::config::{Config, Source, Tuning};
use crate::error::{Error, ErrorKind, Result};
use crate::hub::{Credential, Identity, Proof, UsernameQuery};
use crate::io::{Cause, Fault, Greet, Greeting, TlsOptions, Workload};
use crate::mqtt::{Connect, Will};

/// How a client is let in.
pub(crate) struct Access {
    pub(crate) greet: Greet,
    /// For the first connection, and for all where a greeting brings no other.
    pub(crate) tls: Arc<ClientConfig>,
    /// Set while a callback signs for TLS, where one does.
    pub(crate) signing: Option<Arc<AtomicBool>>,
}

/// Whom a device's or module's options are for, and how it is let in there.
pub(crate) struct Admission {
    pub(crate) identity: Identity,
    /// What is dialled: the hub or its gateway.
    pub(crate) host: String,
    pub(crate) access: Access,
}

/// The product name in the user name, for the hub's own logs.
const CLIENT_TYPE: &str = concat!("iothub-mqtt/", env!("CARGO_PKG_VERSION"));

impl Admission {
    /// # Errors
    /// `Argument`: what is missing, or contradicts itself.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let missing = |what, how| Error::argument(what, format_args!("not given: {how}"));
        let identity = config
            .identity
            .clone()
            .ok_or_else(|| missing("identity", "set a connection string or an identity"))?;
        let credential = config
            .credential
            .clone()
            .ok_or_else(|| missing("credential", "set a key, a SAS token or a certificate"))?;
        let has_certificate = config.tuning.tls.identity.is_some();
        if matches!(credential, Source::Credential(Credential::Certificate)) && !has_certificate {
            return Err(missing(
                "certificate",
                "the connection string says x509=true, set the certificate and its key",
            ));
        }
        let query = UsernameQuery {
            device_client_type: Some(CLIENT_TYPE),
            model_id: config.model_id.as_deref(),
            ..UsernameQuery::default()
        };
        let will = match &config.will {
            Some((message, qos)) => Some(Will {
                topic: message.telemetry_topic(&identity)?,
                payload: message.body().clone(),
                qos: *qos,
                retain: false,
            }),
            None => None,
        };
        let connect = Connect {
            client_id: identity.client_id(),
            clean_session: false,
            keep_alive: config.tuning.keep_alive_seconds(),
            username: Some(identity.username(&query)),
            password: None,
            will,
        };
        let host = config.gateway.as_deref().unwrap_or(identity.hub_host()).to_owned();
        let access = Access::new(connect, identity.clone(), credential, config.sas_life, &config.tuning)?;
        Ok(Self { identity, host, access })
    }
}

/// Everything that a proof needs but the time.
struct Prover {
    connect: Connect,
    identity: Identity,
    life: Duration,
}

impl Access {
    /// `connect` lacks but the password.
    pub(crate) fn new(
        connect: Connect,
        identity: Identity,
        source: Source,
        life: Duration,
        tuning: &Tuning,
    ) -> Result<Self> {
        let prover = Prover { connect, identity, life };
        let shared = |greet| Ok(Self { greet, tls: tuning.tls.client_config()?, signing: None });
        match source {
            Source::Credential(credential) => shared(match &credential {
                Credential::Signer(_) => prover.aside("the SAS signer", credential),
                Credential::Source(_) => prover.aside("the SAS token source", credential),
                Credential::Key { .. } | Credential::Token { .. } | Credential::Certificate => {
                    Greet::Now(Box::new(move || prover.greet(&credential)))
                }
            }),
            Source::Files(files) => {
                let trusted_roots = tuning.tls.trusted_roots.clone();
                let make = move || {
                    let identity = files.read().map_err(|error| refused(&error))?;
                    let tls = TlsOptions { trusted_roots: trusted_roots.clone(), identity: Some(identity) };
                    let tls = files.checked(&tls).map_err(|error| refused(&error))?;
                    Ok(Greeting { tls: Some(tls), ..prover.greet(&Credential::Certificate)? })
                };
                shared(Greet::Aside { what: "the reading of the certificate files", make: Arc::new(make) })
            }
            Source::TlsSigner(certificate) => {
                let (tls, signing) = certificate.client_config(&tuning.tls)?;
                let greet = Greet::Now(Box::new(move || prover.greet(&Credential::Certificate)));
                Ok(Self { greet, tls, signing: Some(signing) })
            }
            Source::Edge { workload, through_gateway } => {
                // Roots that the user chose replace all others.
                let asks_for_roots = through_gateway && tuning.tls.trusted_roots.is_none();
                // The rest is for the connection.
                let patience = tuning.connect_timeout / 2;
                let make = move || prover.greet_by(&workload, asks_for_roots, Instant::now() + patience);
                shared(Greet::Aside { what: "the workload API", make: Arc::new(make) })
            }
        }
    }
}

impl Prover {
    fn aside(self, what: &'static str, credential: Credential) -> Greet {
        Greet::Aside { what, make: Arc::new(move || self.greet(&credential)) }
    }

    fn greet(&self, credential: &Credential) -> std::result::Result<Greeting, Fault> {
        let proof =
            credential.prove(&self.identity, unix_now(), self.life).map_err(|error| refused(&error))?;
        Ok(self.greeting(proof))
    }

    fn greet_by(
        &self,
        workload: &Workload,
        asks_for_roots: bool,
        deadline: Instant,
    ) -> std::result::Result<Greeting, Fault> {
        // A daemon that starts or restarts is back soon; what it refuses is for somebody to cure.
        let fault = |error: Error| match error.kind() {
            ErrorKind::Network => Fault::new(Cause::Network, error.detail()),
            _ => refused(&error),
        };
        let tls = if asks_for_roots {
            let roots = workload.trust_bundle(deadline).map_err(fault)?;
            let tls = TlsOptions { trusted_roots: Some(roots.into_bytes()), identity: None };
            Some(tls.client_config().map_err(|error| {
                let text = format!("the trust bundle of the workload API: {}", error.detail());
                Fault::new(Cause::Authentication, text)
            })?)
        } else {
            None
        };
        let sign = |data: &[u8]| workload.sign(data, deadline);
        let proof = Proof::signed_by(&self.identity, unix_now(), self.life, sign).map_err(fault)?;
        Ok(Greeting { tls, ..self.greeting(proof) })
    }

    fn greeting(&self, proof: Proof) -> Greeting {
        let connect = Connect { password: proof.password, ..self.connect.clone() };
        Greeting { connect, renew_after: proof.renew_after, doubt: proof.doubt, tls: None }
    }
}

/// Credentials that could not be made: somebody has to act, and then it goes on by itself.
fn refused(error: &Error) -> Fault {
    Fault::new(Cause::Authentication, error.detail())
}

/// Seconds since 1970 by the clock of this machine.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
