//! The operator API, as far as bots need it: grants for players of a server that does not grant by itself.
//!
//! Called by `top_up`. One connection a client; an order is said again under its key until there is an answer.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::{error::Error, fmt, str::FromStr, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// The longest an answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Where operators ask, and the key they ask with.
#[derive(Clone)]
pub struct Operator {
    address: Address,
    key: String,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operator({})", self.address.0)
    }
}

/// Host and port behind `http://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("http://").ok_or("it must begin with http://")?;
        let address = rest.trim_end_matches('/');
        let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if has_port && !address.contains('/') {
            Ok(Self(address.to_owned()))
        } else {
            Err("it is a host and a port, such as http://127.0.0.1:7780".to_owned())
        }
    }
}

/// One order: so much of an item or currency for a player, out of nothing.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// Its idempotency key.
    pub(crate) key: String,
    /// For whom.
    pub(crate) player: String,
    /// The item, or the currency.
    pub(crate) item: String,
    /// How many.
    pub(crate) quantity: u64,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was carried out.
    Done,
    /// It changed nothing, such as for want of room.
    Refused,
    /// The key may not give orders: no other one will be carried out either.
    NotAllowed(String),
    /// It may have been carried out, or not.
    Unknown(String),
}

impl Operator {
    /// Asks there with this key.
    #[must_use]
    pub const fn new(address: Address, key: String) -> Self {
        Self { address, key }
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address.0
    }
}

/// A connection that is made when it is needed.
pub(crate) struct Client {
    operator: Operator,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// Not connected yet.
    pub(crate) const fn new(operator: Operator) -> Self {
        Self { operator, connection: None }
    }

    /// Gives an order once.
    pub(crate) async fn give(&mut self, order: &Order) -> Answer {
        let answer = match timeout(ANSWER_DEADLINE, self.post(order)).await {
            Ok(Ok((status, _))) if status.is_success() => Answer::Done,
            Ok(Ok((StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, said))) => Answer::NotAllowed(said),
            Ok(Ok((status, _))) if status.is_client_error() => Answer::Refused,
            Ok(Ok((status, said))) => Answer::Unknown(format!("{status}: {said}")),
            Ok(Err(error)) => Answer::Unknown(error.to_string()),
            Err(elapsed) => Answer::Unknown(elapsed.to_string()),
        };
        if let Answer::Unknown(_) = answer {
            self.connection = None;
        }
        answer
    }

    async fn post(&mut self, order: &Order) -> Result<(StatusCode, String), Box<dyn Error + Send + Sync>> {
        let body = json!({"item": order.item, "quantity": order.quantity, "reason": "load test"});
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/v1/players/{}/grant", order.player))
            .header(HOST, self.operator.address())
            .header(AUTHORIZATION, format!("Bearer {}", self.operator.key))
            .header("Idempotency-Key", &order.key)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(serde_json::to_vec(&body)?)))?;
        let response = self.connected().await?.send_request(request).await?;
        let status = response.status();
        let said = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&said).trim().to_owned()))
    }

    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
        if let Some(connection) = &mut self.connection
            && connection.ready().await.is_err()
        {
            self.connection = None;
        }
        if self.connection.is_none() {
            let tcp = TcpStream::connect(self.operator.address()).await?;
            let (sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
            // It ends with the sender; an error of it is one of the request, too.
            tokio::spawn(connection);
            self.connection = Some(sender);
        }
        self.connection.as_mut().ok_or_else(|| "no connection".into())
    }
}
