//! Old bytes stay readable: the wire's messages and checksums, the names of codes, the records that lie in stores.
//!
//! The files were made by another library than ours. A row that is missing fails with the bytes that it needs.

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
        "trade invited",
        "trade open",
        "trade settled",
        "trade declined",
        "trade cancelled",
        "trade expired",
        "trade disconnected",
        "trade lost",
        "trade stopped",
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

mod records {
    use super::*;

    #[derive(Deserialize)]
    struct ValueRow {
        name: String,
        filled: Filled,
        hex: String,
    }

    #[derive(Deserialize)]
    struct EntryRow {
        name: String,
        player: PlayerId,
        revision: u64,
        at: u64,
        actor: String,
        reason: String,
        asked: Option<AskedRow>,
        partner: Option<PartnerRow>,
        waits: Option<WaitsRow>,
        ordered: Option<(String, String)>,
        changes: Vec<ChangeRow>,
        lines: Vec<LineRow>,
        hex: String,
    }

    #[derive(Deserialize)]
    struct AskedRow {
        seq: u64,
        hash: u64,
    }

    #[derive(Deserialize)]
    struct PartnerRow {
        player: PlayerId,
        revision: u64,
        #[serde(default)]
        trade: Option<TradeId>,
    }

    #[derive(Deserialize)]
    struct WaitsRow {
        gift: Uuid,
        #[serde(default)]
        again: Option<Uuid>,
        inbox: PlayerId,
        passed_on: Vec<PassedOnRow>,
    }

    #[derive(Deserialize)]
    struct PassedOnRow {
        to: PlayerId,
        item: ItemId,
        quantity: u64,
        instances: Vec<InstanceId>,
    }

    impl WaitsRow {
        fn waits(&self) -> Waits {
            let line = |row: &PassedOnRow| Line {
                from: Account::Inbox(self.inbox.clone()),
                to: Account::Inbox(row.to.clone()),
                item: row.item.clone(),
                quantity: row.quantity,
                instances: row.instances.clone(),
            };
            let passed_on = self.passed_on.iter().map(line).collect();
            Waits { gift: self.gift, again: self.again, inbox: self.inbox.clone(), passed_on }
        }
    }

    #[derive(Deserialize)]
    struct GiftRow {
        name: String,
        from: PlayerId,
        sent_at: u64,
        returned: bool,
        content: u32,
        stacks: Vec<Filled>,
        hex: String,
    }

    #[derive(Deserialize)]
    struct ChangeRow {
        place: holdall_protocol::ids::Place,
        before: Option<Filled>,
        after: Option<Filled>,
    }

    #[derive(Deserialize)]
    struct LineRow {
        from: String,
        to: String,
        item: ItemId,
        quantity: u64,
        instances: Vec<InstanceId>,
    }

    fn content(filled: &Filled) -> Content {
        match (&filled.stack, filled.amount) {
            (Some(stack), None) => Content::Stack(change::Stack {
                instance: stack.instance,
                item: stack.item.clone(),
                quantity: NonZeroU32::new(stack.quantity).expect("a stack is not empty"),
                acquired_at: stack.acquired_at,
                attributes: stack.attributes.clone(),
                beyond: change::Beyond::default(),
            }),
            (None, Some(amount)) => Content::Amount(amount),
            (Some(_), Some(_)) | (None, None) => panic!("a place holds a stack or an amount"),
        }
    }

    /// The rows of one list of the file of a format.
    fn values<T: DeserializeOwned>(format: u32, list: &str) -> Vec<T> {
        let mut file: serde_json::Map<String, Value> = golden(&format!("records/v{format}.json"));
        let rows = file.remove(list).unwrap_or_else(|| panic!("v{format}.json has no {list}"));
        serde_json::from_value(rows).expect("rows")
    }

    #[test]
    fn values_of_every_format_are_read_and_those_of_the_newest_written_as_ever() {
        for format in 1..=OURS.number {
            for ValueRow { name, filled, hex: stored } in values(format, "values") {
                let (place, read) = OURS
                    .read(Stamp::stored(format, format), &filled.place.to_string(), &bytes(&stored))
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!((place, &read), (filled.place.clone(), &content(&filled)), "{name}");
                if format == OURS.number {
                    assert_eq!(hex(&OURS.to_bytes(&read)), stored, "{name}");
                }
            }
        }
    }

