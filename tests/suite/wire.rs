//! The wire under arbitrary input: reading never panics, and what is written is read back the same.

use holdall_protocol::{
    action::{self, Action, Quantity, Target},
    attribute::{Attributes, Float, Integer, Value},
    code::Code,
    frame::Subprotocol,
    ids::{AttributeKey, Incarnation, InstanceId, ItemId, Place, PlayerId, Revision, Seq, SlotId, TradeId},
    message::{
        Answer, Answered, Applied, Cause, Change, ClientMessage, Delta, Duplicate, Filled, Hello, Nothing, Refused,
        Removed, Resume, ServerMessage, Snapshot, Stack, Stats, Trade, TradeAmount, TradeEnd, TradeOffer, TradeStage,
        Updated,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use uuid::Uuid;

pub(crate) fn instance() -> impl Strategy<Value = InstanceId> {
    any::<u128>().prop_map(|bits| InstanceId::new(Uuid::from_u128(bits)))
}

pub(crate) fn item() -> impl Strategy<Value = ItemId> {
    "[a-z0-9_]{1,64}".prop_map(|text| ItemId::new(&text).unwrap())
}

fn slot() -> impl Strategy<Value = SlotId> {
    "[a-z0-9_]{1,32}".prop_map(|text| SlotId::new(&text).unwrap())
}

fn player() -> impl Strategy<Value = PlayerId> {
    "[A-Za-z0-9_-]{1,64}".prop_map(|text| PlayerId::new(&text).unwrap())
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..10_u64, any::<u64>(), Just((1 << 53) - 1), Just(u64::MAX)]
}

fn quantity() -> impl Strategy<Value = Quantity> {
    number().prop_map(Quantity::new)
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![item().prop_map(Target::Item), instance().prop_map(Target::Instance)]
}

fn trade_id() -> impl Strategy<Value = TradeId> {
    any::<u128>().prop_map(|bits| TradeId::new(Uuid::from_u128(bits)))
}

fn step_of_a_trade() -> impl Strategy<Value = Action> {
    let line = (instance(), quantity()).prop_map(|(instance, quantity)| action::GiftItem { instance, quantity });
    let amount = (item(), quantity()).prop_map(|(currency, amount)| action::OfferedAmount { currency, amount });
    prop_oneof![
        player().prop_map(|to| Action::TradeInvite(action::TradeInvite { to })),
        (trade_id(), any::<bool>())
            .prop_map(|(trade, accept)| Action::TradeAnswer(action::TradeAnswer { trade, accept })),
        (trade_id(), vec(line, 0..4), vec(amount, 0..3)).prop_map(|(trade, items, currencies)| {
            Action::TradeOffer(action::TradeOffer { trade, items, currencies })
        }),
        (trade_id(), number())
            .prop_map(|(trade, offer_revision)| Action::TradeAccept(action::TradeAccept { trade, offer_revision })),
        trade_id().prop_map(|trade| Action::TradeCancel(action::TradeCancel { trade })),
    ]
}

fn trade() -> impl Strategy<Value = Trade> {
    let amount = || (item(), number()).prop_map(|(currency, amount)| TradeAmount { currency, amount });
    let offer =
        || {
            (vec(stack(), 0..3), vec(amount(), 0..3), any::<bool>())
                .prop_map(|(items, currencies, accepted)| TradeOffer { items, currencies, accepted })
        };
    let stage = select(vec![TradeStage::Invited, TradeStage::Open, TradeStage::Settled, TradeStage::Closed]);
    let why = select(vec![
        TradeEnd::Declined,
        TradeEnd::Cancelled,
        TradeEnd::Expired,
        TradeEnd::Disconnected,
        TradeEnd::Lost,
        TradeEnd::Stopped,
    ]);
    let people = (trade_id(), player(), player());
    (people, (stage, option::of(why)), [number(), number()].prop_map(|two| two), [offer().boxed(), offer().boxed()])
        .prop_map(|((trade, with, invited_by), (stage, why), [offer_revision, expires_at], [yours, theirs])| Trade {
            trade,
            with,
            invited_by,
            stage,
            why,
            offer_revision,
            yours,
            theirs,
            expires_at,
        })
}

fn action() -> impl Strategy<Value = Action> {
    let gift_item = (instance(), quantity()).prop_map(|(instance, quantity)| action::GiftItem { instance, quantity });
    prop_oneof![
        (any::<u16>(), any::<u16>(), option::of(quantity()))
            .prop_map(|(from, to, quantity)| Action::Move(action::Move { from, to, quantity })),
        Just(Action::Sort(action::Sort {})),
        target().prop_map(|target| Action::Use(action::Use { target })),
        (target(), quantity()).prop_map(|(target, quantity)| Action::Drop(action::Drop { target, quantity })),
        (instance(), option::of(slot())).prop_map(|(instance, slot)| Action::Equip(action::Equip { instance, slot })),
        slot().prop_map(|slot| Action::Unequip(action::Unequip { slot })),
        (instance(), quantity()).prop_map(|(instance, quantity)| Action::Sell(action::Sell { instance, quantity })),
        (player(), vec(gift_item, 0..5)).prop_map(|(to, items)| Action::Gift(action::Gift { to, items })),
        step_of_a_trade(),
        (option::of(any::<bool>()), option::of(any::<bool>()))
            .prop_map(|(gifts, invites)| Action::Settings(action::Settings { gifts, invites })),
        (option::of(item()), option::of(item()), quantity(), option::of(any::<bool>())).prop_map(
            |(item, currency, quantity, partial)| {
                Action::DevGrant(action::DevGrant { item, currency, quantity, partial })
            }
        ),
        Just(Action::Resync(action::Resync {})),
        item().prop_map(|item| Action::Count(action::Count { item })),
        item().prop_map(|item| Action::Item(action::Item { item })),
        Just(Action::Stats(action::Stats {})),
    ]
}

fn client_message() -> impl Strategy<Value = ClientMessage> {
    let resume = (any::<u128>(), number())
        .prop_map(|(bits, revision)| Resume { incarnation: Incarnation::new(Uuid::from_u128(bits)), revision });
    prop_oneof![
        1 => (any::<String>(), option::of(resume), option::of(any::<String>()))
            .prop_map(|(token, resume, client)| ClientMessage::Hello(Hello { token, resume, client })),
        5 => (number(), action()).prop_map(|(seq, action)| ClientMessage::request(Seq::new(seq), action)),
    ]
}

pub(crate) fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        (0..10_000_u16).prop_map(Place::Bag),
        slot().prop_map(Place::Equipment),
        item().prop_map(Place::Balance)
    ]
}

