//! HTTPS.

use super::{GatewayError, config::TlsConfig};
use minos_runtime::http::Socket;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{io, path::Path, sync::Arc};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What is shown to clients. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tls(TlsAcceptor);

impl Tls {
    /// Nothing, if none is configured.
    pub(super) fn new(config: &TlsConfig) -> Result<Option<Self>, GatewayError> {
        let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else { return Ok(None) };
        let wrong = |path: &Path, why: String| GatewayError::Config(format!("{}: {why}", path.display()));
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let chain = chain.map_err(|error| wrong(certificate, format!("it cannot be read as certificates in PEM: {error}")))?;
        if chain.is_empty() {
            return Err(wrong(certificate, "it has no certificate".to_owned()));
        }
        let private =
            PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, format!("it cannot be read as a private key in PEM: {error}")))?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
        let server = builder.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private));
        let mut server = server.map_err(|error| wrong(certificate, format!("it cannot be used with {}: {error}", key.display())))?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Tls(TlsAcceptor::from(Arc::new(server)))))
    }

    pub(super) async fn accept(&self, socket: Socket) -> io::Result<TlsStream<Socket>> {
        self.0.accept(socket).await
    }
}
