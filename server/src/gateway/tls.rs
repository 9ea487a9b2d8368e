//! TLS: certificate and key from PEM files.

use super::{Error, TlsFiles};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{path::Path, sync::Arc};
use tokio_rustls::TlsAcceptor;

const CERT: &str = "server.tls_cert_file";
const KEY: &str = "server.tls_key_file";

/// Reads the files; they are not watched, a renewed certificate needs a restart.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Error> {
    let chain = CertificateDer::pem_file_iter(&files.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(CERT, &files.cert_file, error))?;
    if chain.is_empty() {
        return Err(bad(CERT, &files.cert_file, "no certificate in it; it must be PEM"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key_file).map_err(|error| bad(KEY, &files.key_file, error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(CERT, &files.cert_file, error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad(KEY, &files.key_file, format!("does not go with the certificate: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn bad(setting: &'static str, file: &Path, reason: impl ToString) -> Error {
    Error::Tls { setting, file: file.to_path_buf(), reason: reason.to_string() }
}