pub(crate) fn attributes() -> impl Strategy<Value = Attributes> {
    let value = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(|n| Value::Integer(Integer::new(n).unwrap())),
        any::<f64>().prop_filter_map("a float we hold", |n| Some(Value::Float(Float::new(n).ok()?))),
        any::<String>().prop_map(|text| Value::String(text.into())),
    ];
    let key = "[a-z0-9_]{1,32}".prop_map(|text| AttributeKey::new(&text).unwrap());
    vec((key, value), 0..4).prop_map(|pairs| Attributes::new(pairs.into_iter().collect()))
}

fn stack() -> impl Strategy<Value = Stack> {
    (instance(), item(), any::<u32>(), number(), attributes()).prop_map(
        |(instance, item, quantity, acquired_at, attributes)| Stack {
            instance,
            item,
            quantity,
            acquired_at,
            attributes,
        },
    )
}

fn filled() -> impl Strategy<Value = Filled> {
    (place(), option::of(stack()), option::of(number())).prop_map(|(place, stack, amount)| Filled {
        place,
        stack,
        amount,
    })
}

fn change() -> impl Strategy<Value = Change> {
    let updated =
        (place(), option::of(any::<u32>()), option::of(number()), option::of(attributes()), option::of(number()));
    prop_oneof![
        filled().prop_map(Change::Add),
        updated.prop_map(|(place, quantity, acquired_at, attributes, amount)| {
            Change::Update(Updated { place, quantity, acquired_at, attributes, amount })
        }),
        place().prop_map(|place| Change::Remove(Removed { place })),
        Just(Change::Clear(Nothing {})),
    ]
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    (number(), any::<u32>(), vec(filled(), 0..4), vec(place(), 0..3)).prop_map(
        |(revision, checksum, places, frozen)| Snapshot { revision: Revision::new(revision), checksum, places, frozen },
    )
}

fn refused() -> impl Strategy<Value = Refused> {
    let duplicate = (option::of(any::<bool>()), option::of(number()))
        .prop_map(|(applied, revision)| Duplicate { applied, revision: revision.map(Revision::new) });
    (number(), number(), select(Code::ALL), any::<String>(), option::of(number()), option::of(duplicate)).prop_map(
        |(seq, revision, code, message, retry_after_ms, duplicate)| Refused {
            seq: Seq::new(seq),
            revision: Revision::new(revision),
            code,
            message,
            retry_after_ms,
            duplicate,
        },
    )
}

