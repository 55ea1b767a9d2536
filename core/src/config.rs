//! Every option: its name, default, range and check. The C setters and the Python keywords assign
//! here and decide nothing.

mod credentials;
mod edge;
mod transport;

use std::borrow::Cow;
use std::time::Duration;

pub(crate) use self::credentials::Source;
pub use self::transport::Transport;
use crate::error::{Error, Result};
use crate::hub::{ConnectionString, Credential, Identity, Message, SharedAccessKey};
use crate::io::backoff::Backoff;
use crate::io::{Bind, ClientCertificate, ProxyRule, TlsOptions, server_name};
use crate::mqtt::{Connect, Limits, QoS, Settings, Will};

/// Beyond it the hub's own limit of 1767 s comes before one and a half times the keep-alive.
const MOST_KEEP_ALIVE: u64 = 1177;

/// What a connection is like, whoever uses it.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// `None`: what the transport usually has.
    pub(crate) port: Option<u16>,
    pub(crate) transport: Transport,
    pub(crate) websocket_path: Cow<'static, str>,
    pub(crate) proxy: Option<ProxyRule>,
    pub(crate) bind: Bind,
    pub(crate) tls: TlsOptions,
    pub(crate) keep_alive: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) backoff_first: Duration,
    pub(crate) backoff_most: Duration,
    pub(crate) slow_first: Duration,
    pub(crate) slow_most: Duration,
    pub(crate) limits: Limits,
    pub(crate) time_to_live: Option<Duration>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            port: None,
            transport: Transport::default(),
            websocket_path: Cow::Borrowed(transport::WEBSOCKET_PATH),
            proxy: None,
            bind: Bind::default(),
            tls: TlsOptions::default(),
            keep_alive: Duration::from_secs(60),
            ping_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(30),
            backoff_first: Duration::from_secs(1),
            backoff_most: Duration::from_secs(120),
            slow_first: Duration::from_secs(60),
            slow_most: Duration::from_secs(600),
            limits: Limits::default(),
            time_to_live: None,
        }
    }
}

/// `value` if it is in `range`, else an error that names the argument and the range.
fn within<T: PartialOrd + std::fmt::Debug + Copy>(name: &str, value: T, least: T, most: T) -> Result<T> {
    if value >= least && value <= most {
        Ok(value)
    } else {
        Err(Error::argument(name, format_args!("{value:?} is not in {least:?}..={most:?}")))
    }
}

impl Tuning {
    /// TCP port, 1 to 65,535; by default 8883, or 443 with [`Transport::WebSocket`].
    pub fn set_port(&mut self, port: u16) -> Result<()> {
        self.port = Some(within("port", port, 1, u16::MAX)?);
        Ok(())
    }

    /// PEM certificates that are trusted instead of all others. By default the system's roots and
    /// the bundle of the web are trusted.
    pub fn set_trusted_roots(&mut self, pem: &[u8]) -> Result<()> {
        let options = TlsOptions { trusted_roots: Some(pem.to_vec()), identity: None };
        options.client_config()?;
        self.tls.trusted_roots = options.trusted_roots;
        Ok(())
    }

    /// PEM of the device's certificate (with its chain) and of its key: PKCS#8, PKCS#1 or SEC1,
    /// not encrypted.
    pub fn set_certificate(&mut self, certificate: &[u8], private_key: &[u8]) -> Result<()> {
        let identity =
            ClientCertificate { certificate: certificate.to_vec(), private_key: private_key.to_vec() };
        let options = TlsOptions { trusted_roots: self.tls.trusted_roots.clone(), identity: Some(identity) };
        options.client_config()?;
        self.tls = options;
        Ok(())
    }

    /// The longest silence before the peer is asked whether it lives: 1 s to 1177 s, default 60 s.
    pub fn set_keep_alive(&mut self, seconds: u64) -> Result<()> {
        self.keep_alive = Duration::from_secs(within("keep_alive", seconds, 1, MOST_KEEP_ALIVE)?);
        Ok(())
    }

    /// How long the peer may take to answer that: 1 s to 600 s, default 30 s. It has to cover the
    /// upload of the largest message. A dead connection is found within keep-alive and this, or within
    /// the stall timeout if that is later and bytes wait to go.
    pub fn set_ping_timeout(&mut self, seconds: u64) -> Result<()> {
        self.ping_timeout = Duration::from_secs(within("ping_timeout", seconds, 1, 600)?);
        Ok(())
    }

