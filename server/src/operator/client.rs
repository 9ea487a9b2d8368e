//! The command line's end of the control socket.

use super::{control::Line, socket};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{fmt, io, path::Path};

/// A connection to the server that runs on a data directory.
pub struct Client(SendRequest<Full<Bytes>>);

/// What the server said instead of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// What it is about, for programs.
    pub code: String,
    /// What it is about, for people.
    pub message: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens, or the connection broke.
    #[error("{0}")]
    Broken(String),
    /// The server answered, and it is a no.
    #[error("{0}")]
    Refused(Refused),
    /// The work was begun and could not be finished.
    #[error("{0}")]
    Failed(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ClientError {
    fn broken(error: impl fmt::Display) -> Self {
        Self::Broken(format!("the connection to the server broke: {error}"))
    }
}

impl Client {
    /// Connects to the server that runs on `directory`.
    ///
    /// # Errors
    /// What the system said: usually that nobody listens there.
    pub async fn connect(directory: &Path) -> io::Result<Self> {
        let stream = socket::connect(directory).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        // It ends with the sender; an error of it is one of the request, too.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Asks, and reads the whole answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        read(response).await
    }

    /// Asks for something to be done, and reads the whole answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post<T: DeserializeOwned>(&mut self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::broken)?;
        let response = self.send(Method::POST, path, body.into()).await?;
        read(response).await
    }

    /// Asks for something long, and reads the lines of its answer. `progress` hears how many of how many are done.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn work<T: DeserializeOwned>(
        &mut self,
        path: &str,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<T, ClientError> {
        let mut body = self.send(Method::POST, path, Bytes::new()).await?.into_body();
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            read.extend_from_slice(&frame.map_err(ClientError::broken)?.into_data().unwrap_or_default());
            while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = read.drain(..=end).collect();
                match serde_json::from_slice(&line).map_err(ClientError::broken)? {
                    Line::Progress(done, total) => progress(done, total),
                    Line::Done(answer) => return Ok(answer),
                    Line::Failed(why) => return Err(ClientError::Failed(why)),
                }
            }
        }
        Err(ClientError::broken("it ended before the answer did"))
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let request = Request::builder().method(method).uri(path).header(HOST, "control");
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(body));
        let request = request.map_err(ClientError::broken)?;
        // The connection may not have noticed yet that the last answer has been read.
        self.0.ready().await.map_err(ClientError::broken)?;
        let response = self.0.send_request(request).await.map_err(ClientError::broken)?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let body = response.into_body().collect().await.map_err(ClientError::broken)?.to_bytes();
        Err(serde_json::from_slice(&body).map_or_else(ClientError::broken, ClientError::Refused))
    }
}

async fn read<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, ClientError> {
    let body = response.into_body().collect().await.map_err(ClientError::broken)?.to_bytes();
    serde_json::from_slice(&body).map_err(ClientError::broken)
}
