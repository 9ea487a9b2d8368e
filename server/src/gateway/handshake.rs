//! The judgement on one HTTP request: the WebSocket it asks for, or an answer that says what to do instead.
//!
//! Pure: no socket, no clock. Called by `connection`.

use super::{GAME_PATH, Options, admission::Standing};
use bytes::Bytes;
use holdall_protocol::frame::Subprotocol;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri, Version,
    header::{
        ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use std::net::{IpAddr, SocketAddr};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Boxed, because half of them travel as errors.
pub(super) type Answer = Box<Response<Full<Bytes>>>;

/// Base64 of 16 bytes.
const KEY_BYTES: usize = 24;

/// Which web pages may connect, and whose word on the client's address is taken.
#[derive(Debug)]
pub(super) struct Policy {
    origins: Vec<String>,
    trusted_proxies: Vec<IpAddr>,
}

impl Policy {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            origins: options.origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect(),
            trusted_proxies: options.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
        }
    }

    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.contains(&peer)
    }

    /// The client's address: the peer's, or what the proxies in front say, as far back as they are trusted.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        let hops = headers.get_all("x-forwarded-for").iter().rev();
        // A hop that is no text stands for whatever it hides: nothing to its left is believed.
        for hop in hops.flat_map(|value| value.to_str().unwrap_or("?").rsplit(',')) {
            if !self.trusts(client) {
                break;
            }
            match address(hop.trim()) {
                Some(address) => client = address,
                None => break,
            }
        }
        client
    }

    /// Native clients send no origin. A browser does, and a page of somebody else must not play for its visitor.
    fn allows(&self, origin: Option<&HeaderValue>) -> bool {
        let Some(origin) = origin else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let origin = origin.to_ascii_lowercase();
        is_loopback(&origin) || self.origins.contains(&origin)
    }
}

/// Decides. The answer to a request that may go on is `101` with the subprotocol.
pub(super) fn judge<B>(
    request: &Request<B>,
    standing: Standing,
    policy: &Policy,
) -> Result<(Subprotocol, Answer), Answer> {
    match standing {
        Standing::Admitted => {}
        Standing::Full => {
            return Err(say(StatusCode::SERVICE_UNAVAILABLE, "The server is full. Try again later, with backoff."));
        }
        Standing::AddressFull => {
            return Err(say(StatusCode::TOO_MANY_REQUESTS, "Too many connections from this address. Close one first."));
        }
    }
    if request.uri().path() != GAME_PATH {
        let text = format!(
            "Nothing here. Game clients open a WebSocket at {GAME_PATH}; health and readiness are on the operator port."
        );
        return Err(say(StatusCode::NOT_FOUND, &text));
    }
    if request.method() != Method::GET {
        let text = format!("Only GET: {GAME_PATH} is a WebSocket.");
        return Err(with(say(StatusCode::METHOD_NOT_ALLOWED, &text), ALLOW, "GET"));
    }
    let headers = request.headers();
    let wants_websocket = request.version() == Version::HTTP_11
        && lists(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade"))
        && lists(headers, &UPGRADE).any(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    if !wants_websocket {
        let text = format!(
            "{GAME_PATH} speaks WebSocket. Connect with a WebSocket client and the subprotocol {}.",
            subprotocols()
        );
        return Err(with(say(StatusCode::UPGRADE_REQUIRED, &text), UPGRADE, "websocket"));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let answer = say(StatusCode::UPGRADE_REQUIRED, "Only version 13 of WebSocket (RFC 6455) is spoken here.");
        return Err(with(answer, SEC_WEBSOCKET_VERSION, "13"));
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == KEY_BYTES) else {
        return Err(say(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key must be the base64 of 16 bytes."));
    };
    if !policy.allows(headers.get(ORIGIN)) {
        let text = "Pages from this origin may not connect. Add the origin to server.origins in the server's config.";
        return Err(say(StatusCode::FORBIDDEN, text));
    }
    let spoken = lists(headers, &SEC_WEBSOCKET_PROTOCOL)
        .find_map(|name| Subprotocol::ALL.into_iter().find(|subprotocol| subprotocol.as_str() == name));
    let Some(subprotocol) = spoken else {
        let text = format!("Sec-WebSocket-Protocol must name a subprotocol of this server: {}.", subprotocols());
        return Err(say(StatusCode::BAD_REQUEST, &text));
    };
    Ok((subprotocol, accept(key, subprotocol)))
}

fn accept(key: &HeaderValue, subprotocol: Subprotocol) -> Answer {
    let proof = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64 is legal in a header");
    let mut answer = Box::new(Response::new(Full::default()));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, proof);
    let answer = with(answer, SEC_WEBSOCKET_PROTOCOL, subprotocol.as_str());
    with(with(answer, UPGRADE, "websocket"), CONNECTION, "upgrade")
}

fn say(status: StatusCode, text: &str) -> Answer {
    let mut answer = Box::new(Response::new(Full::from(format!("{text}\n"))));
    *answer.status_mut() = status;
    // One request a connection: whoever was refused here starts anew.
    with(with(answer, CONTENT_TYPE, "text/plain; charset=utf-8"), CONNECTION, "close")
}

fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}

fn subprotocols() -> String {
    Subprotocol::ALL.map(Subprotocol::as_str).join(" or ")
}

/// The members of a header that is a list, in the client's order.
fn lists<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// Proxies write bare addresses, some with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    parsed.map(|address| address.to_canonical())
}

fn is_loopback(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    host == "localhost" || address(host).is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(origins: &[&str], trusted_proxies: &[&str]) -> Policy {
        Policy {
            origins: origins.iter().map(ToString::to_string).collect(),
            trusted_proxies: trusted_proxies.iter().map(|text| text.parse().expect("an address")).collect(),
        }
    }

    fn forwarded(policy: &Policy, peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().expect("a header"));
        }
        policy.client(peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_client() {
        let policy = policy(&[], &["10.0.0.1", "10.0.0.2"]);
        for (peer, lines, client) in [
            ("198.51.100.9", &["1.1.1.1"][..], "198.51.100.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6", "1.1.1.1,10.0.0.2"], "1.1.1.1"),
            ("10.0.0.1", &["6.6.6.6, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1:4711"], "1.1.1.1"),
            ("10.0.0.1", &["[2001:db8::1]:80"], "2001:db8::1"),
        ] {
            assert_eq!(forwarded(&policy, peer, lines), client, "{peer} {lines:?}");
        }
    }

    #[test]
    fn origins_are_listed_or_of_this_machine() {
        let (open, listed) = (policy(&[], &[]), policy(&["https://game.example"], &[]));
        for (origin, by_open, by_listed) in [
            ("http://localhost:5173", true, true),
            ("https://127.0.0.1", true, true),
            ("http://[::1]:80", true, true),
            ("http://localhost.evil.example", false, false),
            ("https://game.example", false, true),
            ("https://GAME.example", false, true),
            ("https://game.example.evil", false, false),
            ("http://game.example", false, false),
            ("null", false, false),
        ] {
            let value = HeaderValue::from_static(origin);
            assert_eq!((open.allows(Some(&value)), listed.allows(Some(&value))), (by_open, by_listed), "{origin}");
        }
        assert!(open.allows(None) && listed.allows(None));
    }
}