    /// The time for one connection attempt, from the name lookup to the hub's answer: 1 ms to
    /// 600 s, default 30 s.
    pub fn set_connect_timeout(&mut self, timeout: Duration) -> Result<()> {
        let (least, most) = (Duration::from_millis(1), Duration::from_secs(600));
        self.connect_timeout = within("connect_timeout", timeout, least, most)?;
        Ok(())
    }

    /// The wait before the second attempt to reconnect (the first is made at once), and the
    /// longest wait: 10 ms to one hour, defaults 1 s and 2 min. Waits double and are jittered.
    pub fn set_backoff(&mut self, first: Duration, most: Duration) -> Result<()> {
        let (least, hour) = (Duration::from_millis(10), Duration::from_secs(3600));
        within("backoff_first", first, least, hour)?;
        within("backoff_most", most, first, hour)?;
        (self.backoff_first, self.backoff_most) = (first, most);
        Ok(())
    }

    /// The same for what a person has to cure (credentials, certificates, clocks): defaults 1 min
    /// and 10 min.
    pub fn set_slow_backoff(&mut self, first: Duration, most: Duration) -> Result<()> {
        let (least, day) = (Duration::from_millis(10), Duration::from_secs(86_400));
        within("slow_backoff_first", first, least, day)?;
        within("slow_backoff_most", most, first, day)?;
        (self.slow_first, self.slow_most) = (first, most);
        Ok(())
    }

    /// Messages and bytes that may wait for the hub: 1 to 65,000, default 1,000, and 1 KiB to
    /// 1 GiB, default 16 MiB. A message more is refused.
    pub fn set_queue_limits(&mut self, messages: usize, bytes: usize) -> Result<()> {
        within("queue_messages", messages, 1, 65_000)?;
        within("queue_bytes", bytes, 1 << 10, 1 << 30)?;
        (self.limits.messages, self.limits.bytes) = (messages, bytes);
        Ok(())
    }

    /// Messages that may be sent and not yet acknowledged: 1 to 65,000, default 100.
    pub fn set_in_flight(&mut self, messages: usize) -> Result<()> {
        self.limits.in_flight = within("in_flight", messages, 1, 65_000)?;
        Ok(())
    }

    /// How long a message may wait for its acknowledgement before it is given up: 1 ms to 1 year,
    /// default `None`: for ever.
    pub fn set_time_to_live(&mut self, time: Option<Duration>) -> Result<()> {
        if let Some(time) = time {
            within("time_to_live", time, Duration::from_millis(1), Duration::from_secs(31_536_000))?;
        }
        self.time_to_live = time;
        Ok(())
    }

    /// As CONNECT says it.
    pub(crate) fn keep_alive_seconds(&self) -> u16 {
        u16::try_from(self.keep_alive.as_secs()).unwrap_or(u16::MAX)
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.backoff_first, self.backoff_most).with_slow(self.slow_first, self.slow_most)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings { limits: self.limits, ping_timeout: self.ping_timeout, ..Settings::default() }
    }
}

/// The options of a device or module of an IoT Hub.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) identity: Option<Identity>,
    pub(crate) credential: Option<Source>,
    pub(crate) gateway: Option<String>,
    pub(crate) will: Option<(Message, QoS)>,
    pub(crate) model_id: Option<String>,
    pub(crate) sas_life: Duration,
    pub(crate) request_timeout: Duration,
    /// What the connection is like.
    pub tuning: Tuning,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            identity: None,
            credential: None,
            gateway: None,
            will: None,
            model_id: None,
            sas_life: Duration::from_secs(3600),
            request_timeout: Duration::from_secs(60),
            tuning: Tuning::default(),
        }
    }
}

impl Config {
    pub fn new() -> Self {
        Self::default()
    }

    /// Identity, gateway and credential of a device or module, as the portal prints them. With
    /// `x509=true` the certificate is given with [`Config::set_x509`].
    pub fn set_connection_string(&mut self, text: &str) -> Result<()> {
        let parts: ConnectionString = text.parse()?;
        let identity = parts.identity()?;
        let credential = match (&parts.shared_access_key, &parts.shared_access_signature) {
            (Some(key), _) => Some(Credential::Key {
                key: SharedAccessKey::from_base64(key)?,
                policy: parts.shared_access_key_name.clone(),
            }),
            (None, Some(token)) => Some(Credential::token(token)?),
            (None, None) => parts.x509.then_some(Credential::Certificate),
        };
        self.identity = Some(identity);
        self.gateway = parts.gateway_host_name;
        self.credential = credential.map(Source::Credential);
        Ok(())
    }

    /// The hub's host name, the device, and the module or `None`.
    pub fn set_identity(&mut self, host: &str, device_id: &str, module_id: Option<&str>) -> Result<()> {
        self.identity = Some(Identity::new(host, device_id, module_id)?);
        Ok(())
    }

