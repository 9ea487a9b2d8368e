//! Orders: carried out once, wherever the player is, on both stores.

use super::{key, under};
use holdall_harness::{
    child::{Server, Site},
    client::{Client, Heard, grant, pay},
    command::holdall,
    http::Asker,
    redis::Redis,
};
use holdall_protocol::close::Close;
use serde_json::{Value, json};

/// An operator who knows a player, and where that player plays.
struct Case {
    olga: Asker,
    game: Server,
    /// Where the operator asks, where that is another process.
    desk: Option<Server>,
    sites: Vec<Site>,
    _redis: Option<Redis>,
}

impl Case {
    /// The player's process is the operator's.
    async fn here(redis: Option<Redis>) -> Self {
        let site = site(redis.as_ref());
        let game = site.start().await;
        let olga = game.asker(Some(&key(&site, "operate", "olga").await));
        Self { olga, game, desk: None, sites: vec![site], _redis: redis }
    }

    /// The player is on another process.
    async fn elsewhere() -> Self {
        let redis = Redis::run().await;
        let (one, other) = (site(Some(&redis)), site(Some(&redis)));
        let (game, desk) = (one.start().await, other.start().await);
        let olga = desk.asker(Some(&key(&other, "operate", "olga").await));
        Self { olga, game, desk: Some(desk), sites: vec![one, other], _redis: Some(redis) }
    }

    /// All that was done can be proven.
    async fn end(self) {
        let verify = match &self._redis {
            Some(redis) => vec!["verify".to_owned(), "--store".to_owned(), redis.url()],
            None => ["verify", "--data-dir", "data"].map(str::to_owned).to_vec(),
        };
        let verify: Vec<&str> = verify.iter().map(String::as_str).collect();
        holdall(self.sites[0].dir(), &verify).await.expect(0, &[]);
        assert_eq!(self.game.stop().await, Some(0));
        if let Some(desk) = self.desk {
            assert_eq!(desk.stop().await, Some(0));
        }
    }
}

fn site(redis: Option<&Redis>) -> Site {
    let site = Site::new().knob("limits.linger_ms", 100);
    match redis {
        Some(redis) => site.on(&redis.url()).knob("store.lease_ms", 3_000),
        None => site,
    }
}

/// All orders on a player who is connected and hears of each.
async fn a_player_in_the_game(case: Case) {
    let olga = &case.olga;
    let mut anna = Client::enter(case.game.game, "anna").await;
    let first = olga.done("/v1/players/anna/grant", &under("1", json!({"item": "ore", "quantity": 150}))).await;
    anna.until_revision(first["revision"].as_u64().expect("a revision")).await;
    assert_eq!(anna.count("ore"), 150);
    let again = olga.done("/v1/players/anna/grant", &under("1", json!({"item": "ore", "quantity": 150}))).await;
    assert_eq!(again, first, "the first answer");
    let other = under("1", json!({"item": "ore", "quantity": 151}));
    olga.refused("/v1/players/anna/grant", &other, (409, "key_taken")).await;
    olga.refused("/v1/players/bob/grant", &other, (409, "key_taken")).await;

    let (slot, stack) = anna.stack("ore");
    let set = json!({"instance": stack.instance, "set": {"quality": {"float": 1.0}}, "remove": ["worn"]});
    let set = olga.done("/v1/players/anna/attributes", &under("2", set)).await;
    assert_eq!(set["places"][0]["place"], format!("b:{slot}"));
    assert_eq!(set["places"][0]["after"]["attributes"], json!({"quality": {"float": 1.0}}));
    let all = json!({"item": "ore", "set": {"mark": {"integer": 1}}});
    assert_eq!(
        olga.done("/v1/players/anna/attributes", &under("3", all)).await["places"].as_array().map(Vec::len),
        Some(2),
        "every stack of it"
    );
    olga.done("/v1/players/anna/revoke", &under("4", json!({"item": "ore", "quantity": 60}))).await;
    olga.done("/v1/players/anna/revoke", &under("5", json!({"instance": stack.instance, "quantity": 1}))).await;
    let money = olga.done("/v1/players/anna/wallet", &under("6", json!({"currency": "gold", "credit": 70}))).await;
    assert_eq!(money["places"][0]["after"], json!({"amount": 70}));
    let money = olga.done("/v1/players/anna/wallet", &under("7", json!({"currency": "gold", "debit": 30}))).await;
    anna.until_revision(money["revision"].as_u64().expect("a revision")).await;
    assert_eq!((anna.count("ore"), anna.count("gold")), (89, 40));
    anna.compare().await;
    let seen = olga.get("/v1/players/anna").await;
    let source = if case.desk.is_some() { "elsewhere" } else { "memory" };
    assert_eq!((&seen["source"], &seen["connected"]), (&json!(source), &json!(true)));
    assert_eq!((&seen["revision"], &seen["durable"]), (&money["revision"], &money["revision"]));
    assert_eq!(olga.get("/v1/players/anna/items/ore").await["count"], 89);
    let stats = olga.get("/v1/players/anna/stats").await;
    assert_eq!((&stats["item_count"], &stats["used_slots"]), (&json!(89), &json!(1)));

    assert_eq!(olga.get("/v1/players").await, json!({"players": ["anna"], "next": null}));
    assert_eq!(olga.get("/v1/players?mark=zzz").await["players"], json!([]), "nobody comes behind");
    let history = olga.get("/v1/players/anna/history?limit=1").await;
    let entry = &history["entries"][0];
    assert_eq!((&entry["actor"], &entry["reason"]), (&json!("operator:olga"), &json!("debit")));
    assert_eq!(entry["order"], json!({"key": "7", "why": "ticket 4711"}));
    case.end().await;
}

