//! A small client of the service API of a running hub.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap};
use hyper::http::response::Parts;
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use iothub_mqtt::hub::connection_string::ConnectionString;
use iothub_mqtt::hub::percent;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::identity::Identity;
use crate::time::unix_now;

pub(super) const API: &str = "api-version=2021-04-12";
/// How long the token of one request holds, in seconds.
const TOKEN_LIFE: u64 = 300;

pub(super) struct Service {
    /// The name that its certificate and its tokens have.
    pub(super) name: String,
    /// Where it listens.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) ca: PathBuf,
    pub(super) policy: String,
    key: SharedAccessKey,
}

/// An answer that is no refusal.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|e| format!("the hub's answer is not JSON: {e}"))
    }
}

impl Service {
    pub(super) fn new(
        service: &ConnectionString,
        host: String,
        port: u16,
        ca: PathBuf,
    ) -> Result<Self, String> {
        let (Some(key), Some(policy)) = (&service.shared_access_key, &service.shared_access_key_name) else {
            return Err("--service: needs SharedAccessKeyName and SharedAccessKey".into());
        };
        let key = SharedAccessKey::from_base64(key).map_err(|e| format!("--service: {e}"))?;
        Ok(Self { name: service.host_name.clone(), host, port, ca, policy: policy.clone(), key })
    }

    /// A token of the policy that the connection string names; `expiry` in seconds since 1970.
    pub(super) fn token(&self, expiry: u64) -> String {
        sas::token(&sas::encode_resource(&self.name), &self.key, expiry, Some(&self.policy))
    }

    /// Sends one request and waits for its answer; a refusal is an error with the hub's own text.
    /// `path` is encoded, `headers` are added to those that every request needs.
    pub(super) fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(String, String)],
        body: String,
    ) -> Result<Answer, String> {
        let uri: Uri = path.parse().map_err(|e| format!("{path}: {e}"))?;
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::HOST, &self.name)
            .header(header::AUTHORIZATION, self.token(unix_now().saturating_add(TOKEN_LIFE)));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| format!("a name or a value does not fit into HTTP: {e}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| format!("the runtime: {e}"))?;
        runtime.block_on(self.exchange(request))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let target = format!("{} port {}", self.host, self.port);
        let socket =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| {
                match error.kind() {
                    std::io::ErrorKind::ConnectionRefused => {
                        format!("nobody listens on {target}: is the hub running?")
                    }
                    _ => format!("{target}: {error}"),
                }
            })?;
        let name =
            ServerName::try_from(self.name.clone()).map_err(|e| format!("--service: HostName: {e}"))?;
        let connector = TlsConnector::from(trust(&self.ca)?);
        let stream =
            connector.connect(name, socket).await.map_err(|error| self.tls_failed(&target, &error))?;

        let http = |e: hyper::Error| format!("{target}: HTTP: {e}");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.map_err(http)?.into_parts();
        let body = body.collect().await.map_err(http)?.to_bytes();
        match head.status.is_success() {
            true => Ok(Answer { headers: head.headers, body }),
            false => Err(refusal(&head, &body)),
        }
    }

    fn tls_failed(&self, target: &str, error: &std::io::Error) -> String {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            )) => format!(
                "{target}: the authority in {} did not issue the certificate of the hub there, which was started with other --certs",
                self.ca.display()
            ),
            Some(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => format!("{target}: the hub there is not called '{}'", self.name),
            _ => format!("{target}: TLS: {error}"),
        }
    }
}

/// What the hub said, without the JSON around it.
fn refusal(head: &Parts, body: &[u8]) -> String {
    let message = serde_json::from_slice::<Value>(body).ok().and_then(|json| {
        let text = json.get("Message")?.as_str()?;
        // The failure of a method's callee is JSON within JSON.
        let inner = serde_json::from_str::<Value>(text).ok();
        Some(match inner.as_ref().and_then(|inner| inner.get("message")?.as_str()) {
            Some(text) => {
                let name = head.headers.get("iothub-errorcode").and_then(|name| name.to_str().ok());
                format!("ErrorCode:{};{text}", name.unwrap_or_default())
            }
            None => text.to_owned(),
        })
    });
    let text = message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    format!("the hub answered {}: {text}", head.status)
}

/// The end of a path that names a device or module, encoded: `DEV` or `DEV/modules/MOD`.
pub(super) fn target(id: &str) -> String {
    let identity = Identity::parse(id);
    let device = percent::encode(identity.device_id());
    match identity.module_id() {
        Some(module) => format!("{device}/modules/{}", percent::encode(module)),
        None => device,
    }
}

/// Reads an argument that has to be JSON.
pub(super) fn json(what: &str, text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|e| format!("{what}: is not JSON: {e}"))
}

fn trust(ca: &Path) -> Result<Arc<ClientConfig>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("--ca {}: {e}", ca.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|e| failed(&e))? {
        roots.add(certificate.map_err(|e| failed(&e))?).map_err(|e| failed(&e))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS: {e}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
