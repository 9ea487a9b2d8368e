//! The bots against a whole server: they play, they come back, and they find nothing wrong.

use futures_util::{SinkExt, StreamExt};
use holdall_client_sim::{
    Options, Report,
    conservation::State,
    echo,
    mix::Weights,
    run,
    scenario::{Load, Url},
};
use holdall_harness::server::{Server, TempDir};
use holdall_protocol::frame::Subprotocol;
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, time::sleep};
use tokio_tungstenite::{client_async, tungstenite::Message};

fn options(server: SocketAddr, bots: usize, millis: u64) -> Options {
    let url: Url = format!("ws://{server}/ws").parse().expect("an address makes a URL");
    Options::new(url, bots, Duration::from_millis(millis))
}

fn in_order(report: &Report) {
    assert_eq!(report.violations, Vec::<String>::new(), "{report}");
    assert_eq!(report.proven, report.bots, "{report}");
    assert_eq!(report.requests, report.replies, "{report}");
    assert!(report.conservation.values().all(|account| account.state == State::Conserved), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_of_everything_in_both_encodings() {
    let dir = TempDir::new();
    let server = Server::start(dir.path(), |_| {}).await;
    for subprotocol in Subprotocol::ALL {
        let report = run(Options { subprotocol, ..options(server.game, 20, 1500) }).await;
        in_order(&report);
        assert!(report.replies > 60, "{report}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_in_flight_while_connections_are_cut() {
    let dir = TempDir::new();
    let unlimited = |settings: &mut holdall_server::config::Settings| settings.limits.actions_per_second = 100_000;
    let server = Server::start(dir.path(), unlimited).await;
    let churn = Some(Duration::from_millis(300));
    let report = run(Options { load: Load::Depth(8), churn, ..options(server.game, 16, 2000) }).await;
    in_order(&report);
    assert!(report.reconnects > 0 && report.resumes > 0, "{report}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_day_ends_with_every_trade_over_and_every_inbox_empty() {
    let dir = TempDir::new();
    let server = Server::start(dir.path(), |settings| {
        settings.limits.actions_per_second = 100_000;
        settings.limits.linger_ms = 100;
        settings.limits.invites_per_minute = 10_000;
        settings.limits.invites_per_pair_per_minute = 10_000;
        settings.limits.invite_expiry_ms = 1_000;
    })
    .await;
    let (load, away) = (Load::ThinkTime(Duration::from_millis(10)), Duration::from_millis(500));
    let report = run(Options { mix: Weights::MARKET_DAY, load, away, ..options(server.game, 16, 4000) }).await;
    in_order(&report);
    assert!(report.trades > 0 && report.gifts > 0 && report.delivered > 0 && report.reconnects > 0, "{report}");
    assert!(["gold", "gems", "ore"].iter().all(|id| report.conservation.contains_key(*id)), "{report}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_rate_is_kept_and_players_who_stand_still_are_proven_too() {
    let dir = TempDir::new();
    let server = Server::start(dir.path(), |_| {}).await;
    let report = run(Options { load: Load::Rate(100.0), ..options(server.game, 20, 2000) }).await;
    in_order(&report);
    assert!((120..=400).contains(&report.requests), "{report}");
    let report = run(Options { mix: Weights::IDLE, ..options(server.game, 20, 200) }).await;
    in_order(&report);
    assert_eq!((report.requests, report.resyncs), (20, 20), "only the last proof is asked for: {report}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stays_away_is_a_violation() {
    let dir = TempDir::new();
    let server = Server::start(dir.path(), |_| {}).await;
    let give_up = Duration::from_millis(500);
    let bots = tokio::spawn(run(Options { give_up, ..options(server.game, 3, 60_000) }));
    sleep(Duration::from_millis(700)).await;
    server.stop().await;
    let report = bots.await.expect("the bots do not panic");
    assert!(report.violations.iter().any(|violation| violation.contains("could not reconnect")), "{report}");
    assert!(report.duration_s < 30.0, "nobody is left, so it ends: {report}");
}

#[tokio::test]
async fn the_echo_server_sends_back_what_it_gets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(echo::serve(listener));
    let tcp = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let (mut socket, _) = client_async(format!("ws://{address}/"), tcp).await.expect("a WebSocket");
    for n in 0..20_u8 {
        socket.feed(Message::binary(vec![n; 300])).await.expect("it fits");
    }
    socket.flush().await.expect("it is sent");
    for n in 0..20_u8 {
        let came = socket.next().await.expect("the connection stands").expect("it is well formed");
        assert_eq!(came, Message::binary(vec![n; 300]));
    }
}