fn server_message() -> impl Strategy<Value = ServerMessage> {
    let stats = (any::<u16>(), any::<u16>(), [number(), number(), number(), number()].prop_map(|four| four)).prop_map(
        |(used_slots, max_slots, [weight, max_weight, item_count, total_value])| Stats {
            used_slots,
            max_slots,
            weight,
            max_weight,
            item_count,
            total_value,
        },
    );
    let answered = prop_oneof![
        snapshot().prop_map(Answered::Snapshot),
        number().prop_map(Answered::Count),
        stats.prop_map(Answered::Stats),
        trade().prop_map(|trade| Answered::Trade(Box::new(trade))),
    ];
    let cause = prop_oneof![
        player().prop_map(|from| Cause::Gift { from }),
        (player(), any::<bool>()).prop_map(|(from, returned)| Cause::Inbox { from, returned }),
        player().prop_map(|to| Cause::InboxReturned { to }),
        (trade_id(), player()).prop_map(|(trade, with)| Cause::Trade { trade, with }),
        Just(Cause::Server(Nothing {})),
    ];
    prop_oneof![
        snapshot().prop_map(ServerMessage::Snapshot),
        (number(), number(), vec(change(), 0..4), any::<u32>(), option::of(number())).prop_map(
            |(seq, revision, changes, checksum, overflow)| ServerMessage::Applied(Applied {
                seq: Seq::new(seq),
                revision: Revision::new(revision),
                changes,
                checksum,
                overflow,
                hold: None,
                collapsed: false,
            })
        ),
        refused().prop_map(ServerMessage::Refused),
        trade().prop_map(|trade| ServerMessage::Trade(Box::new(trade))),
        (number(), number(), answered).prop_map(|(seq, revision, answer)| {
            ServerMessage::Answer(Answer { seq: Seq::new(seq), revision: Revision::new(revision), answer })
        }),
        (number(), vec(change(), 0..4), any::<u32>(), cause).prop_map(|(revision, changes, checksum, cause)| {
            ServerMessage::Delta(Delta { revision: Revision::new(revision), changes, checksum, cause })
        }),
    ]
}

fn encoded<M: serde::Serialize>(subprotocol: Subprotocol, message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    subprotocol.encode(message, &mut bytes);
    bytes
}

/// What is left of a good frame when somebody cuts, repeats and overwrites in it.
fn damaged() -> impl Strategy<Value = (Subprotocol, Vec<u8>)> {
    let damage = vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6);
    (client_message(), select(&Subprotocol::ALL[..]), damage).prop_map(|(message, subprotocol, damage)| {
        let mut bytes = encoded(subprotocol, &message);
        for (at, byte, how) in damage {
            let at = at.index(bytes.len() + 1);
            match how {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                2 => bytes.extend_from_within(at..),
                _ => {
                    if let Some(old) = bytes.get_mut(at) {
                        *old = byte;
                    }
                }
            }
        }
        (subprotocol, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        for subprotocol in Subprotocol::ALL {
            let _ = subprotocol.decode_client(&bytes);
            let _ = subprotocol.decode_server(&bytes);
        }
    }

    #[test]
    fn damaged_frames_never_panic_and_read_as_something_that_can_be_written((subprotocol, bytes) in damaged()) {
        if let Ok(message) = subprotocol.decode_client(&bytes) {
            let written = encoded(subprotocol, &message);
            prop_assert_eq!(subprotocol.decode_client(&written).expect("our own bytes"), message);
        }
    }

    #[test]
    fn text_that_looks_like_json_never_panics(text in r#"[\[\]{}:,"\\0-9eE+.a-z -]{0,200}"#) {
        let _ = Subprotocol::Json.decode_client(text.as_bytes());
    }

    #[test]
    fn what_a_client_says_arrives_the_same(message in client_message()) {
        for subprotocol in Subprotocol::ALL {
            let bytes = encoded(subprotocol, &message);
            prop_assert_eq!(&subprotocol.decode_client(&bytes).expect("our own bytes"), &message);
            for cut in [0, bytes.len() / 2, bytes.len() - 1] {
                prop_assert!(subprotocol.decode_client(&bytes[..cut]).is_err(), "{} of {} bytes", cut, bytes.len());
            }
            let mut longer = bytes;
            longer.push(b'0');
            prop_assert!(subprotocol.decode_client(&longer).is_err(), "something behind the message");
        }
    }

    #[test]
    fn what_the_server_says_arrives_the_same(message in server_message()) {
        for subprotocol in Subprotocol::ALL {
            let bytes = encoded(subprotocol, &message);
            prop_assert_eq!(&subprotocol.decode_server(&bytes).expect("our own bytes"), &message);
        }
    }
}
