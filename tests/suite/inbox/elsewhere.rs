//! The receiver is on another server process, or what waits cannot be read.

use super::{from_inbox, giver, next_delta};
use holdall_harness::{
    child::Site,
    client::{Client, drop_item, gift, grant},
    redis::Redis,
};
use holdall_protocol::code::Code;

#[tokio::test]
async fn a_gift_to_a_player_on_another_process_arrives_without_a_new_login() {
    let redis = Redis::run().await;
    let (one, other) = (Site::new().on(&redis.url()), Site::new().on(&redis.url()));
    let (here, there) = (one.start().await, other.start().await);
    let mut bert = Client::enter(there.game, "bert").await;
    let mut anna = giver(&here, 60).await;
    let (_, ore) = anna.stack("ore");
    for given in 1..=5 {
        anna.apply(gift("bert", ore.instance, 10)).await;
        let told = next_delta(&mut bert).await;
        assert_eq!((told.cause, bert.count("ore")), (from_inbox("anna"), given * 10));
    }
    // And back again.
    let (_, part) = bert.stack("ore");
    bert.apply(gift("anna", part.instance, 50)).await;
    assert_eq!(next_delta(&mut anna).await.cause, from_inbox("bert"));
    assert_eq!((anna.count("ore"), bert.count("ore")), (60, 0));
    anna.compare().await;
    bert.compare().await;
    assert_eq!((here.stop().await, there.stop().await), (Some(0), Some(0)));
}

#[tokio::test]
async fn a_damaged_inbox_takes_nothing_and_does_not_keep_its_owner_out() {
    let redis = Redis::run().await;
    let (one, other) = (Site::new().on(&redis.url()), Site::new().on(&redis.url()).allow("an inbox is left alone"));
    let (here, there) = (one.start().await, other.start().await);
    redis.tell(&["SET", "holdall:{main}:player:bert:inbox", "a diary"]).await;
    let mut bert = Client::enter(there.game, "bert").await;
    let mut anna = giver(&here, 60).await;
    let (_, ore) = anna.stack("ore");
    assert_eq!(anna.refuse(gift("bert", ore.instance, 10)).await.code, Code::NotAccepting);
    anna.apply(drop_item("ore", 1)).await;
    bert.apply(grant("bread", 1)).await;
    anna.compare().await;
    bert.compare().await;
    redis.tell(&["DEL", "holdall:{main}:player:bert:inbox"]).await;
    anna.apply(gift("bert", ore.instance, 10)).await;
    assert_eq!(next_delta(&mut bert).await.cause, from_inbox("anna"));
    assert_eq!((here.stop().await, there.stop().await), (Some(0), Some(0)));
}
