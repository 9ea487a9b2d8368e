//! Old bytes stay readable: the wire's messages and checksums, the names of codes, the records that lie in stores.
//!
//! The files were made by another library than ours. A row that is missing fails with the bytes that it needs.

mod records;

use holdall_protocol::{
    action::{Action, Asked},
    attribute::Value as Attribute,
    checksum::{Checksum, StackLine, of_balance, of_stack},
    close::Close,
    code::Code,
    frame::Subprotocol,
    ids::{InstanceId, ItemId, OrderKey, PlayerId, Revision, Seq, TradeId},
    message::{Answered, Cause, Change, ClientMessage, Filled, ServerMessage, TradeEnd, TradeStage},
};
use holdall_server::{
    engine::change::{self, Content},
    ledger::{
        codec,
        entry::{self, Actor, Entry, Partner, Reason, Waits},
        line::{Account, Line},
        past::Opening,
    },
    schema::{
        OURS, Stamp,
        waiting::{self, Gift, Slip},
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{collections::BTreeSet, num::NonZeroU32, path::Path};
use uuid::Uuid;

fn golden<T: DeserializeOwned>(name: &str) -> T {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    let text = std::fs::read(&file).expect("a golden file");
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "half a byte in {hex}");
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex digits");
    (0..hex.len()).step_by(2).map(pair).collect()
}

#[derive(Deserialize)]
struct Rows<T> {
    rows: Vec<T>,
}

mod messages {
    use super::*;

    #[derive(Deserialize)]
    struct Row {
        name: String,
        direction: Direction,
        json: Value,
        msgpack_hex: String,
    }

    #[derive(Deserialize, PartialEq, Clone, Copy)]
    #[serde(rename_all = "snake_case")]
    enum Direction {
        Client,
        Server,
    }

    fn rows() -> Vec<Row> {
        golden::<Rows<Row>>("protocol/messages.json").rows
    }

    fn client(subprotocol: Subprotocol, frame: &[u8]) -> Result<ClientMessage, String> {
        subprotocol.decode_client(frame).map_err(|error| error.to_string())
    }

    fn server(subprotocol: Subprotocol, frame: &[u8]) -> Result<ServerMessage, String> {
        subprotocol.decode_server(frame).map_err(|error| error.to_string())
    }

    /// Both encodings give the same message, and the message gives both encodings.
    fn check<M: Serialize + PartialEq + std::fmt::Debug>(
        row: &Row,
        decode: impl Fn(Subprotocol, &[u8]) -> Result<M, String>,
    ) -> M {
        let name = &row.name;
        let json = row.json.to_string();
        let read = decode(Subprotocol::Json, json.as_bytes()).unwrap_or_else(|error| panic!("{name}: JSON: {error}"));
        let mut packed = Vec::new();
        Subprotocol::Msgpack.encode(&read, &mut packed);
        assert_eq!(hex(&packed), row.msgpack_hex, "{name}: the MessagePack of the message");
        let unpacked = decode(Subprotocol::Msgpack, &packed).unwrap_or_else(|error| panic!("{name}: bytes: {error}"));
        assert_eq!(unpacked, read, "{name}: bytes and JSON are one message");
        let mut text = Vec::new();
        Subprotocol::Json.encode(&unpacked, &mut text);
        let written: Value = serde_json::from_slice(&text).expect("we write JSON");
        assert_eq!(written, row.json, "{name}: the JSON of the message");
        read
    }

    #[test]
    fn bytes_and_json_are_the_same_message_both_ways() {
        for row in rows() {
            match row.direction {
                Direction::Client => drop(check(&row, client)),
                Direction::Server => drop(check(&row, server)),
            }
        }
    }

    /// Leaves out what is null, as clients may.
    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect()
            }
            Value::Array(list) => list.iter().map(without_nulls).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    #[test]
    fn an_absent_field_means_the_same_as_null() {
        for row in rows().iter().filter(|row| row.direction == Direction::Client) {
            let full = client(Subprotocol::Json, row.json.to_string().as_bytes()).expect("a golden message");
            if matches!(&full, ClientMessage::Request(request) if request.action == Asked::Unknown) {
                continue;
            }
            let short = without_nulls(&row.json).to_string();
            assert_eq!(client(Subprotocol::Json, short.as_bytes()), Ok(full), "{}: {short}", row.name);
        }
    }

    #[test]
    fn unknown_fields_are_ignored_at_every_level() {
        fn with_strangers(value: &Value) -> Value {
            match value {
                Value::Object(map) => {
                    // A map with one key is a choice; to add to it would be to choose twice.
                    let choice = map.len() == 1 && map.keys().all(|key| key != "slot" && key != "to" && key != "trade");
                    let mut map: serde_json::Map<_, _> =
                        map.iter().map(|(k, v)| (k.clone(), with_strangers(v))).collect();
                    if !choice {
                        map.insert("a_field_of_tomorrow".to_owned(), serde_json::json!({"deep": [1, {"er": null}]}));
                    }
                    Value::Object(map)
                }
                Value::Array(list) => list.iter().map(with_strangers).collect(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
            }
        }
        for row in rows().iter().filter(|row| row.direction == Direction::Client) {
            let plain = client(Subprotocol::Json, row.json.to_string().as_bytes());
            let more = with_strangers(&row.json).to_string();
            assert_eq!(client(Subprotocol::Json, more.as_bytes()), plain, "{}: {more}", row.name);
        }
    }

    /// A name for each kind of server message and what is in it. A new variant does not compile until it has one here,
    /// and the test fails until `KINDS` and a row have it too.
    fn kinds(message: &ServerMessage) -> Vec<&'static str> {
        let listed = |first: &'static str, changes: &[Change]| {
            let each = changes.iter().map(|change| match change {
                Change::Add(_) => "change add",
                Change::Update(_) => "change update",
                Change::Remove(_) => "change remove",
                Change::Clear(_) => "change clear",
            });
            [first].into_iter().chain(each).collect::<Vec<_>>()
        };
        match message {
            ServerMessage::Welcome(_) => vec!["welcome"],
            ServerMessage::Snapshot(_) => vec!["snapshot"],
            ServerMessage::Applied(applied) => listed("applied", &applied.changes),
            ServerMessage::Refused(_) => vec!["refused"],
            ServerMessage::Answer(answer) => vec![match answer.answer {
                Answered::Snapshot(_) => "answer snapshot",
                Answered::Count(_) => "answer count",
                Answered::Item(_) => "answer item",
                Answered::Stats(_) => "answer stats",
                Answered::Trade(_) => "answer trade",
                Answered::Shop(_) => "answer shop",
            }],
            ServerMessage::Delta(delta) => {
                let first = match delta.cause {
                    Cause::Gift { .. } => "delta gift",
                    Cause::Inbox { .. } => "delta inbox",
                    Cause::InboxReturned { .. } => "delta inbox_returned",
                    Cause::Trade { .. } => "delta trade",
                    Cause::Server(_) => "delta server",
                };
                listed(first, &delta.changes)
            }
            ServerMessage::Hold(_) => vec!["hold"],
            ServerMessage::Trade(trade) => vec![match (trade.stage, trade.why) {
                (TradeStage::Invited, _) => "trade invited",
                (TradeStage::Open, _) => "trade open",
                (TradeStage::Settled, _) => "trade settled",
                (TradeStage::Closed, Some(TradeEnd::Declined)) => "trade declined",
                (TradeStage::Closed, Some(TradeEnd::Cancelled)) => "trade cancelled",
                (TradeStage::Closed, Some(TradeEnd::Expired)) => "trade expired",
                (TradeStage::Closed, Some(TradeEnd::Disconnected)) => "trade disconnected",
                (TradeStage::Closed, Some(TradeEnd::Lost)) => "trade lost",
                (TradeStage::Closed, Some(TradeEnd::Stopped)) => "trade stopped",
                (TradeStage::Closed, None) => panic!("a closed trade says why: {trade:?}"),
            }],
            ServerMessage::Reloaded(reloaded) => {
                vec![if reloaded.frozen.is_empty() { "reloaded" } else { "reloaded and frozen" }]
            }
        }
    }

    const KINDS: &[&str] = &[
        "welcome",
        "snapshot",
        "applied",
        "refused",
        "answer snapshot",
        "answer count",
        "answer item",
        "answer stats",
        "answer trade",
        "answer shop",
        "hold",
        "trade invited",
        "trade open",
        "trade settled",
        "trade declined",
        "trade cancelled",
        "trade expired",
        "trade disconnected",
        "trade lost",
        "trade stopped",
        "reloaded",
        "reloaded and frozen",
        "delta gift",
        "delta inbox",
        "delta inbox_returned",
        "delta trade",
        "delta server",
        "change add",
        "change update",
        "change remove",
        "change clear",
    ];

    #[test]
    fn every_action_and_every_server_message_has_a_row() {
        let (mut actions, mut found, mut codes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut hellos, mut unknown) = (BTreeSet::new(), false);
        for row in rows() {
            if row.direction == Direction::Client {
                match check(&row, client) {
                    ClientMessage::Hello(hello) => drop(hellos.insert(hello.resume.is_some())),
                    ClientMessage::Request(request) => match request.action {
                        Asked::Known(action) => drop(actions.insert(action.name())),
                        Asked::Unknown => unknown = true,
                    },
                }
            } else {
                let message = check(&row, server);
                found.extend(kinds(&message));
                if let ServerMessage::Refused(refused) = &message {
                    codes.insert(refused.code);
                }
            }
        }
        let want: BTreeSet<_> = Action::NAMES.iter().copied().collect();
        assert_eq!(actions, want, "every action has a row");
        assert_eq!(hellos.len(), 2, "a hello with and one without a resume");
        assert!(unknown, "an unknown action has a row");
        assert_eq!(found, KINDS.iter().copied().collect(), "every server message and change has a row");
        assert_eq!(codes, Code::ALL.iter().copied().collect(), "every refusal code has a row");
    }

    #[test]
    fn every_type_of_attribute_has_a_row() {
        let mut found = BTreeSet::new();
        for row in rows().iter().filter(|row| row.direction == Direction::Server) {
            if let ServerMessage::Snapshot(snapshot) = check(row, server) {
                for stack in snapshot.places.iter().filter_map(|filled| filled.stack.as_ref()) {
                    found.extend(stack.attributes.iter().map(|(_, value)| match value {
                        Attribute::Bool(_) => "bool",
                        Attribute::Integer(_) => "integer",
                        Attribute::Float(_) => "float",
                        Attribute::String(_) => "string",
                    }));
                }
            }
        }
        assert_eq!(found, BTreeSet::from(["bool", "integer", "float", "string"]));
    }

    #[test]
    fn a_name_stands_for_one_row() {
        let rows = rows();
        let names: BTreeSet<_> = rows.iter().map(|row| &row.name).collect();
        assert_eq!(names.len(), rows.len());
    }
}

