//! Starting and stopping: what a process says at its beginning, and what it leaves at its end.

use holdall_harness::{
    child::Site,
    client::{Client, Heard, grant},
};
use holdall_protocol::{close::Close, message::ServerMessage};

#[tokio::test]
async fn a_stop_under_load_answers_what_is_in_flight_and_keeps_what_it_acknowledged() {
    let site = Site::new();
    let server = site.start().await;
    let mut clients = Vec::new();
    for n in 0..8 {
        let mut client = Client::enter(server.game, &format!("p{n}")).await;
        client.send_all((0..200).map(|_| grant("ore", 1))).await;
        clients.push(client);
    }
    for client in &mut clients {
        client.reply(1).await;
    }
    server.ask_to_stop();
    let mut acknowledged = Vec::new();
    for client in &mut clients {
        let (messages, end) = client.rest().await;
        assert!(matches!(end, Heard::Close(Close::Restart, _)), "{end:?}");
        assert!(messages.iter().all(|message| matches!(message, ServerMessage::Applied(_))));
        acknowledged.push(1 + messages.len() as u64);
    }
    drop(clients);
    assert_eq!(server.stopped().await, Some(0));
    let server = site.start().await;
    for (n, acknowledged) in acknowledged.into_iter().enumerate() {
        let client = Client::enter(server.game, &format!("p{n}")).await;
        assert_eq!(client.welcome().seq.get(), acknowledged, "in flight was answered, the rest was not heard");
        assert_eq!(client.count("ore"), acknowledged);
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn after_the_linger_a_player_is_released_and_loaded_anew() {
    let server = Site::new().knob("limits.linger_ms", 1).start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 5)).await;
    let first = anna.welcome().incarnation;
    drop(anna);
    loop {
        let mut anna = Client::enter(server.game, "anna").await;
        assert_eq!(anna.count("ore"), 5);
        anna.compare().await;
        if anna.welcome().incarnation != first {
            break;
        }
        drop(anna);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let site = Site::new();
    let server = site.start().await;
    let second = site.start_in_vain(&[]).await;
    assert_eq!(second.code, Some(3));
    assert!(second.said.contains("in use by another server") && second.said.contains("--data-dir"), "{}", second.said);
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn development_sign_in_stays_on_this_machine() {
    let site = Site::new().knob("server.listen", "0.0.0.0:0");
    let ended = site.start_in_vain(&[]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.said.contains("development") && ended.said.contains("127.0.0.1"), "{}", ended.said);
}

#[tokio::test]
async fn a_bad_config_is_refused_with_every_fault() {
    let site = Site::new().knob("limits.linger_ms", "soon").knob("store.ack", "maybe").knob("limits.lingr_ms", 5);
    let ended = site.start_in_vain(&[]).await;
    assert_eq!(ended.code, Some(2));
    for fault in ["LINGER_MS", "ACK", "LINGR_MS"] {
        assert!(ended.said.contains(fault), "{fault} is missing: {}", ended.said);
    }
}
