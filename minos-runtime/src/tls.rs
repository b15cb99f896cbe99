//! Encrypted connections to others, with the provider of this crate, whichever the program has installed.

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::sync::Arc;

/// Whom the system trusts.
pub(crate) fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// How a client connects that trusts these.
///
/// # Errors
/// If TLS cannot be used here.
pub(crate) fn client(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
