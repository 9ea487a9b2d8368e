//! Who may ask for what: the bearer of a key on the port, the owner of the data directory on the control socket.
//!
//! One layer around every route that is not open to all, and around what is no route, too: without a key nobody learns what
//! there is.

use super::{
    answers::Failure,
    keys::{Keyring, Role},
};
use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::{net::IpAddr, sync::Arc};

/// Who orders what comes over the control socket, as the ledger has it.
pub const COMMAND_LINE: &str = "cli";
/// The same where development sign-in asks for no key.
pub const DEVELOPMENT: &str = "development";

/// What is said to whoever bears no key that is known.
const NO_KEY: &str = "this needs a key, in the header \"Authorization: Bearer KEY\": on the server's machine, \
                      `holdall key create --role read --name NAME` makes one that can look, and `--role operate` one that \
                      can change things";

/// What the port asks of whoever comes.
pub struct Access {
    keyring: Keyring,
    keyless: bool,
}

/// Whoever asks, let in.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// What the ledger names.
    pub(super) name: Arc<str>,
    role: Role,
}

impl Access {
    /// By these keys. `keyless`: while there is none, everybody on this machine may do everything.
    #[must_use]
    pub const fn new(keyring: Keyring, keyless: bool) -> Self {
        Self { keyring, keyless }
    }

    fn admit(&self, headers: &HeaderMap) -> Option<Caller> {
        let header = only(headers, AUTHORIZATION).and_then(|header| header.to_str().ok());
        let key = header.and_then(|header| header.split_once(' '));
        let key = key.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
        match key.and_then(|key| self.keyring.bearer(key)) {
            Some((name, role)) => Some(Caller { name, role }),
            None if self.keyless && self.keyring.is_empty() && is_meant_for_this_machine(headers) => {
                Some(Caller { name: DEVELOPMENT.into(), role: Role::Operate })
            }
            None => None,
        }
    }
}

/// The header of this name, unless it is said more than once.
pub(super) fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut all = headers.get_all(name).into_iter();
    all.next().filter(|_| all.next().is_none())
}

/// Whether the request names this machine, and no page of another one's made it. Else any web page that is open in a
/// browser here could do everything that needs no key.
fn is_meant_for_this_machine(headers: &HeaderMap) -> bool {
    let is_here = |name: HeaderName| {
        let mut all = headers.get_all(name).into_iter();
        all.all(|value| value.to_str().ok().and_then(|text| text.parse().ok()).is_some_and(|uri| is_loopback(&uri)))
    };
    is_here(HOST) && is_here(ORIGIN)
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Lets in whoever bears a key that allows it.
pub(super) async fn by_key(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    let Some(caller) = access.admit(request.headers()) else {
        let refused = Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", NO_KEY);
        return ([(WWW_AUTHENTICATE, "Bearer")], refused).into_response();
    };
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    if !reads && caller.role < Role::Operate {
        let message =
            format!("the key {} can look and change nothing: this needs one of the role operate", caller.name);
        return Failure::new(StatusCode::FORBIDDEN, "forbidden", message).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Lets in whoever could connect: the mode of the socket has let in its owner alone.
pub(super) async fn by_socket(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Caller { name: COMMAND_LINE.into(), role: Role::Operate });
    next.run(request).await
}