#[tokio::test]
async fn a_player_in_the_game_hears_of_every_order() {
    a_player_in_the_game(Case::here(None).await).await;
}

#[tokio::test]
async fn so_does_one_on_a_redis_and_one_on_another_process() {
    a_player_in_the_game(Case::here(Some(Redis::run().await)).await).await;
    a_player_in_the_game(Case::elsewhere().await).await;
}

#[tokio::test]
async fn what_another_process_has_yet_to_save_is_seen_all_the_same() {
    let redis = Redis::run().await;
    let site = || site(Some(&redis)).knob("store.ack", "applied").knob("store.autosave_interval_ms", 600_000);
    let (one, other) = (site(), site());
    let (game, desk) = (one.start().await, other.start().await);
    let rita = desk.asker(Some(&key(&other, "read", "rita").await));
    let mut anna = Client::enter(game.game, "anna").await;
    for units in 1..=3 {
        let revision = anna.apply(grant("ore", 1)).await;
        let seen = rita.get("/v1/players/anna/items/ore").await;
        assert_eq!(
            (&seen["source"], &seen["count"], &seen["connected"]),
            (&json!("elsewhere"), &json!(units), &json!(true))
        );
        assert_eq!(seen["revision"], seen["durable"], "{revision:?}");
    }
    assert_eq!((game.stop().await, desk.stop().await), (Some(0), Some(0)));
}

/// Orders on players who are not in the game.
async fn players_at_rest(case: Case) {
    let olga = &case.olga;
    for name in ["anna", "bob"] {
        let mut player = Client::enter(case.game.game, name).await;
        player.apply(grant("ore", 10)).await;
        drop(player);
    }
    let overflow = json!({"item": "iron_sword", "quantity": 150, "partial": true});
    let granted = olga.done("/v1/players/anna/grant", &under("1", overflow)).await;
    assert_eq!(granted["overflow"], 51);
    let ore = olga.get("/v1/players/anna/items/ore").await["places"][0]["instance"].clone();
    olga.done("/v1/players/anna/revoke", &under("2", json!({"item": "iron_sword", "quantity": 99}))).await;

    let gift = |to: &str, quantity: u64| json!({"to": to, "items": [{"instance": ore, "quantity": quantity}]});
    let path = "/v1/players/anna/gift";
    olga.refused(path, &under("3", gift("anna", 4)), (400, "same_player")).await;
    olga.refused(path, &under("3", gift("nobody", 4)), (404, "not_found")).await;
    olga.refused(path, &under("3", gift("bob", 11)), (409, "insufficient_quantity")).await;
    let given = olga.done(path, &under("3", gift("bob", 4))).await;
    assert_eq!(given["places"][0]["after"]["quantity"], 6);
    assert_eq!(olga.done(path, &under("3", gift("bob", 4))).await, given);
    let mut bob = Client::enter(case.game.game, "bob").await;
    while bob.count("ore") < 14 {
        bob.until_revision(bob.revision() + 1).await;
    }
    bob.compare().await;
    drop(bob);

    let back = json!({"to": {"revision": 2}, "dry_run": true});
    let shown = olga.done("/v1/players/anna/restore", &back).await;
    assert_eq!((&shown["revision"], &shown["others"][0]["reason"]), (&Value::Null, &json!("gift")));
    case.end().await;
}

