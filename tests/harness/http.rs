//! HTTP as a program without a library would speak it: one request a connection.

use crate::child::PATIENCE;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The answer that a connection ends with: its status and body.
///
/// # Panics
/// When there is none.
pub async fn heard(mut tcp: TcpStream) -> (u16, String) {
    let mut answer = Vec::new();
    timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("an answer in time").expect("an answer");
    let answer = String::from_utf8(answer).expect("text");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

/// Somebody who asks a port, with a key or without one.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Which port.
    pub addr: SocketAddr,
    /// The key, if any.
    pub key: Option<String>,
}

impl Asker {
    /// Asks for something; the answer's status and body.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        heard(self.begin(method, path, headers, body).await).await
    }

    /// Asks for something, and does not wait for the answer.
    ///
    /// # Panics
    /// When the port does not listen.
    pub async fn begin(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut tcp = TcpStream::connect(self.addr).await.expect("the port listens");
        let key = self.key.iter().map(|key| format!("Authorization: Bearer {key}\r\n"));
        let more = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let head: String = key.chain(more).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n{head}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        // One that is refused by its head may be answered before its body was read.
        let _ = tcp.write_all(request.as_bytes()).await;
        tcp
    }

    /// Looks at something that is there.
    ///
    /// # Panics
    /// When it is not.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &[], "").await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// Orders something; the answer's status and JSON.
    ///
    /// # Panics
    /// When the answer is no JSON.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, text) = self.ask("POST", path, &[], &body.to_string()).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}")))
    }

    /// Orders something that is done.
    ///
    /// # Panics
    /// When it is not.
    pub async fn done(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, 200, "{path} {body}: {answer}");
        answer
    }

    /// Orders something that is refused with this status and code.
    ///
    /// # Panics
    /// When it is done, or refused otherwise.
    pub async fn refused(&self, path: &str, body: &Value, (status, code): (u16, &str)) {
        let (got, answer) = self.post(path, body).await;
        assert_eq!((got, &answer["code"]), (status, &Value::from(code)), "{path} {body}: {answer}");
        assert_eq!(answer["status"], status, "{answer}");
        assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    }
}
