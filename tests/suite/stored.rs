//! Stored bytes under arbitrary damage: reading never panics, and whatever is read is a whole player or none.

use crate::wire::{attributes, instance, item, place};
use holdall_protocol::{NUMBER_MAX, ids::Place};
use holdall_server::{
    engine::{
        change::{Content, Nature, Stack},
        player::Player,
    },
    ledger::codec,
    schema::{CURRENT, OURS, Stamp},
};
use proptest::{collection::vec, prelude::*};
use std::num::NonZeroU32;

const NOW: Stamp = Stamp::stored(CURRENT, CURRENT);

fn stack() -> impl Strategy<Value = Content> {
    (instance(), item(), any::<NonZeroU32>(), 0..=NUMBER_MAX, attributes()).prop_map(
        |(instance, item, quantity, acquired_at, attributes)| {
            Content::Stack(Stack { instance, nature: Nature::with(item, attributes), quantity, acquired_at })
        },
    )
}

/// A place and something that may stand there.
fn held() -> impl Strategy<Value = (Place, Content)> {
    (place(), stack(), 1..=NUMBER_MAX).prop_map(|(place, stack, amount)| {
        let content = if matches!(place, Place::Balance(_)) { Content::Amount(amount) } else { stack };
        (place, content)
    })
}

/// A record as a store might give it back after somebody cut, repeated and overwrote in it.
fn damaged() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let damage = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..6_u8);
    (vec(held(), 1..8), vec(damage, 0..4)).prop_map(|(held, damage)| {
        let mut record: Vec<(String, Vec<u8>)> =
            held.into_iter().map(|(place, content)| (place.to_string(), OURS.to_bytes(&content).to_vec())).collect();
        for (which, at, byte, how) in damage {
            let other = record[at.index(record.len())].1.clone();
            let (place, value) = which.get_mut(&mut record);
            let at = at.index(value.len() + 1);
            match how {
                0 => value.truncate(at),
                1 => value.insert(at, byte),
                2 => *value = other,
                3 => place.push(char::from(byte)),
                _ => {
                    if let Some(old) = value.get_mut(at) {
                        *old = byte;
                    }
                }
            }
        }
        record
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_place_is_read_back_as_it_was_written((place, content) in held()) {
        let read = OURS.read(NOW, &place.to_string(), &OURS.to_bytes(&content));
        prop_assert_eq!(read.expect("our own bytes"), (place, content));
    }

    #[test]
    fn arbitrary_bytes_never_panic(place in ".{0,80}", value in vec(any::<u8>(), 0..200), format in 0..4_u32, readable_by in 0..4_u32) {
        let _ = OURS.read(Stamp { format, readable_by }, &place, &value);
        let _ = OURS.read(NOW, "b:0", &value);
        let _ = codec::read(&value);
    }

    #[test]
    fn a_damaged_record_is_a_whole_player_or_none(record in damaged()) {
        let places: Result<Vec<_>, _> =
            record.iter().map(|(place, value)| OURS.read(NOW, place, value)).collect();
        let Ok(places) = places else { return Ok(()) };
        let count = places.len();
        if let Ok(player) = Player::from_places(places) {
            prop_assert_eq!(player.invariants(), Ok(()));
            prop_assert_eq!(player.places().count(), count, "nothing was lost on the way");
        }
    }
}
