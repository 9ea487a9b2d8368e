//! Whom one cannot trade with is somewhere: at another server, at home, or nowhere.

use holdall_harness::{
    child::Site,
    client::Client,
    redis::Redis,
    trade::{Traders, invite},
};
use holdall_protocol::{code::Code, message::ServerMessage};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a player may take to leave.
const PATIENCE: Duration = Duration::from_secs(30);

/// Invites until the answer is this one.
async fn until_refused(client: &mut Client, player: &str, code: Code) {
    let asking = async {
        loop {
            match client.ask(invite(player)).await {
                ServerMessage::Refused(refused) if refused.code == code => return,
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("inviting {player} is never refused with {code}"));
}

#[tokio::test]
async fn an_invite_says_whether_a_player_is_elsewhere_or_nowhere() {
    let redis = Redis::run().await;
    let site = || Site::new().on(&redis.url()).knob("limits.linger_ms", 300);
    let (one, other) = (site(), site());
    let (here, there) = (one.start().await, other.start().await);
    let mut anna = Client::enter(here.game, "anna").await;
    let mut bert = Client::enter(there.game, "bert").await;
    assert_eq!(anna.refuse(invite("carl")).await.code, Code::NotFound, "nobody has seen him yet");
    assert_eq!(anna.refuse(invite("bert")).await.code, Code::PlayerElsewhere);
    assert_eq!(bert.refuse(invite("anna")).await.code, Code::PlayerElsewhere);
    drop(bert);
    until_refused(&mut anna, "bert", Code::PlayerNotLoaded).await;
    // Back at the other server, which dies: whoever started again in its place does not have him.
    let bert = Client::enter(there.game, "bert").await;
    assert_eq!(anna.refuse(invite("bert")).await.code, Code::PlayerElsewhere);
    there.kill().await;
    drop(bert);
    let there = other.start().await;
    assert_eq!(anna.refuse(invite("bert")).await.code, Code::PlayerNotLoaded);
    let mut bert = Client::enter(here.game, "bert").await;
    Traders::expect_free(&mut anna, &mut bert).await;
    assert_eq!((here.stop().await, there.stop().await), (Some(0), Some(0)));
}

#[tokio::test]
async fn an_invite_says_so_on_a_store_of_its_own_too() {
    let server = Site::new().knob("limits.linger_ms", 300).start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!(anna.refuse(invite("bert")).await.code, Code::NotFound);
    drop(Client::enter(server.game, "bert").await);
    until_refused(&mut anna, "bert", Code::PlayerNotLoaded).await;
    assert_eq!(server.stop().await, Some(0));
}
