//! What a player of the comparison asks for, thought out before: small requests, each of which takes effect.
//!
//! Of ten requests four drop one unit, three use one, and three move a stack to the free slot behind the bag's last or
//! back again. A request lies encoded but for its number, so that sending one costs a copy.

use holdall_protocol::{
    action::{Action, Drop, Move, Quantity, Target, Use},
    frame::Subprotocol,
    ids::{InstanceId, Seq},
    message::ClientMessage,
};

/// What ten requests are.
const PATTERN: [Kind; 10] = {
    use Kind::{Drop, Move, Use};
    [Drop, Use, Move, Drop, Use, Move, Drop, Use, Move, Drop]
};

/// A multiple of the pattern with as many moves there as back.
const REQUESTS: usize = 200;

/// Where in a request its number stands: behind the map's head, the key and the number's head.
const NUMBER_AT: std::ops::Range<usize> = 6..10;

/// A stack that a player has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owned {
    /// The bag slot it is in.
    pub(super) slot: u16,
    /// Which it is.
    pub(super) instance: InstanceId,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Drop,
    Use,
    Move,
}

/// A player's requests, over and over.
#[derive(Debug)]
pub(super) struct Plan {
    requests: Vec<Vec<u8>>,
    next: usize,
}

impl Plan {
    /// Requests on these stacks, none of which is in the `free` slot.
    ///
    /// # Panics
    /// Without stacks.
    pub(super) fn new(stacks: &[Owned], free: u16) -> Self {
        let mut requests = Vec::with_capacity(REQUESTS);
        // Where the stack in the free slot belongs.
        let mut away = None;
        for (kind, stack) in PATTERN.iter().cycle().zip(stacks.iter().cycle()).take(REQUESTS) {
            let target = Target::Instance(stack.instance);
            requests.push(encoded(match kind {
                Kind::Drop => Action::Drop(Drop { target, quantity: Quantity::new(1) }),
                Kind::Use => Action::Use(Use { target }),
                Kind::Move => {
                    let (from, to) = match away.take() {
                        Some(home) => (free, home),
                        None => {
                            away = Some(stack.slot);
                            (stack.slot, free)
                        }
                    };
                    Action::Move(Move { from, to, quantity: None })
                }
            }));
        }
        Self { requests, next: 0 }
    }

    /// The next request, under this number.
    pub(super) fn request(&mut self, number: u32) -> Vec<u8> {
        let mut frame = self.requests.get(self.next).expect("the next one lies within").clone();
        frame.get_mut(NUMBER_AT).expect("every request is longer").copy_from_slice(&number.to_be_bytes());
        self.next = (self.next + 1) % self.requests.len();
        frame
    }
}

/// The number that a request has come back with, as echo sends it.
pub(super) fn number(frame: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(frame.get(NUMBER_AT)?.try_into().ok()?))
}

/// Encoded under a number that takes all four bytes that any number gets.
fn encoded(action: Action) -> Vec<u8> {
    let mut frame = Vec::new();
    Subprotocol::Msgpack.encode(&ClientMessage::request(Seq::new(u32::MAX.into()), action), &mut frame);
    assert_eq!(number(&frame), Some(u32::MAX), "the number stands where it is replaced");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_protocol::action::Asked;
    use std::collections::BTreeSet;
    use uuid::Uuid;

    fn stacks(count: u16) -> Vec<Owned> {
        (0..count).map(|slot| Owned { slot, instance: InstanceId::new(Uuid::from_u128(slot.into())) }).collect()
    }

    fn decoded(frame: &[u8]) -> (u64, Action) {
        match Subprotocol::Msgpack.decode_client(frame).expect("it is well formed") {
            ClientMessage::Request(request) => match request.action {
                Asked::Known(action) => (request.seq.get(), action),
                Asked::Unknown => panic!("it is one of ours"),
            },
            ClientMessage::Hello(_) => panic!("it is a request"),
        }
    }

    #[test]
    fn every_request_bears_its_number_and_can_take_effect_however_often_the_plan_is_gone_through() {
        for count in [1, 10, 50, 1_000] {
            let stacks = stacks(count);
            let mut plan = Plan::new(&stacks, count);
            let mut filled: BTreeSet<u16> = (0..count).collect();
            for number in 1..=1_000_u32 {
                let (seq, action) = decoded(&plan.request(number));
                assert_eq!(seq, u64::from(number));
                if let Action::Move(Move { from, to, .. }) = action {
                    assert!(filled.remove(&from) && filled.insert(to), "from a stack to a free slot");
                }
            }
        }
    }

    #[test]
    fn of_ten_requests_four_drop_three_use_and_three_move() {
        let mut plan = Plan::new(&stacks(50), 50);
        let mut counts = [0; 3];
        for number in 0..200 {
            counts[match decoded(&plan.request(number)).1 {
                Action::Drop(_) => 0,
                Action::Use(_) => 1,
                Action::Move(_) => 2,
                other => panic!("{other:?}"),
            }] += 1;
        }
        assert_eq!(counts, [80, 60, 60]);
    }
}
