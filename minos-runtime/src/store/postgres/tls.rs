//! Encrypted connections.

use crate::store::{StoreError, StoreResult};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{self, CryptoProvider},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{path::Path, sync::Arc};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How much security a connection needs: the words of PostgreSQL's own clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// None.
    Disable,
    /// Encrypted if the server can do it.
    Prefer,
    /// Encrypted. The server is verified only if `sslrootcert` says by what.
    Require,
    /// Encrypted, and the server is verified, with its name.
    VerifyFull,
}

impl Mode {
    pub(super) fn parse(word: &str) -> StoreResult<Self> {
        match word {
            "disable" => Ok(Mode::Disable),
            "prefer" => Ok(Mode::Prefer),
            "require" => Ok(Mode::Require),
            "verify-full" => Ok(Mode::VerifyFull),
            other => Err(StoreError::Unsupported(format!(
                "`sslmode={other}` in the store's URL is not known: write `disable`, `prefer`, `require` or `verify-full`"
            ))),
        }
    }
}

/// Makes encrypted connections. Certificates are verified by those in `roots`, or by the system's.
pub(super) fn connector(mode: Mode, roots: Option<&Path>) -> StoreResult<MakeRustlsConnect> {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Unsupported(format!("TLS cannot be used: {error}")))?;
    let verifies = mode == Mode::VerifyFull || (mode == Mode::Require && roots.is_some());
    let config = if verifies {
        builder.with_root_certificates(trusted(roots)?).with_no_client_auth()
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider))).with_no_client_auth()
    };
    Ok(MakeRustlsConnect::new(config))
}

fn trusted(roots: Option<&Path>) -> StoreResult<RootCertStore> {
    let mut store = RootCertStore::empty();
    let certificates: Vec<CertificateDer<'static>> = match roots {
        None => rustls_native_certs::load_native_certs().certs,
        Some(path) => {
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
            read.map_err(|error| StoreError::Unavailable(format!("`sslrootcert={}` cannot be read: {error}", path.display())))?
        }
    };
    store.add_parsable_certificates(certificates);
    if store.is_empty() {
        let place = roots.map_or("this system's store of certificates".to_owned(), |path| path.display().to_string());
        return Err(StoreError::Unavailable(format!(
            "{place} has no certificate to verify the server by: name a file with `sslrootcert=`"
        )));
    }
    Ok(store)
}

/// Takes the server for what it says it is, as `sslmode=require` means it: nobody can listen, but somebody could pretend to be the server.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
