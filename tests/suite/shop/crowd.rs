//! Many who want the same: all of the stock is held and no more, and each hold has one end.

use super::{customer, on_both_stores};
use holdall_harness::{
    client::Client,
    http::Asker,
    shop::{Stall, Units, confirm, hold, hold_for},
};
use holdall_protocol::{
    code::Code,
    message::{Hold, ServerMessage},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};
use tokio::{sync::Barrier, task::JoinSet};

on_both_stores! {
    two_hundred_who_want_a_hundred_hold_exactly_a_hundred
    a_hold_that_is_paid_for_released_and_running_out_at_once_has_one_end
}

const CROWD: usize = 200;

async fn two_hundred_who_want_a_hundred_hold_exactly_a_hundred(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let together = Arc::new(Barrier::new(CROWD));
    let mut crowd = JoinSet::new();
    for n in 0..CROWD {
        let (game, together) = (server.game, Arc::clone(&together));
        crowd.spawn(async move {
            let mut client = Client::enter(game, &format!("p{n}")).await;
            together.wait().await;
            match client.ask(hold_for("bread", 1, 600)).await {
                ServerMessage::Applied(_) => true,
                ServerMessage::Refused(refused) => {
                    assert_eq!(refused.code, Code::InsufficientStock, "{}", refused.message);
                    false
                }
                other => panic!("{other:?}"),
            }
        });
    }
    let held = crowd.join_all().await.into_iter().filter(|held| *held).count();
    assert_eq!((held, shop.units("bread").await), (100, Units::of(0, 100, 0)));
    assert_eq!(shop.until_events("bread", "hold", 100).await.len(), 100);
    stall.close(server).await;
}

/// What each of three has made of a hold.
struct Ends {
    paid: bool,
    released: bool,
}

async fn end_it(game: SocketAddr, shop: Asker, n: usize) -> (Hold, Ends) {
    let mut client = Client::enter(game, &format!("p{n}")).await;
    let held = client.held(hold_for("bread", 1, 2)).await;
    let mut rng = StdRng::seed_from_u64(n as u64);
    // Around the moment at which it runs out.
    let (mut at, mut by) = (held.expires_at, held.expires_at);
    if !n.is_multiple_of(4) {
        at = at - 60 + rng.random_range(0..70);
        by = by - 60 + rng.random_range(0..70);
    }
    let reservation = held.reservation;
    let releasing = tokio::spawn(async move {
        super::expiry::until(by).await;
        shop.to_hold("release", reservation).await
    });
    super::expiry::until(at).await;
    let paid = match client.ask(confirm(&held)).await {
        ServerMessage::Applied(_) => true,
        ServerMessage::Refused(refused) => {
            assert_eq!(refused.code, Code::ReservationNotActive, "{}", refused.message);
            false
        }
        other => panic!("{other:?}"),
    };
    let (status, answer) = releasing.await.expect("no panic");
    assert!(status == 200 || answer["message"] == "Reservation is not active", "{status}: {answer}");
    assert_eq!(client.count("bread"), u64::from(paid));
    (held, Ends { paid, released: status == 200 })
}

async fn a_hold_that_is_paid_for_released_and_running_out_at_once_has_one_end(stall: Stall) {
    let server = stall.start().await;
    let shop = server.asker(None);
    let mut racing = JoinSet::new();
    for n in 0..80 {
        racing.spawn(end_it(server.game, shop.clone(), n));
    }
    let ends = racing.join_all().await;
    let paid = ends.iter().filter(|(_, ends)| ends.paid).count() as u64;
    shop.until_units("bread", Units::of(100 - paid, 0, paid)).await;
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (event, hold) in shop.events("bread").await {
        told.entry(hold.unwrap_or_default()).or_default().push(event);
    }
    let mut counts = BTreeMap::new();
    for (held, Ends { paid, released }) in ends {
        let end = match (paid, released) {
            (true, false) => "confirm",
            (false, true) => "release",
            (false, false) => "expired",
            (true, true) => panic!("{held:?} was paid for and released"),
        };
        *counts.entry(end).or_insert(0) += 1;
        assert_eq!(told[&held.reservation.to_string()], [end, "hold"], "one end, the newest first");
    }
    println!("{counts:?}");
    // Who did not get it may have it still.
    let mut anna = customer(&server, "anna", 1).await;
    anna.held(hold("bread", 100 - paid)).await;
    stall.close(server).await;
}
