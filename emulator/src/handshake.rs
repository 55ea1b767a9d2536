//! The TLS handshake of both ports, and what is said of one that fails.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, Error, InvalidMessage};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::broker::Broker;
use crate::events::Event;

/// Lets clients of one port through TLS.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) tls: TlsAcceptor,
    pub(crate) broker: Arc<Broker>,
    /// The file with the authority that clients have to trust.
    pub(crate) ca: Arc<Path>,
    pub(crate) deadline: Duration,
}

impl Gate {
    /// `None` where there is nobody to serve; why is an event.
    pub(crate) async fn pass(&self, socket: TcpStream) -> Option<Box<TlsStream<TcpStream>>> {
        let accepted = tokio::time::timeout(self.deadline, async {
            // Whoever closes or resets without a byte looked whether the port is open.
            match socket.peek(&mut [0]).await {
                Ok(0) | Err(_) => None,
                Ok(_) => Some(self.tls.accept(socket).await),
            }
        });
        let reason = match accepted.await {
            Ok(Some(Ok(stream))) => return Some(Box::new(stream)),
            Ok(None) => return None,
            Ok(Some(Err(error))) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
            Ok(Some(Err(error))) => explain(&error, &self.ca),
            Err(_) => "the TLS handshake took too long".to_owned(),
        };
        self.broker.events.emit(None, || Event::Refused { code: "tls", reason, return_code: None });
        None
    }
}

/// What went wrong, and what may be done about it where that is known.
fn explain(error: &io::Error, ca: &Path) -> String {
    let text = format!("the TLS handshake failed: {error}");
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "the TLS handshake failed: the client speaks no TLS (plain MQTT or HTTP on this port?)".to_owned()
        }
        Some(Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown,
        )) => {
            let ca = ca.display();
            format!("{text}; the client does not trust this hub's certificate authority: give it {ca}")
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_done_is_said() {
        let told =
            |error| explain(&io::Error::new(io::ErrorKind::InvalidData, error), Path::new("/c/ca.pem"));
        for alert in [
            AlertDescription::UnknownCA,
            AlertDescription::BadCertificate,
            AlertDescription::CertificateUnknown,
        ] {
            let text = told(Error::AlertReceived(alert));
            assert!(text.contains(&format!("{alert:?}")) && text.ends_with("give it /c/ca.pem"), "{text}");
        }
        let text = told(Error::InvalidMessage(InvalidMessage::InvalidContentType));
        assert!(text.contains("no TLS") && !text.contains("ca.pem"), "{text}");
        let text = told(Error::AlertReceived(AlertDescription::ProtocolVersion));
        assert!(text.contains("ProtocolVersion") && !text.contains("ca.pem"), "{text}");
    }
}
