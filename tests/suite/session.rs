//! A session over a real socket: hello, what each action answers, and what the others hear of it.

use holdall_harness::{
    child::Site,
    client::{Client, bag, drop_item, gift, grant, item, pay, seq_of, stats},
};
use holdall_protocol::{
    action::{self, Action, Quantity, Target},
    close::Close,
    code::Code,
    frame::Subprotocol,
    ids::{InstanceId, PlayerId, SlotId},
    message::{Answered, Cause, Refused, ServerMessage},
};

const KIT: &str = r#"[{ item = "gold", quantity = 100 }, { item = "health_potion", quantity = 5 }]"#;

fn use_item(id: &str) -> Action {
    Action::Use(action::Use { target: Target::Item(item(id)) })
}

fn equip(instance: InstanceId, slot: Option<&str>) -> Action {
    let slot = slot.map(|slot| SlotId::new(slot).unwrap());
    Action::Equip(action::Equip { instance, slot })
}

fn sell(instance: InstanceId, quantity: u64) -> Action {
    Action::Sell(action::Sell { instance, quantity: Quantity::new(quantity) })
}

fn count(id: &str) -> Action {
    Action::Count(action::Count { item: item(id) })
}

fn nobody() -> InstanceId {
    InstanceId::new(uuid::Uuid::from_u128(7))
}

