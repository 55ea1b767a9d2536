//! A TLS server on loopback whose certificate and answer are what a test wants them to be.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{HandshakeKind, ServerConfig, ServerConnection};

use crate::PATIENCE;

/// Shakes hands until the process ends.
#[derive(Debug)]
pub struct TlsServer {
    address: SocketAddr,
    root: String,
    resumed: Receiver<bool>,
}

impl TlsServer {
    /// With a certificate for `name`, changed by `change`, that the authority `issuer` has issued.
    pub fn start(name: &str, issuer: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::answering(name, issuer, String::new(), change)
    }

    /// As [`TlsServer::start`], and it says `answer` to whatever comes first.
    pub fn answering(
        name: &str,
        issuer: &str,
        answer: String,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, issuer);
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let root = authority.self_signed(&authority_key).unwrap().pem();
        let authority = Issuer::new(authority, authority_key);
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, resumed) = mpsc::channel();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (config, answer, tell) = (Arc::clone(&config), answer.clone(), tell.clone());
                thread::spawn(move || serve(client, config, &answer, &tell));
            }
        });
        Self { address, root, resumed }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the next client that said something had resumed a session.
    pub fn resumed(&self) -> bool {
        self.resumed.recv_timeout(PATIENCE).unwrap()
    }

    /// Forgets the clients so far.
    pub fn forget(&self) {
        self.resumed.try_iter().for_each(drop);
    }

    /// PEM of the authority.
    pub fn root(&self) -> &str {
        &self.root
    }
}

/// A client that dislikes what it sees leaves, which is fine here.
fn serve(mut client: TcpStream, config: Arc<ServerConfig>, answer: &str, tell: &Sender<bool>) {
    let mut tls = ServerConnection::new(config).unwrap();
    let mut stream = rustls::Stream::new(&mut tls, &mut client);
    if !stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
        return;
    }
    let resumed = stream.conn.handshake_kind() == Some(HandshakeKind::Resumed);
    tell.send(resumed).unwrap_or_default();
    if stream.write_all(answer.as_bytes()).is_ok() {
        let _ = stream.read(&mut [0]);
    }
}