#[derive(Deserialize)]
struct SumRow {
    name: String,
    places: Vec<Filled>,
    lines: Vec<String>,
    checksum: u32,
}

#[test]
fn checksums_are_made_of_the_lines_that_the_reference_names() {
    let rows = golden::<Rows<SumRow>>("protocol/checksums.json").rows;
    for SumRow { name, places, lines, checksum } in &rows {
        let (mut sum, mut scratch, mut written) = (Checksum::default(), Vec::new(), Vec::new());
        for filled in places {
            let crc = match (&filled.stack, filled.amount) {
                (Some(stack), None) => of_stack(
                    &filled.place,
                    StackLine {
                        instance: stack.instance,
                        item: &stack.item,
                        quantity: stack.quantity,
                        acquired_at: stack.acquired_at,
                        attributes: &stack.attributes,
                    },
                    &mut scratch,
                ),
                (None, Some(amount)) => of_balance(&filled.place, amount, &mut scratch),
                (Some(_), Some(_)) | (None, None) => panic!("{name}: a place holds a stack or an amount"),
            };
            written.push(String::from_utf8(scratch.clone()).expect("a line is text"));
            sum = sum.with(crc);
        }
        assert_eq!(&written, lines, "{name}");
        assert_eq!(sum.get(), *checksum, "{name}");
    }
    assert!(rows.len() >= 8, "rows are never taken away");
}

#[derive(Deserialize)]
struct Codes {
    refusals: Vec<Numbered>,
    closes: Vec<Numbered>,
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Numbered {
    number: u16,
    name: String,
}

#[test]
fn names_and_numbers_of_codes_are_for_ever() {
    let old: Codes = golden("protocol/codes.json");
    let refusals = Code::ALL.iter().map(|code| Numbered { number: code.number(), name: code.as_str().to_owned() });
    assert_eq!(refusals.collect::<BTreeSet<_>>(), old.refusals.into_iter().collect(), "refusal codes");
    let closes = Close::ALL.iter().map(|close| Numbered { number: close.number(), name: close.as_str().to_owned() });
    assert_eq!(closes.collect::<BTreeSet<_>>(), old.closes.into_iter().collect(), "close codes");
}
