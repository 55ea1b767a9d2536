//! `iothub-emulator send`: one cloud-to-device message over the service API.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use iothub_mqtt::hub::connection_string::ConnectionString;
use iothub_mqtt::hub::percent;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::cli::Send;
use crate::time::unix_now;

pub(crate) fn run(send: &Send) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("the runtime: {e}"))?;
    let message_id = runtime.block_on(post(send))?;
    println!("{message_id}");
    Ok(())
}

/// Sends and returns the message id.
async fn post(send: &Send) -> Result<String, String> {
    let service: ConnectionString = send.service.parse().map_err(|e| format!("--service: {e}"))?;
    let host = service.host_name.clone();
    let (Some(key), Some(policy)) = (&service.shared_access_key, &service.shared_access_key_name) else {
        return Err("--service: needs SharedAccessKeyName and SharedAccessKey".into());
    };
    let key = SharedAccessKey::from_base64(key).map_err(|e| format!("--service: {e}"))?;
    let token = sas::token(&sas::encode_resource(&host), &key, unix_now() + 300, Some(policy));

    let path =
        format!("/devices/{}/messages/devicebound?api-version=2021-04-12", percent::encode(&send.device));
    let mut request = Request::post(path).header(header::HOST, &host).header(header::AUTHORIZATION, token);
    if let Some(id) = &send.message_id {
        request = request.header("iothub-messageid", id);
    }
    for property in &send.properties {
        let (name, value) =
            property.split_once('=').ok_or_else(|| format!("--property {property}: must be NAME=VALUE"))?;
        request = request.header(format!("iothub-app-{name}"), value);
    }
    let request = request
        .body(Full::new(Bytes::from(send.text.clone())))
        .map_err(|e| format!("a property or the device id does not fit into HTTP: {e}"))?;

    let target = send.host.as_deref().unwrap_or(&host);
    let reach = |e: std::io::Error| format!("{target} port {}: {e}", send.https_port);
    let socket = TcpStream::connect((target, send.https_port)).await.map_err(reach)?;
    let name = ServerName::try_from(host.clone()).map_err(|e| format!("--service: HostName: {e}"))?;
    let stream = TlsConnector::from(trust(send)?).connect(name, socket).await.map_err(reach)?;

    let http = |e: hyper::Error| format!("HTTP: {e}");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(http)?;
    let (head, body) = response.into_parts();
    if head.status.is_success() {
        let id = head.headers.get("iothub-messageid").and_then(|id| id.to_str().ok());
        return Ok(id.unwrap_or_default().to_owned());
    }
    let body = body.collect().await.map_err(http)?.to_bytes();
    Err(format!("the hub answered {}: {}", head.status, String::from_utf8_lossy(&body)))
}

fn trust(send: &Send) -> Result<Arc<ClientConfig>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("--ca {}: {e}", send.ca.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&send.ca).map_err(|e| failed(&e))? {
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
