//! A TLS configuration, made when the options are given so that mistakes show there.

use std::sync::Arc;

use iothub_mqtt::io::{ClientCertificate, TlsOptions};
use pyo3::prelude::*;
use rustls::ClientConfig;

use crate::failure::refusal;

/// Whom the client trusts and what it shows, from PEM texts.
///
/// Without `roots`: the system's and the web's. Raises ValueError where a text is broken or the key
/// does not belong to the certificate.
#[pyclass(frozen, module = "iothub_mqtt._native")]
pub(crate) struct Tls(Arc<ClientConfig>);

#[pymethods]
impl Tls {
    #[new]
    #[pyo3(signature = (roots=None, certificate=None, private_key=None))]
    fn new(
        py: Python<'_>,
        roots: Option<Vec<u8>>,
        certificate: Option<Vec<u8>>,
        private_key: Option<Vec<u8>>,
    ) -> PyResult<Self> {
        let identity = certificate
            .zip(private_key)
            .map(|(certificate, private_key)| ClientCertificate { certificate, private_key });
        let options = TlsOptions { trusted_roots: roots, identity };
        // The system's roots are read from disk.
        py.detach(|| options.client_config()).map(Self).map_err(|e| refusal(&e))
    }
}

impl Tls {
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}
