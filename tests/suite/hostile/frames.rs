//! WebSocket frames that nobody should write, or not so many, or not so slowly.

use super::{Arena, Ends::Closed, HOSTILE, Input, grant};
use holdall_harness::raw::{BINARY, CLOSE, Heard, PING, Raw, TEXT, frame, head};
use holdall_protocol::{
    close::Close::{self, FrameTooLarge, ProtocolError},
    frame::Subprotocol,
    ids::Seq,
    message::ServerMessage,
};
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_frame_has_its_close() {
    let arena = Arena::open(|_| {}).await;
    let unmasked = b"\x81\x02{}".to_vec();
    for (name, bytes, close) in [
        ("an unmasked frame", unmasked, ProtocolError),
        ("a reserved bit", frame(0xc1, b"{}"), ProtocolError),
        ("a reserved kind of data", frame(0x83, b"{}"), ProtocolError),
        ("a reserved kind of control", frame(0x8b, b""), ProtocolError),
        ("a continuation of nothing", frame(0x80, b"{}"), ProtocolError),
        ("a new message within another", [frame(0x01, b"{"), frame(TEXT, b"{}")].concat(), ProtocolError),
        ("a ping in parts", frame(0x09, b"x"), ProtocolError),
        ("a ping of 126 bytes", frame(PING, &[0; 126]), ProtocolError),
        ("a close of one byte", frame(CLOSE, b"x"), ProtocolError),
        ("a text that is none", frame(TEXT, b"\xff\xfe"), ProtocolError),
        ("a text whose parts are none", [frame(0x01, b"\"\xff"), frame(0x80, b"\"")].concat(), ProtocolError),
        ("the other kind of data", frame(BINARY, b"{}"), ProtocolError),
        ("a byte more than allowed", frame(TEXT, &[b' '; 16_385]), FrameTooLarge),
        (
            "parts of more than allowed",
            [frame(0x01, &[b' '; 10_000]), frame(0x80, &[b' '; 10_000])].concat(),
            FrameTooLarge,
        ),
        ("a claim of 2^63 bytes", head(TEXT, 1 << 63), FrameTooLarge),
        ("a claim of every byte there is", head(TEXT, u64::MAX), FrameTooLarge),
        ("10 MB", frame(TEXT, &vec![b'x'; 10 << 20]), FrameTooLarge),
    ] {
        arena.expect(name, Subprotocol::Json, &Input::Bytes(&bytes), Closed(close)).await;
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_is_heard_back_before_the_end() {
    let arena = Arena::open(|_| {}).await;
    let (mut raw, _) = arena.hostile(Subprotocol::Json).await;
    raw.frame(CLOSE, &1_000_u16.to_be_bytes()).await;
    assert_eq!(raw.goodbye().await, Some(1_000));
    assert_eq!(raw.hear().await, Heard::Gone);
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_parts_is_one_request() {
    let arena = Arena::open(|_| {}).await;
    let (mut raw, seq) = arena.hostile(Subprotocol::Json).await;
    let request = format!(r#"{{"seq":{seq},"action":{{"stats":{{}}}}}}"#).into_bytes();
    let (last, before) = request.split_last().unwrap();
    for (at, byte) in before.iter().enumerate() {
        raw.frame(if at == 0 { 0x01 } else { 0x00 }, &[*byte]).await;
        raw.frame(0x00, b"").await;
    }
    raw.frame(PING, b"between").await;
    raw.frame(0x80, &[*last]).await;
    assert_eq!(raw.hear().await, Heard::Control, "a pong");
    assert!(matches!(raw.message().await, ServerMessage::Answer(answer) if answer.seq == Seq::new(seq)));
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_are_closed_as_rate_limited() {
    let arena = Arena::open(|settings| {
        settings.limits.actions_per_second = 50;
        settings.limits.actions_burst = 50;
    })
    .await;
    let pings = frame(PING, b"").repeat(200);
    let pongs = frame(0x8a, b"").repeat(200);
    for (name, flood) in [("pings", pings), ("pongs", pongs)] {
        let (mut raw, _) = arena.hostile(Subprotocol::Msgpack).await;
        while raw.bytes(&flood).await {
            if let Heard::Close(close, _) = timely(&mut raw).await {
                assert_eq!(close, Close::RateLimited, "{name}");
                break;
            }
        }
        sleep(Duration::from_secs(1)).await;
    }
    let (mut raw, seq) = arena.hostile(Subprotocol::Json).await;
    let mut requests = Vec::new();
    for number in seq..seq + 400 {
        requests.extend(frame(TEXT, format!(r#"{{"seq":{number},"action":{{"fly":{{}}}}}}"#).as_bytes()));
    }
    raw.bytes(&requests).await;
    assert!(matches!(raw.end().await, Heard::Close(Close::RateLimited, _)));
    sleep(Duration::from_secs(1)).await;
    arena.close().await;
}

/// The end, if it is already on its way.
async fn timely(raw: &mut Raw) -> Heard {
    match tokio::time::timeout(Duration::from_millis(200), raw.end()).await {
        Ok(end) => end,
        Err(_) => Heard::Control,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_empty_parts_stalls_nobody() {
    let arena = Arena::open(|settings| {
        settings.limits.idle_timeout_ms = 1_000;
        settings.limits.ping_interval_ms = 300;
    })
    .await;
    let (mut raw, _) = arena.hostile(Subprotocol::Json).await;
    raw.frame(0x01, b"").await;
    let flood = frame(0x00, b"").repeat(1_000);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(10) && raw.bytes(&flood).await {
        if let Heard::Close(close, _) =
            tokio::time::timeout(Duration::from_millis(1), raw.end()).await.unwrap_or(Heard::Control)
        {
            assert_eq!(close, Close::Idle, "empty parts are no sign of life");
            arena.close().await;
            return;
        }
    }
    panic!("nothing was said to a client that says nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_and_silent_clients_have_their_close() {
    let arena = Arena::open(|settings| {
        settings.limits.hello_deadline_ms = 400;
        settings.limits.idle_timeout_ms = 1_200;
        settings.limits.ping_interval_ms = 400;
    })
    .await;
    let game = arena.server.game;
    let mut silent = Raw::open(game, Subprotocol::Json).await;
    assert!(matches!(silent.end().await, Heard::Close(Close::HelloTimeout, _)), "no hello at all");

    let mut slow = Raw::open(game, Subprotocol::Json).await;
    let hello = frame(TEXT, br#"{"hello":{"token":"dev:mallory"}}"#);
    for byte in &hello[..20] {
        slow.bytes(&[*byte]).await;
        sleep(Duration::from_millis(50)).await;
    }
    assert!(matches!(slow.end().await, Heard::Close(Close::HelloTimeout, _)), "a hello a byte at a time");

    let mut early = Raw::open(game, Subprotocol::Json).await;
    early.send(&grant(Seq::new(1), 5)).await;
    assert!(matches!(early.end().await, Heard::Close(ProtocolError, _)), "a request before hello");

    let mut pinging = Raw::open(game, Subprotocol::Json).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(600) {
        pinging.frame(PING, b"").await;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(pinging.end().await, Heard::Close(Close::HelloTimeout, _)), "pings are no hello");

    let (mut idle, _) = arena.hostile(Subprotocol::Json).await;
    assert!(matches!(idle.end().await, Heard::Close(Close::Idle, _)), "nothing after hello, not even a pong");

    let (mut slow, seq) = arena.hostile(Subprotocol::Json).await;
    let request = frame(TEXT, format!(r#"{{"seq":{seq},"action":{{"sort":{{}}}}}}"#).as_bytes());
    let begun = Instant::now();
    let mut bytes = request.iter();
    let end = loop {
        if let Some(byte) = bytes.next() {
            slow.bytes(&[*byte]).await;
        }
        match tokio::time::timeout(Duration::from_millis(300), slow.hear()).await {
            Ok(Heard::Close(close, _)) => break close,
            Ok(Heard::Gone) => panic!("gone without a word"),
            _ => assert!(begun.elapsed() < Duration::from_secs(20)),
        }
    };
    assert_eq!(end, Close::Idle, "a request a byte at a time");
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_half_open_connections_leave_room_for_a_player() {
    let arena = Arena::open(|settings| settings.limits.hello_deadline_ms = 2_000).await;
    let mut half_open = Vec::new();
    for at in 0..200 {
        let mut tcp = tokio::net::TcpStream::connect(arena.server.game).await.unwrap();
        if at % 2 == 0 {
            tokio::io::AsyncWriteExt::write_all(&mut tcp, b"GET /ws HTT").await.unwrap();
        }
        half_open.push(tcp);
    }
    let begun = Instant::now();
    let _ = Raw::join(arena.server.game, Subprotocol::Json, HOSTILE).await;
    assert!(begun.elapsed() < super::NOTICED);
    arena.close().await;
}
