//! TLS on the way to a server: whose word is taken for it, and what is wrong with one that is not believed.
//!
//! Made by `url` once a run, used by `socket` for every connection.

use rustls::{
    CertificateError::{self, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer},
    ClientConfig, Error, RootCertStore,
    client::Resumption,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use std::{fmt, io, path::Path, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// What a client needs to know before it speaks TLS to a server.
#[derive(Clone)]
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?})", self.name)
    }
}

impl Tls {
    /// For the server of this name or address, on the word of the authorities in a PEM file, or of those that this machine
    /// trusts.
    ///
    /// # Errors
    /// Why there is nobody whose word could be taken, in words.
    pub(crate) fn new(host: &str, ca_cert: Option<&Path>) -> Result<Self, String> {
        let name = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|error| format!("{host}: {error}"))?;
        let roots = match ca_cert {
            Some(file) => of_file(file).map_err(|why| format!("--ca-cert {}: {why}", file.display()))?,
            None => of_this_machine()?,
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Bots stand for different machines: none of them comes in cheaply on a ticket that another one was given.
        config.resumption = Resumption::disabled();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Greets the server and checks who it is.
    ///
    /// # Errors
    /// Of the kind `InvalidData` where another try would end alike; of other kinds where the connection failed.
    pub(crate) async fn greet(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), tcp).await.map_err(|error| {
            let why = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
            why.and_then(|why| self.complaint(why))
                .map_or(error, |text| io::Error::new(io::ErrorKind::InvalidData, text))
        })
    }

    /// What is wrong with the server; `None` where that may be over soon.
    fn complaint(&self, error: &Error) -> Option<String> {
        match error {
            Error::AlertReceived(_) => None,
            Error::InvalidCertificate(wrong) => Some(match wrong {
                UnknownIssuer => "no authority that is trusted here has signed its certificate: --ca-cert FILE names \
                                  the one that has"
                    .to_owned(),
                NotValidForName | NotValidForNameContext { .. } => {
                    format!("its certificate is not for {}", self.name.to_str())
                }
                Expired | ExpiredContext { .. } => "its certificate has expired".to_owned(),
                other => format!("its certificate is not believed: {}", CertificateError::clone(other)),
            }),
            Error::InvalidMessage(_) => Some("what answers there speaks no TLS: perhaps it is at ws://".to_owned()),
            other => Some(format!("TLS: {other}")),
        }
    }
}

fn of_file(file: &Path) -> Result<RootCertStore, String> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut roots = RootCertStore::empty();
    for certificate in certificates.map_err(|error| error.to_string())? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("no certificate in it; it must be PEM".to_owned()) } else { Ok(roots) }
}

fn of_this_machine() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // What cannot be read vouches for nobody.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why: String = found.errors.iter().map(|error| format!("; {error}")).collect();
        return Err(format!("this machine trusts no authority{why}: --ca-cert FILE names the server's"));
    }
    Ok(roots)
}
