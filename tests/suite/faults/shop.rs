//! Replies of Redis that are lost on their way to a shop: what was sold was sold once, and nothing is held that nobody knows of.

use super::stage::{LEASE_RAN_OUT, lane};
use crate::shop::{behind_a_proxy, crashes::pay_at_last, customer};
use holdall_harness::{
    child::Server,
    client::Client,
    proxy::Way,
    shop::{Units, confirm, hold_for, release},
};
use holdall_protocol::{code::Code, message::ServerMessage};
use tokio::task::JoinSet;

const BUYERS: u64 = 8;
const WISHES: u64 = 10;

/// Buys until it has wished often enough; how many swords it paid for. A wish whose answer is lost is given up.
async fn buy(server: &Server, n: u64) -> impl Future<Output = u64> + Send + 'static {
    let mut client = customer(server, &format!("p{n}"), 10 * WISHES).await;
    async move {
        let mut paid = 0;
        for _ in 0..WISHES {
            match client.ask(hold_for("ore", 1, 600)).await {
                ServerMessage::Applied(applied) => {
                    let held = applied.hold.expect("the reply tells of the hold");
                    assert!(pay_at_last(&mut client, confirm(&held)).await, "nobody else pays for it");
                    paid += 1;
                }
                ServerMessage::Refused(refused) => {
                    assert_eq!(refused.code, Code::StoreUnavailable, "{}", refused.message);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((client.count("gold"), client.count("ore")), (10 * (WISHES - paid), paid));
        paid
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_loses_replies_sells_everything_once() {
    let _lane = lane().await;
    let (stall, site, proxy) = behind_a_proxy().await;
    stall.sell("[[sku]]\nid = \"ore\"\nstock = 100\nitem = \"ore\"\nprice = { gold = 10 }\n");
    let server = site.knob("store.lease_ms", 30_000).knob("limits.holds_max", 64).allow(LEASE_RAN_OUT).start().await;
    let mut buyers = JoinSet::new();
    for n in 0..BUYERS {
        buyers.spawn(buy(&server, n).await);
    }
    proxy.set(Way::LosingReplies { one_in: 8 });
    let paid: u64 = buyers.join_all().await.into_iter().sum();
    proxy.set(Way::Open);
    let lost = proxy.lost();
    println!("{paid} of {} paid for; lost replies: {lost:?}", BUYERS * WISHES);
    assert!(lost.get("EVALSHA").is_some_and(|lost| *lost >= 5) && paid > 0, "{lost:?}");
    let shop = server.asker(None);
    assert_eq!(shop.units("ore").await.confirmed, paid);
    for n in 0..BUYERS {
        let mut client = Client::enter(server.game, &format!("p{n}")).await;
        for held in client.welcome().holds.clone() {
            client.held(release(&held)).await;
        }
        client.compare().await;
    }
    assert_eq!(shop.units("ore").await, Units::of(100 - paid, 0, paid), "who comes back knows of every hold");
    stall.close(server).await;
}