#[tokio::test]
async fn the_starting_kit_is_granted_exactly_once() {
    let site = Site::new().knob("new_player.kit", KIT).knob("limits.linger_ms", 0);
    let server = site.start().await;
    for _ in 0..3 {
        // With no linger every visit is a load of its own.
        let anna = Client::enter(server.game, "anna").await;
        assert_eq!((anna.revision(), anna.count("gold"), anna.count("health_potion")), (1, 100, 5));
    }
    server.kill().await;
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert_eq!((anna.revision(), anna.count("gold")), (1, 100));
    anna.apply(drop_item("health_potion", 5)).await;
    assert_eq!(server.stop().await, Some(0));
    let server = site.start().await;
    let anna = Client::enter(server.game, "anna").await;
    assert_eq!((anna.revision(), anna.count("health_potion")), (2, 0), "what was dropped is not given again");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn the_welcome_says_who_where_and_within_what_bounds() {
    let site = Site::new().knob("limits.in_flight_max", 7).knob("inventory.max_slots", 12);
    let server = site.start().await;
    let mut first = None;
    for subprotocol in Subprotocol::ALL {
        let mut anna = Client::join(server.game, subprotocol, "anna").await;
        let welcome = anna.welcome().clone();
        assert_eq!(welcome.player, PlayerId::new("anna").unwrap());
        assert_eq!((welcome.resumed, welcome.limits.in_flight_max, welcome.limits.max_slots), (false, 7, 12));
        assert_eq!((welcome.limits.frame_bytes_max, welcome.limits.idle_seconds), (16_384, 60));
        assert_eq!((welcome.durability.ack.as_str(), welcome.durability.store.as_str()), ("durable", "embedded"));
        assert_eq!((welcome.catalog.version, welcome.catalog.hash.is_empty()), (1, false));
        assert!(welcome.now > 1_700_000_000_000);
        let (session, incarnation, seq) = first.unwrap_or((welcome.session, welcome.incarnation, welcome.seq.get()));
        if first.is_some() {
            assert_ne!(welcome.session, session, "each connection is a session");
            assert_eq!(welcome.incarnation, incarnation, "one load, one incarnation");
            assert_eq!(welcome.seq.get(), seq + 1, "the last number that was spent");
        }
        first = Some((welcome.session, welcome.incarnation, welcome.seq.get()));
        anna.question(stats()).await;
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn only_a_hello_is_heard_first_and_only_once() {
    let server = Site::new().start().await;
    let mut early = Client::open(server.game, Subprotocol::Json).await;
    early.send(stats()).await;
    early.expect_close(Close::ProtocolError).await;
    let mut twice = Client::enter(server.game, "anna").await;
    twice.hello("dev:anna", None).await;
    twice.expect_close(Close::ProtocolError).await;
    for token in ["anna", "dev:", "dev:an na", ""] {
        let mut stranger = Client::open(server.game, Subprotocol::Json).await;
        stranger.hello(token, None).await;
        stranger.expect_close(Close::Unauthorized).await;
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn every_revision_is_one_delta_in_its_reply_with_the_checksum_after_it() {
    let server = Site::new().start().await;
    for (player, subprotocol) in [("anna", Subprotocol::Msgpack), ("bert", Subprotocol::Json)] {
        let mut client = Client::join(server.game, subprotocol, player).await;
        assert_eq!(client.revision(), 1, "birth is a record, also without a kit");
        // The harness checks each reply's checksum against its own mirror.
        client.apply(grant("ore", 250)).await;
        client.apply(grant("health_potion", 3)).await;
        client.apply(pay("gold", 40)).await;
        client.apply(grant("iron_sword", 2)).await;
        client.apply(grant("iron_sword", 1)).await;
        let (slot, ore) = client.stack("ore");
        let quantity = Some(Quantity::new(9));
        client.apply(Action::Move(action::Move { from: slot, to: 60, quantity })).await;
        client.apply(Action::Move(action::Move { from: 60, to: slot, quantity: None })).await;
        let (sword_slot, sword) = client.stack("iron_sword");
        client.apply(Action::Move(action::Move { from: sword_slot, to: 50, quantity: None })).await;
        assert!(client.mirror().get(&bag(50)).is_some(), "a move keeps the stack");
        client.apply(equip(sword.instance, None)).await;
        client.apply(use_item("health_potion")).await;
        client.apply(drop_item("ore", 30)).await;
        client.apply(sell(ore.instance, 5)).await;
        client.apply(Action::Sort(action::Sort {})).await;
        client.apply(Action::Unequip(action::Unequip { slot: SlotId::new("main_hand").unwrap() })).await;
        assert_eq!(client.revision(), 15, "fourteen actions that changed something, fourteen revisions");
        let sorted = client.apply(Action::Sort(action::Sort {})).await;
        let again = client.apply(Action::Sort(action::Sort {})).await;
        assert!(again.changes.is_empty() && again.revision == sorted.revision, "nothing to change is no revision");
        assert_eq!((client.count("ore"), client.count("gold"), client.count("health_potion")), (215, 45, 2));
        assert!(client.deltas.is_empty() && client.snapshots.len() == 1, "one frame an action");
        client.compare().await;
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn questions_are_answered() {
    let server = Site::new().knob("inventory.max_weight", "500.5").start().await;
    for (player, subprotocol) in [("anna", Subprotocol::Msgpack), ("bert", Subprotocol::Json)] {
        let mut client = Client::join(server.game, subprotocol, player).await;
        client.apply(grant("ore", 120)).await;
        client.apply(grant("iron_sword", 1)).await;
        let (_, sword) = client.stack("iron_sword");
        client.apply(equip(sword.instance, None)).await;
        client.apply(pay("gold", 7)).await;
        assert_eq!(client.question(count("ore")).await, Answered::Count(120));
        assert_eq!(client.question(count("iron_sword")).await, Answered::Count(1), "what is worn counts");
        assert_eq!(client.question(count("gold")).await, Answered::Count(7));
        assert_eq!(client.question(count("bread")).await, Answered::Count(0));
        let Answered::Item(answer) = client.question(Action::Item(action::Item { item: item("ore") })).await else {
            panic!("no item")
        };
        assert_eq!(answer.places.len(), 2, "99 and 21");
        assert!(answer.places.iter().all(|filled| client.mirror().holds(filled)));
        let definition = answer.definition.expect("the catalogue has it");
        assert_eq!((definition.name.as_str(), definition.max_stack, definition.weight), ("Ore", 99, 500));
        let unknown = Action::Item(action::Item { item: item("unheard_of") });
        let Answered::Item(answer) = client.question(unknown).await else { panic!("no item") };
        assert!(answer.definition.is_none() && answer.places.is_empty());
        let Answered::Stats(stats) = client.question(stats()).await else { panic!("no stats") };
        assert_eq!((stats.used_slots, stats.max_slots, stats.item_count), (2, 100, 121));
        assert_eq!((stats.weight, stats.max_weight, stats.total_value), (61_500, 500_500, 265));
        client.compare().await;
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_grant_is_all_or_nothing_unless_it_is_partial() {
    let server = Site::new().knob("inventory.max_slots", 3).start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let refused = anna.refuse(grant("iron_sword", 4)).await;
    assert_eq!((refused.code, anna.count("iron_sword")), (Code::InventoryFull, 0));
    let quantity = Quantity::new(5);
    let partial = action::DevGrant { item: Some(item("iron_sword")), currency: None, quantity, partial: Some(true) };
    let applied = anna.apply(Action::DevGrant(partial.clone())).await;
    assert_eq!((applied.overflow, anna.count("iron_sword")), (Some(2), 3));
    let nothing = anna.apply(Action::DevGrant(partial)).await;
    assert_eq!((nothing.overflow, nothing.revision), (Some(5), applied.revision), "nothing fitted, nothing changed");
    let paid = anna.apply(pay("gold", 50)).await;
    assert_eq!((paid.overflow, anna.count("gold")), (None, 50), "currency takes no slot");
    let both = action::DevGrant { item: Some(item("ore")), currency: Some(item("gold")), quantity, partial: None };
    anna.refuse(Action::DevGrant(both)).await;
    anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_refusal_says_why_and_changes_nothing() {
    let knobs = |site: Site| site.knob("inventory.max_slots", 6).knob("inventory.max_weight", 200);
    let server = knobs(Site::new()).start().await;
    let mut bert = Client::enter(server.game, "bert").await;
    for (player, subprotocol) in [("anna", Subprotocol::Msgpack), ("anton", Subprotocol::Json)] {
        let mut anna = Client::join(server.game, subprotocol, player).await;
        for (id, quantity) in [("ore", 10), ("health_potion", 1), ("rusty_key", 1), ("iron_sword", 1)] {
            anna.apply(grant(id, quantity)).await;
        }
        let (_, ore) = anna.stack("ore");
        let (_, key) = anna.stack("rusty_key");
        let (_, sword) = anna.stack("iron_sword");
        let unequip = Action::Unequip(action::Unequip { slot: SlotId::new("head").unwrap() });
        let move_from_nothing = Action::Move(action::Move { from: 5, to: 4, quantity: None });
        let many = vec![action::GiftItem { instance: ore.instance, quantity: Quantity::new(1) }; 17];
        let crowded = Action::Gift(action::Gift { to: PlayerId::new("bert").unwrap(), items: many });
        let rows = [
            (grant("unheard_of", 1), Code::InvalidItem),
            (grant("ore", 0), Code::InvalidQuantity),
            (drop_item("ore", 0), Code::InvalidQuantity),
            (drop_item("ore", u64::MAX), Code::InvalidQuantity),
            (drop_item("ore", 11), Code::InsufficientQuantity),
            (Action::Use(action::Use { target: Target::Instance(nobody()) }), Code::NotFound),
            (move_from_nothing, Code::NotFound),
            (unequip, Code::NotFound),
            (grant("iron_sword", 5), Code::InventoryFull),
            (grant("ore", 400), Code::WeightExceeded),
            (equip(ore.instance, None), Code::NotEquippable),
            (equip(sword.instance, Some("head")), Code::SlotMismatch),
            (use_item("ore"), Code::NotUsable),
            (drop_item("rusty_key", 1), Code::NotDroppable),
            (sell(key.instance, 1), Code::NotSellable),
            (gift("bert", key.instance, 1), Code::NotTradeable),
            (gift(player, ore.instance, 1), Code::SamePlayer),
            (gift("nobody-at-all", ore.instance, 1), Code::NotFound),
            (gift("bert", nobody(), 1), Code::NotFound),
            (gift("bert", ore.instance, 11), Code::InsufficientQuantity),
            (crowded, Code::LimitExceeded),
        ];
        let before = anna.mirror().clone();
        for (action, code) in rows {
            let refused = anna.refuse(action.clone()).await;
            assert_eq!(refused.code, code, "{action:?}: {}", refused.message);
            assert_eq!(refused.revision, before.revision(), "{action:?}");
            assert!(!refused.message.is_empty() && refused.duplicate.is_none());
        }
        let seq = anna.send_unknown().await;
        let unknown = anna.reply(seq).await;
        assert!(matches!(unknown, ServerMessage::Refused(Refused { code: Code::UnknownAction, .. })), "{unknown:?}");
        anna.compare().await;
        before.same(anna.mirror()).expect("nothing changed");
    }
    bert.compare().await;
    assert_eq!((bert.revision(), bert.deltas.len()), (1, 0), "the receiver heard nothing of refused gifts");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_the_catalogue_no_longer_knows_stays_frozen() {
    let mut site = Site::new().allow("no longer fit the catalogue");
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 10)).await;
    assert_eq!(server.stop().await, Some(0));
    let file = site.dir().join("items.toml");
    std::fs::write(&file, "[[item]]\nid = \"gold\"\nname = \"Gold\"\nkind = \"currency\"\n").unwrap();
    site.turn("catalog.items_file", file.display());
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let (slot, ore) = anna.stack("ore");
    assert!(anna.mirror().is_frozen(&bag(slot)) && ore.quantity == 10, "kept, and told to be frozen");
    assert_eq!(anna.refuse(drop_item("ore", 1)).await.code, Code::ItemFrozen);
    anna.apply(Action::Move(action::Move { from: slot, to: slot + 1, quantity: None })).await;
    anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_gift_reaches_a_connected_player_as_one_delta_with_its_cause() {
    let server = Site::new().knob("inventory.max_slots", 2).start().await;
    let mut anna = Client::join(server.game, Subprotocol::Msgpack, "anna").await;
    let mut bert = Client::join(server.game, Subprotocol::Json, "bert").await;
    anna.apply(grant("ore", 60)).await;
    let (_, ore) = anna.stack("ore");
    anna.apply(gift("bert", ore.instance, 20)).await;
    bert.until_revision(2).await;
    let from = PlayerId::new("anna").unwrap();
    assert_eq!(bert.deltas.len(), 1);
    assert_eq!(bert.deltas[0].cause, Cause::Gift { from });
    assert_eq!((anna.count("ore"), bert.count("ore")), (40, 20));
    assert_ne!(bert.stack("ore").1.instance, ore.instance, "a part is a new stack");
    anna.apply(gift("bert", ore.instance, 40)).await;
    bert.until_revision(3).await;
    assert_eq!((anna.count("ore"), bert.count("ore")), (0, 60));
    // Back again, whole: the stack keeps its identity.
    anna.apply(grant("iron_sword", 2)).await;
    let (_, sword) = anna.stack("iron_sword");
    anna.apply(gift("bert", sword.instance, 1)).await;
    bert.until_revision(4).await;
    assert_eq!(bert.stack("iron_sword").1, sword, "a whole stack keeps its id and age");
    let (_, other) = anna.stack("iron_sword");
    assert_eq!(anna.refuse(gift("bert", other.instance, 1)).await.code, Code::InventoryFull);
    anna.compare().await;
    bert.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn replies_come_in_the_order_of_the_requests_however_fast_they_are_asked() {
    let server = Site::new().start().await;
    for (player, subprotocol) in [("anna", Subprotocol::Msgpack), ("bert", Subprotocol::Json)] {
        let mut client = Client::join(server.game, subprotocol, player).await;
        let mix = |n: u64| match n % 4 {
            0 => grant("ore", 3),
            1 => stats(),
            2 => drop_item("ore", 2),
            _ => use_item("ore"),
        };
        let last = client.send_all((0..400).map(mix)).await;
        for seq in last - 399..=last {
            assert_eq!(seq_of(&client.any_reply().await), Some(seq));
        }
        assert_eq!((client.count("ore"), client.revision()), (100, 201));
        client.compare().await;
    }
    assert_eq!(server.stop().await, Some(0));
}