#[tokio::test]
async fn a_player_who_is_not_in_the_game_is_changed_all_the_same() {
    players_at_rest(Case::here(None).await).await;
    players_at_rest(Case::elsewhere().await).await;
}

/// Tries to come in, and says why not.
async fn turned_away(server: &Server, player: &str) -> String {
    let mut client = Client::open(server.game, holdall_protocol::frame::Subprotocol::Json).await;
    client.hello(&format!("dev:{player}"), None).await;
    client.expect_close(Close::Kicked).await
}

async fn kicked(case: Case) {
    let olga = &case.olga;
    let mut anna = Client::enter(case.game.game, "anna").await;
    anna.apply(pay("gold", 5)).await;
    let kicked = olga.done("/v1/players/anna/kick", &under("1", json!({}))).await;
    assert_eq!(kicked["closed"], true);
    assert!(matches!(anna.end().await, Heard::Close(Close::Kicked, _)));
    let mut anna = Client::enter(case.game.game, "anna").await;

    let until = json!({"until": "2100-01-01T00:00:00Z"});
    let barred = olga.done("/v1/players/anna/kick", &under("2", until)).await;
    assert_eq!(barred["barred_until"], 4_102_444_800_000_u64);
    assert!(matches!(anna.end().await, Heard::Close(Close::Kicked, _)));
    for server in [Some(&case.game), case.desk.as_ref()].into_iter().flatten() {
        assert!(turned_away(server, "anna").await.contains("2100-01-01"), "every process knows");
    }
    assert_eq!(olga.get("/v1/players/anna/stored").await["barred_until"], 4_102_444_800_000_u64);
    olga.done("/v1/players/anna/grant", &under("3", json!({"item": "ore", "quantity": 1}))).await;
    turned_away(&case.game, "anna").await;

    let over = json!({"until": "2001-01-01T00:00:00Z"});
    let lifted = olga.done("/v1/players/anna/kick", &under("4", over)).await;
    assert_eq!((&lifted["barred_until"], &lifted["closed"]), (&Value::Null, &json!(false)));
    let mut anna = Client::enter(case.game.game, "anna").await;
    assert_eq!((anna.count("gold"), anna.count("ore")), (5, 1));
    anna.compare().await;
    case.end().await;
}

#[tokio::test]
async fn who_is_kicked_out_stays_out_as_long_as_was_said() {
    kicked(Case::here(None).await).await;
    kicked(Case::elsewhere().await).await;
}

