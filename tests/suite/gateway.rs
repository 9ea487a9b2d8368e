//! The gateway alone, over real sockets: who gets a WebSocket, and what the others are told.

use futures_util::{SinkExt, StreamExt};
use holdall_protocol::{close::Close, frame::Subprotocol};
use holdall_server::{
    gateway::{self, Options, TlsFiles},
    session::{Serve, leave},
};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

/// Sends everything back, with the subprotocol and the client's address in front.
struct Echo;

impl Serve for Echo {
    async fn serve<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: &Arc<Self>,
        mut socket: Box<WebSocketStream<IO>>,
        subprotocol: Subprotocol,
        peer: IpAddr,
    ) {
        let greeting = format!("{} {peer}", subprotocol.as_str());
        if socket.send(Message::text(greeting)).await.is_err() {
            return;
        }
        while let Some(message) = socket.next().await {
            let sent = match message {
                Ok(message) if message.is_text() || message.is_binary() => socket.send(message).await,
                Ok(_) => Ok(()),
                Err(Error::Capacity(_)) => return leave::close(*socket, Close::FrameTooLarge, "too long").await,
                Err(_) => return leave::close(*socket, Close::ProtocolError, "not allowed").await,
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

fn options() -> Options {
    Options {
        origins: vec!["https://game.example".into()],
        trusted_proxies: vec![],
        tls: None,
        frame_bytes_max: 16_384,
        connections_max: 50,
        connections_per_address_max: 3,
        hello_deadline: Duration::from_secs(5),
        read_buffer_bytes: 2_048,
        send_buffer_bytes: 65_536,
    }
}

struct Gateway {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

fn start(options: &Options) -> Gateway {
    let bound = gateway::bind("127.0.0.1:0".parse().unwrap(), options, &Arc::default()).unwrap();
    let (stop, stopped) = watch::channel(false);
    Gateway { addr: bound.addr, stop, task: tokio::spawn(bound.run(Arc::new(Echo), stopped)) }
}

impl Gateway {
    /// Sends `text` as it is and reads until the server hangs up.
    async fn ask(&self, text: &str) -> String {
        let mut tcp = TcpStream::connect(self.addr).await.unwrap();
        tcp.write_all(text.replace('\n', "\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(10), tcp.read_to_string(&mut answer)).await.expect("an answer").unwrap();
        answer
    }

    /// Opens a WebSocket; `Err` is the HTTP answer.
    async fn open(&self, headers: &[(&'static str, &str)]) -> Result<WebSocketStream<TcpStream>, (u16, String)> {
        let tcp = TcpStream::connect(self.addr).await.unwrap();
        handshake(tcp, headers).await
    }
}

async fn handshake<IO: AsyncRead + AsyncWrite + Unpin>(
    io: IO,
    headers: &[(&'static str, &str)],
) -> Result<WebSocketStream<IO>, (u16, String)> {
    let mut request = "ws://localhost/ws".into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "holdall.v1.json".parse().unwrap());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match client_async(request, io).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => {
            let text = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).into_owned();
            Err((answer.status().as_u16(), text))
        }
        Err(other) => panic!("neither a WebSocket nor an answer: {other}"),
    }
}

async fn greeting<IO: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<IO>) -> String {
    socket.next().await.expect("a greeting").expect("a message").into_text().expect("text").to_string()
}

const ASK: &str = "GET /ws HTTP/1.1\nHost: x\nConnection: keep-alive, Upgrade\nUpgrade: websocket\n";

fn key_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/keys").join(name)
}

#[tokio::test]
async fn a_client_with_a_known_subprotocol_gets_a_socket() {
    let gateway = start(&options());
    let mut socket = gateway.open(&[("sec-websocket-protocol", "chat, holdall.v1.msgpack")]).await.unwrap();
    assert_eq!(greeting(&mut socket).await, "holdall.v1.msgpack 127.0.0.1");
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(greeting(&mut socket).await, "hello");
    let mut other = gateway.open(&[("sec-websocket-protocol", "holdall.v1.json, holdall.v1.msgpack")]).await.unwrap();
    assert_eq!(greeting(&mut other).await, "holdall.v1.json 127.0.0.1", "the client's order counts");
}

#[tokio::test]
async fn bytes_sent_along_with_the_handshake_are_not_lost() {
    let gateway = start(&options());
    let mut tcp = TcpStream::connect(gateway.addr).await.unwrap();
    let head = format!(
        "{ASK}Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Protocol: holdall.v1.json\n\n"
    );
    let mut bytes = head.replace('\n', "\r\n").into_bytes();
    // A masked text frame with a mask of zeros.
    bytes.extend_from_slice(b"\x81\x85\0\0\0\0early");
    tcp.write_all(&bytes).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"\x81\x05early") {
        assert_ne!(timeout(Duration::from_secs(10), tcp.read_buf(&mut heard)).await.expect("an echo").unwrap(), 0);
    }
    let head = String::from_utf8_lossy(&heard);
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
}

#[tokio::test]
async fn what_is_no_handshake_is_told_what_to_do() {
    let gateway = start(&options());
    let key = "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";
    for (request, status, words) in [
        ("GET / HTTP/1.1\nHost: x\n\n".to_owned(), 404, &["/ws", "operator port"][..]),
        (
            "GET /ws HTTP/1.1\nHost: x\n\n".to_owned(),
            426,
            &["upgrade: websocket", "holdall.v1.msgpack", "holdall.v1.json"],
        ),
        ("GET /ws HTTP/1.0\nConnection: upgrade\nUpgrade: websocket\n\n".to_owned(), 426, &[]),
        ("POST /ws HTTP/1.1\nHost: x\nContent-Length: 0\n\n".to_owned(), 405, &["allow: GET"]),
        (format!("{ASK}\n"), 426, &["sec-websocket-version: 13"]),
        (format!("{ASK}Sec-WebSocket-Version: 8\n\n"), 426, &["sec-websocket-version: 13"]),
        (format!("{ASK}Sec-WebSocket-Version: 13\n\n"), 400, &["Sec-WebSocket-Key"]),
        (format!("{ASK}{key}\n"), 400, &["holdall.v1.msgpack", "holdall.v1.json"]),
        (format!("{ASK}{key}Sec-WebSocket-Protocol: chat\n\n"), 400, &["holdall.v1.msgpack", "holdall.v1.json"]),
        (format!("{ASK}{key}Origin: https://evil.example\n\n"), 403, &["origin"]),
        ("nonsense\n\n".to_owned(), 400, &[]),
        (format!("GET /ws HTTP/1.1\nHost: x\nA: {}\n\n", "a".repeat(20_000)), 431, &[]),
    ] {
        let answer = gateway.ask(&request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.{} {status} ", u8::from(!request.contains("HTTP/1.0")))),
            "{request}{answer}"
        );
        for word in words {
            assert!(answer.contains(word), "{word:?} is missing from the answer to {request}{answer}");
        }
    }
}

#[tokio::test]
async fn an_answer_arrives_though_the_request_goes_on() {
    let gateway = start(&options());
    let body = "x".repeat(300_000);
    let answer = gateway.ask(&format!("POST /ws HTTP/1.1\nHost: x\nContent-Length: 300000\n\n{body}")).await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn a_browsers_page_must_be_listed_or_local() {
    let gateway = start(&options());
    for origin in ["https://game.example", "http://localhost:5173"] {
        assert!(gateway.open(&[("origin", origin)]).await.is_ok(), "{origin}");
    }
    for origin in ["https://evil.example", "null"] {
        let (status, text) = gateway.open(&[("origin", origin)]).await.unwrap_err();
        assert!(status == 403 && text.contains("server.origins"), "{origin}: {status} {text}");
    }
}

#[tokio::test]
async fn a_full_server_says_so_and_has_room_again_when_somebody_leaves() {
    let gateway = start(&Options { connections_max: 2, ..options() });
    let first = gateway.open(&[]).await.unwrap();
    let _second = gateway.open(&[]).await.unwrap();
    let (status, text) = gateway.open(&[]).await.unwrap_err();
    assert!(status == 503 && text.contains("full"), "{status} {text}");
    drop(first);
    for attempt in 0.. {
        match gateway.open(&[]).await {
            Ok(_) => break,
            Err(refused) => assert!(attempt < 100, "{refused:?}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_address_behind_a_trusted_proxy_has_its_own_bound() {
    let gateway = start(&Options { trusted_proxies: vec!["127.0.0.1".parse().unwrap()], ..options() });
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut socket = gateway.open(&[("x-forwarded-for", "203.0.113.7, 192.0.2.1")]).await.unwrap();
        assert_eq!(greeting(&mut socket).await, "holdall.v1.json 192.0.2.1");
        held.push(socket);
    }
    let (status, text) = gateway.open(&[("x-forwarded-for", "192.0.2.1")]).await.unwrap_err();
    assert!(status == 429 && text.contains("Too many connections"), "{status} {text}");
    gateway.open(&[("x-forwarded-for", "192.0.2.2")]).await.expect("another address has room");
}

#[tokio::test]
async fn nobody_is_believed_about_an_address_who_is_no_trusted_proxy() {
    let gateway = start(&options());
    for _ in 0..5 {
        let mut socket = gateway.open(&[("x-forwarded-for", "192.0.2.1")]).await.unwrap();
        assert_eq!(greeting(&mut socket).await, "holdall.v1.json 127.0.0.1");
    }
}

#[tokio::test]
async fn slow_and_silent_clients_are_cut_at_the_deadline() {
    let gateway = start(&Options { hello_deadline: Duration::from_millis(400), ..options() });
    let silent = async {
        let mut tcp = TcpStream::connect(gateway.addr).await.unwrap();
        tcp.read(&mut [0; 16]).await
    };
    let slow = async {
        let mut tcp = TcpStream::connect(gateway.addr).await.unwrap();
        for byte in ASK.bytes().cycle() {
            if tcp.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_millis(30)).await;
        }
    };
    let begun = Instant::now();
    let (silent, ()) =
        timeout(Duration::from_secs(5), async { tokio::join!(silent, slow) }).await.expect("both are cut");
    assert_eq!(silent.unwrap_or(0), 0, "a silent client hears nothing");
    assert!(begun.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn an_oversized_sender_still_reads_its_close() {
    let gateway = start(&options());
    let mut socket = gateway.open(&[]).await.unwrap();
    greeting(&mut socket).await;
    let (mut sink, mut stream) = socket.split();
    let sending = tokio::spawn(async move { sink.send(Message::text("x".repeat(10 << 20))).await });
    let close = loop {
        match timeout(Duration::from_secs(10), stream.next()).await.expect("a close") {
            Some(Ok(Message::Close(frame))) => break frame.expect("a close with a code"),
            Some(Ok(_)) => {}
            other => panic!("no close: {other:?}"),
        }
    };
    assert_eq!(u16::from(close.code), Close::FrameTooLarge.number());
    assert!(close.reason.starts_with("frame_too_large"), "{close:?}");
    sending.abort();
}

#[tokio::test]
async fn stopping_closes_the_port_cuts_handshakes_and_waits_for_sockets() {
    let gateway = start(&options());
    let mut socket = gateway.open(&[]).await.unwrap();
    let mut half = TcpStream::connect(gateway.addr).await.unwrap();
    half.write_all(ASK.as_bytes()).await.unwrap();
    greeting(&mut socket).await;
    gateway.stop.send_replace(true);
    assert_eq!(timeout(Duration::from_secs(2), half.read(&mut [0; 16])).await.expect("cut").unwrap_or(0), 0);
    assert!(TcpStream::connect(gateway.addr).await.is_err(), "the port is closed");
    socket.send(Message::text("still here")).await.unwrap();
    assert_eq!(greeting(&mut socket).await, "still here");
    assert!(!gateway.task.is_finished());
    drop(socket);
    timeout(Duration::from_secs(2), gateway.task).await.expect("it ends with its last socket").unwrap();
}

mod tls {
    use super::*;
    use tokio_rustls::{
        TlsConnector,
        rustls::{
            ClientConfig, RootCertStore,
            crypto::ring,
            pki_types::{CertificateDer, ServerName, pem::PemObject},
        },
    };

    fn files() -> TlsFiles {
        TlsFiles { cert_file: key_file("tls.cert.pem"), key_file: key_file("tls.key.pem") }
    }

    fn connector() -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(files().cert_file).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }

    #[tokio::test]
    async fn a_socket_works_over_tls() {
        let gateway = start(&Options { tls: Some(files()), ..options() });
        let tcp = TcpStream::connect(gateway.addr).await.unwrap();
        let tls = connector().connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
        let mut socket = handshake(tls, &[]).await.unwrap();
        assert_eq!(greeting(&mut socket).await, "holdall.v1.json 127.0.0.1");
        socket.send(Message::text("x".repeat(20_000))).await.unwrap();
        let close = socket.next().await.expect("a close").expect("a message");
        assert!(matches!(close, Message::Close(Some(frame)) if u16::from(frame.code) == 4504));
    }

    #[tokio::test]
    async fn a_client_that_never_finishes_tls_is_cut_and_plain_text_too() {
        let gateway = start(&Options { tls: Some(files()), hello_deadline: Duration::from_millis(300), ..options() });
        let mut tcp = TcpStream::connect(gateway.addr).await.unwrap();
        assert_eq!(timeout(Duration::from_secs(5), tcp.read(&mut [0; 16])).await.expect("cut").unwrap_or(0), 0);
        let mut tcp = TcpStream::connect(gateway.addr).await.unwrap();
        tcp.write_all(ASK.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(5), tcp.read_to_end(&mut answer)).await.expect("cut");
        assert!(!answer.starts_with(b"HTTP"), "plain text is not answered over TLS");
    }

    #[test]
    fn a_bad_file_is_named() {
        let open = |cert: &str, key: &str| {
            let tls = Some(TlsFiles { cert_file: key_file(cert), key_file: key_file(key) });
            match gateway::bind("127.0.0.1:0".parse().unwrap(), &Options { tls, ..options() }, &Arc::default()) {
                Ok(_) => panic!("{cert} with {key} is no pair"),
                Err(error) => error.to_string(),
            }
        };
        for (cert, key, setting, file) in [
            ("gone.pem", "tls.key.pem", "server.tls_cert_file", "gone.pem"),
            ("README.md", "tls.key.pem", "server.tls_cert_file", "README.md"),
            ("tls.cert.pem", "gone.pem", "server.tls_key_file", "gone.pem"),
            ("tls.cert.pem", "es256.private.pem", "server.tls_key_file", "es256.private.pem"),
        ] {
            let error = open(cert, key);
            assert!(error.contains(setting) && error.contains(file), "{cert} {key}: {error}");
        }
    }
}
