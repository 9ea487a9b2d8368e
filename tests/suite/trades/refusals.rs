//! Everything that a trade refuses, with its code, and that nothing has changed then.

use holdall_harness::{
    child::Site,
    client::{Client, bag, drop_item, gift, grant, item, pay},
    trade::{Traders, accept, cancel, decline, invite, offer, open, take},
};
use holdall_protocol::{
    action::{self, Action, Quantity, Target},
    code::Code,
    ids::{InstanceId, SlotId, TradeId},
    message::TradeEnd,
};

#[tokio::test]
async fn of_invites() {
    let server = Site::new()
        .knob("limits.incoming_invites_max", 2)
        .knob("limits.invites_per_pair_per_minute", 3)
        .knob("limits.invites_per_minute", 6)
        .start()
        .await;
    let mut traders = Traders::meet(server.game).await;
    let mut carl = Client::enter(server.game, "carl").await;
    assert_eq!(carl.refuse(invite("carl")).await.code, Code::SamePlayer);
    assert_eq!(carl.refuse(invite("nobody")).await.code, Code::NotFound);
    for trader in ["anna", "bert"] {
        assert_eq!(carl.refuse(invite(trader)).await.code, Code::PlayerBusy, "{trader} trades already");
    }
    assert_eq!(traders.anna.refuse(invite("carl")).await.code, Code::PlayerBusy, "one open trade a player");
    let mut dora = Client::enter(server.game, "dora").await;
    let asked = dora.step(invite("carl")).await;
    assert_eq!(dora.refuse(invite("carl")).await.code, Code::LimitExceeded, "it waits for its answer");
    carl.told().await;
    carl.step(decline(asked.trade)).await;
    dora.told_end(asked.trade, TradeEnd::Declined).await;
    assert!(dora.ask(invite("carl")).await != dora.ask(invite("nobody")).await);
    let often = dora.refuse(invite("carl")).await;
    assert_eq!(often.code, Code::RateLimited, "three invites of this pair in a minute");
    assert!(often.retry_after_ms.is_some_and(|wait| (1..=60_000).contains(&wait)));
    for _ in 0..2 {
        assert_eq!(dora.refuse(invite("nobody")).await.code, Code::NotFound);
    }
    assert_eq!(dora.refuse(invite("emil")).await.code, Code::RateLimited, "six invites of anybody in a minute");
    let mut emil = Client::enter(server.game, "emil").await;
    emil.step(invite("carl")).await;
    let mut fred = Client::enter(server.game, "fred").await;
    assert_eq!(fred.refuse(invite("carl")).await.code, Code::LimitExceeded, "two wait for carl's answer");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn of_those_who_do_not_take_part() {
    let server = Site::new().start().await;
    let mut traders = Traders::meet(server.game).await;
    let revision = traders.offer_both().await;
    let mut carl = Client::enter(server.game, "carl").await;
    let nothing = TradeId::new(uuid::Uuid::from_u128(7));
    let steps: [fn(TradeId) -> Action; 5] =
        [take, decline, |trade| offer(trade, &[], &[]), |trade| accept(trade, 2), cancel];
    for step in steps {
        let (there, not_there) = (carl.refuse(step(traders.trade)).await, carl.refuse(step(nothing)).await);
        assert_eq!((there.code, &there.message), (Code::TradeNotFound, &not_there.message), "nobody can tell");
    }
    assert!(carl.trades.is_empty(), "nor is told");
    traders.settle(revision).await;
    for step in steps {
        assert_eq!(traders.bert.refuse(step(traders.trade)).await.code, Code::TradeClosed);
        assert_eq!(carl.refuse(step(traders.trade)).await.code, Code::TradeNotFound);
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn of_steps_out_of_turn() {
    let server = Site::new().start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    let asked = anna.step(invite("bert")).await.trade;
    assert_eq!(anna.refuse(take(asked)).await.code, Code::TradeChanged, "who asks does not answer");
    assert_eq!(anna.refuse(offer(asked, &[], &[])).await.code, Code::TradeChanged);
    assert_eq!(bert.refuse(accept(asked, 0)).await.code, Code::TradeChanged);
    bert.step(take(asked)).await;
    assert_eq!(bert.refuse(decline(asked)).await.code, Code::TradeChanged, "it is open");
    anna.step(accept(asked, 0)).await;
    assert_eq!(bert.refuse(accept(asked, 0)).await.code, Code::InvalidQuantity, "nothing for nothing is no trade");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn of_what_cannot_be_put_up() {
    let server = Site::new().knob("limits.offer_lines_max", 3).start().await;
    let mut traders = Traders::meet(server.game).await;
    let Traders { anna, trade, .. } = &mut traders;
    for id in ["guild_writ", "rusty_key", "iron_helm"] {
        anna.apply(grant(id, 1)).await;
    }
    anna.apply(pay("arena_token", 5)).await;
    anna.apply(pay("gold", 5)).await;
    let of = |client: &Client, id: &str| client.stack(id).1.instance;
    let helm = of(anna, "iron_helm");
    anna.apply(Action::Equip(action::Equip { instance: helm, slot: None })).await;
    let (ore, sword) = (of(anna, "ore"), of(anna, "iron_sword"));
    let (writ, key) = (of(anna, "guild_writ"), of(anna, "rusty_key"));
    let nowhere = InstanceId::new(uuid::Uuid::from_u128(7));
    let kept = anna.step(offer(*trade, &[(ore, 3)], &[("gold", 1)])).await;
    for (items, currencies, code) in [
        (vec![(ore, 1), (ore, 1)], vec![], Code::InvalidQuantity),
        (vec![(ore, 20), (ore, 20)], vec![], Code::InvalidQuantity),
        (vec![(ore, 31)], vec![], Code::InsufficientQuantity),
        (vec![(ore, 0)], vec![], Code::InvalidQuantity),
        (vec![(nowhere, 1)], vec![], Code::NotFound),
        (vec![(helm, 1)], vec![], Code::NotFound),
        (vec![(writ, 1)], vec![], Code::NotTradeable),
        (vec![(key, 1)], vec![], Code::NotTradeable),
        (vec![], vec![("arena_token", 1)], Code::NotTradeable),
        (vec![], vec![("gold", 6)], Code::InsufficientFunds),
        (vec![], vec![("gold", 3), ("gold", 3)], Code::InvalidQuantity),
        (vec![], vec![("gold", 0)], Code::InvalidQuantity),
        (vec![], vec![("ore", 1)], Code::InvalidItem),
        (vec![(ore, 1), (sword, 1)], vec![("gold", 1), ("gems", 1)], Code::LimitExceeded),
    ] {
        let refused = anna.refuse(offer(*trade, &items, &currencies)).await;
        assert_eq!(refused.code, code, "{items:?} {currencies:?}: {}", refused.message);
    }
    let told = anna.step(accept(*trade, kept.offer_revision)).await;
    assert_eq!(told.yours.items, kept.yours.items, "what was put up before stands");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn of_what_is_put_up() {
    let server = Site::new().start().await;
    let mut traders = Traders::meet(server.game).await;
    let Traders { anna, trade, .. } = &mut traders;
    anna.apply(grant("health_potion", 2)).await;
    let (slot, sword) = anna.stack("iron_sword");
    let (potions, potion) = anna.stack("health_potion");
    let (_, ore) = anna.stack("ore");
    let offered = [(sword.instance, 1), (potion.instance, 2), (ore.instance, 20)];
    anna.step(offer(*trade, &offered, &[])).await;
    let revision = anna.revision();
    let whole = |from, to| Action::Move(action::Move { from, to, quantity: None });
    let part = |from, to, n| Action::Move(action::Move { from, to, quantity: Some(Quantity::new(n)) });
    let sell = |instance, n| Action::Sell(action::Sell { instance, quantity: Quantity::new(n) });
    let slot_of = |id: &str| Some(SlotId::new(id).unwrap());
    for action in [
        Action::Use(action::Use { target: Target::Instance(potion.instance) }),
        Action::Use(action::Use { target: Target::Item(item("health_potion")) }),
        whole(slot, 50),
        whole(potions, slot),
        part(potions, 50, 1),
        Action::Equip(action::Equip { instance: sword.instance, slot: slot_of("main_hand") }),
        drop_item("iron_sword", 1),
        drop_item("ore", 11),
        sell(sword.instance, 1),
        sell(ore.instance, 11),
        gift("bert", sword.instance, 1),
        gift("bert", ore.instance, 11),
    ] {
        let refused = anna.refuse(action.clone()).await;
        assert_eq!(refused.code, Code::ItemLocked, "{action:?}");
    }
    assert_eq!(anna.revision(), revision, "a refusal changes nothing");
    anna.apply(drop_item("ore", 10)).await;
    let before = anna.mirror().get(&bag(slot)).cloned();
    anna.apply(grant("bread", 1)).await;
    anna.apply(Action::Sort(action::Sort {})).await;
    assert_eq!(anna.mirror().get(&bag(slot)).cloned(), before, "sorting goes around what is put up");
    anna.step(cancel(*trade)).await;
    anna.apply(sell(sword.instance, 1)).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn of_what_the_other_cannot_take() {
    let rich = 9_007_199_254_740_991;
    let server = Site::new().knob("inventory.max_slots", 2).knob("inventory.max_weight", 250).start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    anna.apply(grant("bread", 1)).await;
    anna.apply(pay("gold", 1)).await;
    bert.apply(pay("gold", rich)).await;
    bert.apply(grant("torch", 1)).await;
    let bread = anna.stack("bread").1.instance;
    let trade = open(&mut anna, &mut bert).await;
    // One gold too many for the wallet; Bert's own gold would make room for it.
    anna.step(offer(trade, &[], &[("gold", 1)])).await;
    bert.step(accept(trade, 1)).await;
    let refused = anna.refuse(accept(trade, 1)).await;
    assert_eq!(refused.code, Code::InsufficientFunds);
    assert!(refused.message.starts_with("bert: "), "it says whose wallet: {}", refused.message);
    bert.apply(grant("herbs", 1)).await;
    // Two slots, both taken: there is room for bread only if something goes.
    anna.step(offer(trade, &[(bread, 1)], &[])).await;
    bert.step(accept(trade, 2)).await;
    assert_eq!(anna.refuse(accept(trade, 2)).await.code, Code::InventoryFull);
    let torch = bert.stack("torch").1.instance;
    bert.step(offer(trade, &[(torch, 1)], &[])).await;
    anna.step(accept(trade, 3)).await;
    bert.apply(accept(trade, 3)).await;
    anna.until_revision(4).await;
    assert_eq!((anna.count("torch"), bert.count("bread"), anna.count("gold"), bert.count("gold")), (1, 1, 1, rich));
    assert_eq!(server.stop().await, Some(0));
}