#[tokio::test]
async fn after_a_crash_the_first_answer_stands() {
    let site = site(None);
    let server = site.start().await;
    let olga = key(&site, "operate", "olga").await;
    drop(Client::enter(server.game, "anna").await);
    let body = under("1", json!({"item": "ore", "quantity": 7}));
    let first = server.asker(Some(&olga)).done("/v1/players/anna/grant", &body).await;
    server.kill().await;
    let server = site.start().await;
    let olga = server.asker(Some(&olga));
    assert_eq!(olga.done("/v1/players/anna/grant", &body).await, first);
    assert_eq!(olga.get("/v1/players/anna/items/ore").await["count"], 7);
    let other = under("1", json!({"item": "ore", "quantity": 8}));
    olga.refused("/v1/players/anna/grant", &other, (409, "key_taken")).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_words() {
    let case = Case::here(None).await;
    let olga = &case.olga;
    let mut anna = Client::enter(case.game.game, "anna").await;
    anna.apply(grant("ore", 10)).await;
    let path = |verb: &str| format!("/v1/players/anna/{verb}");
    let grant = |quantity: Value| json!({"item": "ore", "quantity": quantity});
    for quantity in [json!(0), json!(-1), json!(1.5), json!(1e308), json!(9_007_199_254_740_992_u64)] {
        olga.refused(&path("grant"), &under("1", grant(quantity)), (400, "invalid_quantity")).await;
    }
    let mine = under("1", grant(json!(1)));
    for (verb, body, refused) in [
        ("grant", under("1", grant(json!("5"))), (400, "bad_request")),
        ("grant", under("1", json!({"item": "ore"})), (400, "bad_request")),
        ("grant", under("1", json!({"item": "ore", "quantity": 1, "partail": true})), (400, "bad_request")),
        ("grant", under("1", json!({"item": "unheard_of", "quantity": 1})), (400, "invalid_item")),
        ("grant", under("1", json!({"item": "iron_sword", "quantity": 1_000})), (409, "inventory_full")),
        ("grant", under("no key", grant(json!(1))), (400, "bad_request")),
        ("grant", json!({"item": "ore", "quantity": 1, "reason": "x"}), (400, "bad_request")),
        ("grant", json!({"item": "ore", "quantity": 1, "key": "1"}), (400, "bad_request")),
        ("grant", json!({"item": "ore", "quantity": 1, "key": "1", "reason": " "}), (400, "impossible")),
        ("revoke", under("1", json!({"quantity": 1})), (400, "bad_request")),
        ("revoke", under("1", json!({"item": "ore", "quantity": 11})), (409, "insufficient_quantity")),
        ("wallet", under("1", json!({"currency": "gold", "debit": 1})), (409, "insufficient_funds")),
        ("wallet", under("1", json!({"currency": "ore", "credit": 1})), (400, "invalid_item")),
        ("wallet", under("1", json!({"currency": "gold", "credit": 1, "debit": 1})), (400, "bad_request")),
        ("attributes", under("1", json!({"item": "ore", "set": {"a": 1}})), (400, "bad_request")),
        ("attributes", under("1", json!({"item": "ore", "set": {"A": {"bool": true}}})), (400, "bad_request")),
        ("attributes", under("1", json!({"item": "iron_sword", "set": {}})), (404, "not_found")),
        ("kick", under("1", json!({"until": "tomorrow"})), (400, "bad_request")),
        ("restore", under("1", json!({"to": {"revision": 99}})), (400, "impossible")),
    ] {
        olga.refused(&path(verb), &body, refused).await;
    }
    olga.refused("/v1/players/nobody/grant", &mine, (404, "not_found")).await;
    olga.refused("/v1/players/no%20body/grant", &mine, (400, "bad_request")).await;
    let text = mine.to_string();
    let two_keys = olga.ask("POST", &path("grant"), &[("Idempotency-Key", "2")], &text).await;
    assert!(two_keys.0 == 400 && two_keys.1.contains("different keys"), "{two_keys:?}");
    let long = json!({"item": "ore", "quantity": 1, "key": "1", "reason": "x".repeat(70_000)});
    olga.refused(&path("grant"), &long, (413, "body_too_large")).await;
    anna.compare().await;
    assert_eq!((anna.count("ore"), anna.revision()), (10, 2), "nothing was changed by any of it");

    let without = json!({"item": "ore", "quantity": 1, "reason": "ticket 4711"}).to_string();
    let (status, done) = olga.ask("POST", &path("grant"), &[("Idempotency-Key", "1")], &without).await;
    assert_eq!(status, 200, "{done}");
    let done: Value = serde_json::from_str(&done).expect("JSON");
    assert_eq!(olga.done(&path("grant"), &mine).await, done, "the header's key is the body's");
    case.end().await;
}