    #[test]
    fn what_a_newer_format_has_behind_a_stack_is_kept_and_written_back() {
        for ValueRow { name, filled, hex: stored } in values(OURS.number, "newer") {
            let place = filled.place.to_string();
            let newer = Stamp { format: OURS.number + 1, readable_by: OURS.number };
            let read = OURS.read(newer, &place, &bytes(&stored)).unwrap_or_else(|error| panic!("{name}: {error}")).1;
            assert_eq!(hex(&OURS.to_bytes(&read)), stored, "{name}");
            match read {
                Content::Stack(stack) => {
                    assert!(!stack.beyond.bytes().is_empty(), "{name}");
                    let known = Content::Stack(change::Stack { beyond: change::Beyond::default(), ..stack });
                    assert_eq!(known, content(&filled), "{name}");
                    let own = OURS.read(Stamp::stored(OURS.number, OURS.number), &place, &bytes(&stored));
                    assert!(own.is_err(), "{name}: in a record of this format it would be a fault");
                }
                Content::Amount(_) => assert_eq!(read, content(&filled), "{name}"),
            }
        }
    }

    #[test]
    fn ledger_entries_are_read_and_written_as_ever() {
        for row in values::<EntryRow>(1, "entries") {
            let name = &row.name;
            let asked = row.asked.as_ref().map(|asked| entry::Asked { seq: Seq::new(asked.seq), hash: asked.hash });
            let changes: Vec<change::Change> = row
                .changes
                .iter()
                .map(|ChangeRow { place, before, after }| change::Change {
                    place: place.clone(),
                    before: before.as_ref().map(content),
                    after: after.as_ref().map(content),
                })
                .collect();
            let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == row.reason);
            let actor = match row.actor.strip_prefix("player:") {
                Some(player) => Actor::Player(PlayerId::new(player).expect("a player id")),
                None => row.actor.strip_prefix("operator:").map_or(Actor::Server, |name| Actor::Operator(name.into())),
            };
            let ordered = row.ordered.as_ref().map(|(key, why)| entry::Ordered {
                key: OrderKey::new(key).expect("an order key"),
                why: why.as_str().into(),
            });
            let partner = row.partner.as_ref().map(|PartnerRow { player, revision, trade }| Partner {
                player: player.clone(),
                revision: Revision::new(*revision),
                trade: *trade,
            });
            let page = Entry {
                player: &row.player,
                revision: Revision::new(row.revision),
                at: row.at,
                actor,
                reason: reason.unwrap_or_else(|| panic!("{name}: no reason {}", row.reason)),
                asked,
                partner,
                waits: row.waits.as_ref().map(WaitsRow::waits),
                ordered: ordered.clone(),
                changes: &changes,
                form: OURS.form(),
            };
            let mut written = Vec::new();
            codec::write(&page, &mut written);
            assert_eq!(hex(&written), row.hex, "{name}");

            let pages = codec::read(&bytes(&row.hex)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let [read] = pages.as_slice() else { panic!("{name}: {} pages", pages.len()) };
            let expected = codec::Page {
                revision: page.revision,
                at: row.at,
                actor: row.actor.clone(),
                reason: row.reason.clone(),
                asked,
                trade: page.partner.as_ref().and_then(|partner| partner.trade),
                partner: page.partner.map(|partner| (partner.player.to_string(), partner.revision)),
                schema: 1,
                before: changes
                    .iter()
                    .map(|change| {
                        (change.place.to_string(), change.before.as_ref().map(|content| OURS.to_bytes(content)))
                    })
                    .collect(),
                lines: row
                    .lines
                    .iter()
                    .map(|line| {
                        (line.from.clone(), line.to.clone(), line.item.clone(), line.quantity, line.instances.clone())
                    })
                    .collect(),
                gift: row.waits.as_ref().map(|waits| waits.gift),
                ordered,
                again: row.waits.as_ref().and_then(|waits| waits.again),
            };
            assert_eq!(read, &expected, "{name}");
        }
    }

    #[test]
    fn waiting_gifts_are_read_and_written_as_ever() {
        for row in values::<GiftRow>(1, "gifts") {
            let stacks: Vec<_> = row
                .stacks
                .iter()
                .map(|filled| match content(filled) {
                    Content::Stack(stack) => stack,
                    Content::Amount(_) => panic!("{}: only stacks wait", row.name),
                })
                .collect();
            let slip = Slip { from: row.from, sent_at: row.sent_at, returned: row.returned, content: row.content };
            assert_eq!(hex(&waiting::write(&slip, &stacks, OURS.form())), row.hex, "{}", row.name);
            let read = waiting::read(&OURS, &bytes(&row.hex)).unwrap_or_else(|error| panic!("{}: {error}", row.name));
            assert_eq!(read, Gift { slip, stamp: OURS.form().stamp(), stacks }, "{}", row.name);
        }
    }
}
