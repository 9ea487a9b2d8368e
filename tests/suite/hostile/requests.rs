//! Well-formed frames with requests that nobody should send.

use super::{Arena, Ends, Input};
use Ends::{Closed, Refused};
use holdall_protocol::{close::Close::ProtocolError, code::Code, frame::Subprotocol};
use serde_json::{Value, json};

/// Any stack that nobody has.
const NOBODYS: &str = "01890000-0000-7000-8000-000000000000";

fn drop_ore(quantity: Value) -> Value {
    json!({"drop": {"target": {"item": "ore"}, "quantity": quantity}})
}

/// Requests that both encodings can express, and how they end.
fn rows() -> Vec<(&'static str, Value, Ends)> {
    let gift =
        |to: &str, quantity: i64| json!({"gift": {"to": to, "items": [{"instance": NOBODYS, "quantity": quantity}]}});
    vec![
        ("a negative quantity", drop_ore(json!(-1)), Refused(Code::InvalidQuantity)),
        ("a quantity of zero", drop_ore(json!(0)), Refused(Code::InvalidQuantity)),
        ("a fraction", drop_ore(json!(1.5)), Refused(Code::InvalidQuantity)),
        ("a whole float", drop_ore(json!(1.0)), Refused(Code::InvalidQuantity)),
        ("2^53 + 1", drop_ore(json!(9_007_199_254_740_993_u64)), Refused(Code::InvalidQuantity)),
        ("2^64 - 1", drop_ore(json!(u64::MAX)), Refused(Code::InvalidQuantity)),
        ("the least integer", drop_ore(json!(i64::MIN)), Refused(Code::InvalidQuantity)),
        ("2^32", drop_ore(json!(1_u64 << 32)), Refused(Code::InvalidQuantity)),
        ("more than there is", drop_ore(json!(51)), Refused(Code::InsufficientQuantity)),
        ("a text for a quantity", drop_ore(json!("5")), Closed(ProtocolError)),
        ("a list for a quantity", drop_ore(json!([5])), Closed(ProtocolError)),
        ("nothing for a quantity", drop_ore(json!(null)), Closed(ProtocolError)),
        ("yes for a quantity", drop_ore(json!(true)), Closed(ProtocolError)),
        ("no quantity", json!({"drop": {"target": {"item": "ore"}}}), Closed(ProtocolError)),
        ("no target", json!({"drop": {"quantity": 1}}), Closed(ProtocolError)),
        ("a number for a target", json!({"drop": {"target": 7, "quantity": 1}}), Closed(ProtocolError)),
        ("a number for an item", json!({"drop": {"target": {"item": 7}, "quantity": 1}}), Closed(ProtocolError)),
        (
            "two targets",
            json!({"drop": {"target": {"item": "ore", "instance": NOBODYS}, "quantity": 1}}),
            Closed(ProtocolError),
        ),
        ("an item id that climbs", json!({"count": {"item": "../../etc/passwd"}}), Closed(ProtocolError)),
        ("an item id of a megabyte's kind", json!({"count": {"item": "a".repeat(9_000)}}), Closed(ProtocolError)),
        ("an item nobody defined", json!({"use": {"target": {"item": "excalibur"}}}), Refused(Code::InvalidItem)),
        ("an id that is no UUID", json!({"sell": {"instance": "me", "quantity": 1}}), Closed(ProtocolError)),
        ("somebody else's stack", json!({"sell": {"instance": NOBODYS, "quantity": 1}}), Refused(Code::NotFound)),
        ("a slot below the bag", json!({"move": {"from": -1, "to": 0}}), Closed(ProtocolError)),
        ("a slot past every number", json!({"move": {"from": 0, "to": 70_000}}), Closed(ProtocolError)),
        ("half a slot", json!({"move": {"from": 0, "to": 0.5}}), Closed(ProtocolError)),
        ("an empty slot", json!({"move": {"from": 9, "to": 0}}), Refused(Code::NotFound)),
        ("a slot past the bag", json!({"move": {"from": 0, "to": 60_000}}), Refused(Code::NotFound)),
        ("a gift to oneself", gift("mallory", 1), Refused(Code::SamePlayer)),
        ("a gift to nobody", gift("nobody", 1), Refused(Code::NotFound)),
        ("a gift of what one has not", gift("bystander", 1), Refused(Code::NotFound)),
        ("a negative gift", gift("bystander", -1), Refused(Code::InvalidQuantity)),
        ("a gift of nothing", json!({"gift": {"to": "bystander", "items": []}}), Refused(Code::InvalidQuantity)),
        ("a gift to a path", gift("../mallory", 1), Closed(ProtocolError)),
        ("a list for an action", json!(["sort", {}]), Closed(ProtocolError)),
        ("a text for an action", json!("sort"), Closed(ProtocolError)),
        ("a list for a body", json!({"sort": []}), Closed(ProtocolError)),
        ("no action in it", json!({}), Closed(ProtocolError)),
        ("two actions", json!({"sort": {}, "stats": {}}), Closed(ProtocolError)),
        ("an action nobody has", json!({"fly": {"to": "the moon"}}), Refused(Code::UnknownAction)),
        ("a power of operators", json!({"grant": {"item": "gold", "quantity": 9}}), Refused(Code::UnknownAction)),
        ("a name like ours", json!({"Drop": {}}), Refused(Code::UnknownAction)),
        ("an action without a name", json!({"": {}}), Refused(Code::UnknownAction)),
        ("a long name", json!({"x".repeat(5_000): {}}), Refused(Code::UnknownAction)),
    ]
}

