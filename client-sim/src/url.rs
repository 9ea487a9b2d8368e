//! Where a server is, and how it is reached: `ws://host:port/path`, or `wss://` with TLS.
//!
//! Made by the command line and by tests, used by `socket`.

use crate::tls::Tls;
use std::{path::Path, str::FromStr};

/// Where the server is.
#[derive(Debug, Clone)]
pub struct Url {
    text: String,
    address: String,
    /// For `wss://`.
    tls: Option<Tls>,
}

impl Url {
    /// Reads an address. What is at `wss://` must be vouched for by an authority in the PEM file `ca_cert`, or, without
    /// one, by an authority that this machine trusts.
    ///
    /// # Errors
    /// What is wrong with the address or the file, in words.
    pub fn new(text: &str, ca_cert: Option<&Path>) -> Result<Self, String> {
        let (secure, rest) = match text.split_once("://") {
            Some(("ws", rest)) => (false, rest),
            Some(("wss", rest)) => (true, rest),
            Some(_) | None => return Err("it must begin with ws:// or wss://".to_owned()),
        };
        if ca_cert.is_some() && !secure {
            return Err("--ca-cert is for wss://: at ws:// there is no certificate to check".to_owned());
        }
        let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
        let port = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let host = port.map_or(authority, |(host, _)| host);
        if host.is_empty() {
            return Err("it names no host".to_owned());
        }
        let address = match port {
            Some(_) => authority.to_owned(),
            None => format!("{host}:{}", if secure { 443 } else { 80 }),
        };
        let tls = secure.then(|| Tls::new(host, ca_cert)).transpose()?;
        Ok(Self { text: text.to_owned(), address, tls })
    }

    /// The whole of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How the server is recognised, where it speaks TLS.
    pub(crate) const fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_has_the_one_of_its_scheme() {
        for (text, address, tls) in [
            ("ws://127.0.0.1:7777/ws", "127.0.0.1:7777", false),
            ("ws://example.test/ws", "example.test:80", false),
            ("ws://[::1]:7777", "[::1]:7777", false),
        ] {
            let url: Url = text.parse().expect(text);
            assert_eq!((url.address(), url.tls().is_some(), url.as_str()), (address, tls, text));
        }
    }

    #[test]
    fn what_is_no_address_says_so() {
        let cert = Path::new("ca.pem");
        for (text, ca_cert, words) in [
            ("http://127.0.0.1:7777/ws", None, "ws:// or wss://"),
            ("127.0.0.1:7777", None, "ws:// or wss://"),
            ("ws:///ws", None, "no host"),
            ("wss://:7777", None, "no host"),
            ("ws://127.0.0.1:7777/ws", Some(cert), "--ca-cert is for wss://"),
            ("wss://127.0.0.1:7777/ws", Some(cert), "--ca-cert ca.pem"),
        ] {
            let error = Url::new(text, ca_cert).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