    /// The device's or module's key; the library makes tokens of it and renews them.
    pub fn set_sas_key(&mut self, base64: &str) -> Result<()> {
        let key = SharedAccessKey::from_base64(base64)?;
        self.credential = Some(Source::Credential(Credential::Key { key, policy: None }));
        Ok(())
    }

    /// A token that somebody else made. It serves until it expires.
    pub fn set_sas_token(&mut self, token: &str) -> Result<()> {
        self.credential = Some(Source::Credential(Credential::token(token)?));
        Ok(())
    }

    /// How long a token made here is good: 10 s to 1 year, default 1 h. The connection is made anew
    /// at 85 % of it.
    pub fn set_sas_life(&mut self, life: Duration) -> Result<()> {
        let (least, most) = (Duration::from_secs(10), Duration::from_secs(31_536_000));
        self.sas_life = within("sas_life", life, least, most)?;
        Ok(())
    }

    /// How long a request for the twin may take, reconnects and the hub's own waits included: 1 ms to
    /// 1 h, default 60 s.
    pub fn set_request_timeout(&mut self, timeout: Duration) -> Result<()> {
        let (least, most) = (Duration::from_millis(1), Duration::from_secs(3600));
        self.request_timeout = within("request_timeout", timeout, least, most)?;
        Ok(())
    }

    /// See [`Tuning::set_certificate`].
    pub fn set_x509(&mut self, certificate: &[u8], private_key: &[u8]) -> Result<()> {
        self.tuning.set_certificate(certificate, private_key)?;
        self.credential = Some(Source::Credential(Credential::Certificate));
        Ok(())
    }

    /// The host that is dialled, and whose certificate is checked, in place of the hub's.
    pub fn set_gateway(&mut self, host: &str) -> Result<()> {
        server_name(host).map_err(|error| Error::argument("gateway", error))?;
        self.gateway = Some(host.to_owned());
        Ok(())
    }

    /// What the hub publishes as telemetry if the connection ends without a goodbye. QoS 0 or 1.
    pub fn set_will(&mut self, message: &Message, qos: u8) -> Result<()> {
        let qos = match qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => return Err(Error::argument("qos", "IoT Hub takes a will at QoS 0 or 1")),
        };
        if message.body().len() > usize::from(u16::MAX) {
            return Err(Error::argument("will", "MQTT allows 65535 bytes in its body"));
        }
        self.will = Some((message.clone(), qos));
        Ok(())
    }

    /// The Plug and Play model, `dtmi:…`.
    pub fn set_model_id(&mut self, dtmi: &str) -> Result<()> {
        if !dtmi.starts_with("dtmi:") || dtmi.len() > 2048 || dtmi.contains(char::is_whitespace) {
            return Err(Error::argument("model_id", "begins with \"dtmi:\" and holds no white space"));
        }
        self.model_id = Some(dtmi.to_owned());
        Ok(())
    }
}

/// The options of a client of any MQTT 3.1.1 broker.
#[derive(Debug, Clone)]
pub struct MqttConfig {
    pub(crate) host: String,
    pub(crate) connect: Connect,
    /// What the connection is like.
    pub tuning: Tuning,
}

impl MqttConfig {
    /// TLS to `host`, whose name is verified; the server keeps no session under an empty `client_id`.
    pub fn new(host: &str, client_id: &str) -> Result<Self> {
        server_name(host).map_err(|error| Error::argument("host", error))?;
        let connect = Connect {
            client_id: client_id.to_owned(),
            clean_session: client_id.is_empty(),
            ..Connect::default()
        };
        Ok(Self { host: host.to_owned(), connect, tuning: Tuning::default() })
    }

    pub fn set_credentials(&mut self, username: &str, password: Option<&str>) {
        self.connect.username = Some(username.to_owned());
        self.connect.password = password.map(str::to_owned);
    }

    /// Whether the server forgets the session when the connection ends; default `false`.
    pub fn set_clean_session(&mut self, clean: bool) {
        self.connect.clean_session = clean;
    }

    pub fn set_will(&mut self, will: Option<Will>) {
        self.connect.will = will;
    }

    /// Where the server's WebSocket is, for [`Transport::WebSocket`]; default IoT Hub's
    /// `/$iothub/websocket`.
    pub fn set_websocket_path(&mut self, path: &str) -> Result<()> {
        transport::check_path(path)?;
        self.tuning.websocket_path = Cow::Owned(path.to_owned());
        Ok(())
    }
}
