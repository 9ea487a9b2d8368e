//! What lies in stores.

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
    hold: Option<holdall_protocol::ids::ReservationId>,
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
            instances: row.instances.iter().copied().collect(),
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
struct OpeningRow {
    name: String,
    revision: u64,
    at: u64,
    things: Vec<Filled>,
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
            nature: change::Nature::with(stack.item.clone(), stack.attributes.clone()),
            quantity: NonZeroU32::new(stack.quantity).expect("a stack is not empty"),
            acquired_at: stack.acquired_at,
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
            Content::Stack(mut stack) => {
                assert!(!stack.beyond.bytes().is_empty(), "{name}");
                stack.beyond = change::Beyond::default();
                assert_eq!(Content::Stack(stack), content(&filled), "{name}");
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
            hold: row.hold,
            changes: &changes,
            form: OURS.form(),
        };
        let mut written = Vec::new();
        codec::write(&page, &mut written, &mut Vec::new());
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
                .map(|change| (change.place.to_string(), change.before.as_ref().map(|content| OURS.to_bytes(content))))
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
            hold: row.hold,
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

#[test]
fn opening_balances_are_read_and_written_as_ever() {
    for row in values::<OpeningRow>(1, "openings") {
        let things = row.things.iter().map(|filled| (filled.place.clone(), content(filled))).collect();
        let opening = Opening { revision: Revision::new(row.revision), at: row.at, things };
        assert_eq!(hex(&opening.write(OURS.form())), row.hex, "{}", row.name);
        let stored = bytes(&row.hex);
        assert!(Opening::is(&stored), "{}", row.name);
        let read = Opening::read(&OURS, &stored).unwrap_or_else(|error| panic!("{}: {error}", row.name));
        assert_eq!(read, opening, "{}", row.name);
        assert!(codec::read(&stored).is_err(), "{}: it is no entries", row.name);
        for (cut, longer) in [(&stored[..stored.len() - 1], false), (&[&stored[..], &[0]].concat(), true)] {
            assert!(Opening::read(&OURS, cut).is_err(), "{}: longer {longer}", row.name);
        }
    }
    for EntryRow { name, hex, .. } in values::<EntryRow>(1, "entries") {
        assert!(!Opening::is(&bytes(&hex)), "{name}: it is an entry");
    }
}