fn encode(subprotocol: Subprotocol, value: &Value) -> Vec<u8> {
    match subprotocol {
        Subprotocol::Json => serde_json::to_vec(value).unwrap(),
        Subprotocol::Msgpack => rmp_serde::to_vec_named(value).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_request_is_refused_or_closed_in_both_encodings() {
    let arena = Arena::open(|_| {}).await;
    for (name, action, ends) in rows() {
        for subprotocol in Subprotocol::ALL {
            // In MessagePack an id is 16 bytes; a text in its place is one more wrong type.
            let spelled = action.to_string().contains(NOBODYS) && subprotocol == Subprotocol::Msgpack;
            let ends = if spelled { Closed(ProtocolError) } else { ends };
            let payload = |seq: u64| encode(subprotocol, &json!({"seq": seq, "action": action}));
            arena.expect(name, subprotocol, &Input::Payload(&payload), ends).await;
        }
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_envelope_is_refused_or_closed() {
    let arena = Arena::open(|_| {}).await;
    let stats = json!({"stats": {}});
    for (name, message, ends) in [
        ("number 0", json!({"seq": 0, "action": stats}), Refused(Code::SeqGap)),
        ("the last number", json!({"seq": u64::MAX, "action": stats}), Refused(Code::SeqGap)),
        ("a far number", json!({"seq": 5_000, "action": stats}), Refused(Code::SeqGap)),
        ("a used number", json!({"seq": 1, "action": stats}), Refused(Code::SeqReused)),
        ("a negative number", json!({"seq": -1, "action": stats}), Closed(ProtocolError)),
        ("half a number", json!({"seq": 1.5, "action": stats}), Closed(ProtocolError)),
        ("a text for a number", json!({"seq": "1", "action": stats}), Closed(ProtocolError)),
        ("no number", json!({"action": stats}), Closed(ProtocolError)),
        ("no action", json!({"seq": 1}), Closed(ProtocolError)),
        ("a second hello", json!({"hello": {"token": "dev:mallory"}}), Closed(ProtocolError)),
        ("another's hello", json!({"hello": {"token": "dev:bystander"}}), Closed(ProtocolError)),
        ("hello and request", json!({"hello": {"token": "x"}, "seq": 1, "action": stats}), Closed(ProtocolError)),
        (
            "a server's word",
            json!({"applied": {"seq": 1, "revision": 1, "changes": [], "checksum": 0}}),
            Closed(ProtocolError),
        ),
        ("a list", json!([1, stats]), Closed(ProtocolError)),
        ("a number", json!(7), Closed(ProtocolError)),
        ("a text", json!("hello"), Closed(ProtocolError)),
        ("nothing", json!(null), Closed(ProtocolError)),
        ("an empty map", json!({}), Closed(ProtocolError)),
    ] {
        for subprotocol in Subprotocol::ALL {
            let payload = |_| encode(subprotocol, &message);
            arena.expect(name, subprotocol, &Input::Payload(&payload), ends).await;
        }
    }
    arena.close().await;
}
