//! A web shop's cart: it holds, confirms and releases through whichever process answers, and says again what got no answer.

use super::{
    shop::{SKUS, sku},
    world::World,
};
use bytes::Bytes;
use holdall_protocol::ids::{CartId, OrderKey, ReservationId};
use holdall_server::store::{
    Node,
    stock::{Act, Deed, DeedKey, Done, Hold, Holder, State, StockError},
};
use rand::{Rng, seq::IndexedRandom};
use std::{num::NonZeroU64, time::Duration};
use tokio::task::JoinHandle;
use uuid::Uuid;

type Answer = Result<Done, StockError>;

/// A deed that was said and has no answer yet.
struct Pending {
    deed: Deed,
    /// The process that was asked last, as long as it may answer.
    asked: Option<(Node, JoinHandle<Answer>)>,
    /// What it was answered before, where it is said again for no reason, as long as the store has lost nothing since.
    before: Option<(Done, usize)>,
}

/// A cart.
pub(super) struct Cart {
    id: CartId,
    keys: u32,
    /// Holds that it has not ended.
    open: Vec<ReservationId>,
    pending: Option<Pending>,
    /// What it did last, what came of it, and how much the store had lost by then.
    done: Option<(Deed, Done, usize)>,
}

impl Cart {
    pub(super) fn new(name: &str) -> Self {
        Self { id: CartId::new(name).expect("a cart id"), keys: 0, open: Vec::new(), pending: None, done: None }
    }

    /// Does whatever comes next: mostly something new, or what got no answer, or was answered, once more.
    pub(super) fn step(&mut self, world: &mut World) {
        if self.pending.is_none() {
            let again = self.done.take().filter(|_| world.random.random_ratio(1, 4));
            self.pending = Some(match again {
                Some((deed, done, losses)) => Pending { deed, asked: None, before: Some((done, losses)) },
                None => {
                    let act = self.choose(world);
                    self.pending(act)
                }
            });
        }
        self.ask(world);
    }

    /// The web shop gets more of something.
    pub(super) fn restock(&mut self, world: &mut World) {
        if self.pending.is_none() {
            let sku = sku(SKUS.choose(&mut world.random).expect("there are some"));
            let quantity = NonZeroU64::new(world.random.random_range(1..6)).expect("not zero");
            self.pending = Some(self.pending(Act::Restock { sku, quantity }));
        }
        self.ask(world);
    }

    /// Something new, under a key of its own.
    fn pending(&mut self, act: Act) -> Pending {
        self.keys += 1;
        let key = OrderKey::new(&format!("{}-{}", self.id, self.keys)).expect("a key");
        let deed = Deed { act, key: Some(DeedKey::Order(key)), why: None };
        Pending { deed, asked: None, before: None }
    }

    /// Asks some process for what has no answer yet.
    fn ask(&mut self, world: &mut World) {
        let Some(mut pending) = self.pending.take_if(|pending| pending.asked.is_none()) else { return };
        // Whoever serves the request makes the id up.
        if let Act::Hold(hold) = &mut pending.deed.act {
            hold.id = ReservationId::new(Uuid::from_u128(world.random.random()));
        }
        let at = world.random.random_range(0..world.nodes.len());
        let state = &world.nodes[at];
        let (node, roster, deed) = (state.node.clone(), state.sessions.roster().clone(), pending.deed.clone());
        let asking = state.switch.clone().run(async move { roster.store().stock(deed).await });
        pending.asked = Some((node.clone(), tokio::spawn(asking)));
        world.trace(format!("{} asks {} for {:?} {:?}", self.id, node.id, pending.deed.key, pending.deed.act));
        self.pending = Some(pending);
    }

    fn choose(&self, world: &mut World) -> Act {
        match (self.open.choose(&mut world.random), world.random.random_range(0..4)) {
            (Some(reservation), 0) => Act::Confirm { reservation: *reservation },
            (Some(reservation), 1) => Act::Release { reservation: *reservation, of: None },
            _ => Act::Hold(Hold {
                id: ReservationId::new(Uuid::nil()),
                sku: sku(SKUS.choose(&mut world.random).expect("there are some")),
                holder: Holder::Cart(self.id.clone()),
                quantity: NonZeroU64::new(world.random.random_range(1..4)).expect("not zero"),
                time: Duration::from_millis(world.random.random_range(50..4_000)),
                terms: Bytes::new(),
                holds_max: 3,
                units_max: None,
            }),
        }
    }

    /// Its process died: whether it did what it was asked, nobody knows.
    pub(super) fn server_died(&mut self, node: &Node) {
        if let Some(pending) = &mut self.pending
            && let Some((_, asked)) = pending.asked.take_if(|(on, _)| on == node)
        {
            asked.abort();
        }
    }

    /// Takes an answer that came.
    pub(super) fn pump(&mut self, world: &mut World) {
        let Some(pending) = &mut self.pending else { return };
        let Some((_, asked)) = pending.asked.take_if(|(_, asked)| asked.is_finished()) else { return };
        let answer =
            futures_util::FutureExt::now_or_never(asked).expect("it is finished").expect("a store does not panic");
        world.trace(format!("{} hears {answer:?}", self.id));
        match answer {
            Err(StockError::Unavailable(_)) => {}
            Ok(done) => self.answered(world, done),
            Err(no) => self.refused(world, &no),
        }
    }

    fn answered(&mut self, world: &mut World, done: Done) {
        let Some(Pending { deed, before, .. }) = self.pending.take() else { return };
        if before.is_some_and(|(before, losses)| before != done && losses == world.losses) {
            world.violation(format!("{}: {:?} was said again, and answered {done:?}", self.id, deed.key));
        }
        if let Done::Reservation(hold) = &done {
            world.told.cart(hold);
            self.open.retain(|open| *open != hold.id);
            self.open.extend((hold.state == State::Active).then_some(hold.id));
        }
        self.done = Some((deed, done, world.losses));
    }

    fn refused(&mut self, world: &mut World, no: &StockError) {
        let Some(Pending { deed, before, .. }) = self.pending.take() else { return };
        let ended = match deed.act {
            Act::Confirm { reservation } => Some((reservation, State::Confirmed)),
            Act::Release { reservation, .. } => Some((reservation, State::Released)),
            _ => None,
        };
        let by_itself = match no {
            StockError::NotActive(state) => ended.is_some_and(|(_, ends)| ends == *state),
            StockError::NoSuchReservation | StockError::NoSuchSku => world.losses == 0,
            StockError::Insufficient { .. } | StockError::TooManyHolds { .. } => false,
            StockError::Claimed
            | StockError::Players
            | StockError::TooManyUnits { .. }
            | StockError::HoldsOpen { .. }
            | StockError::TooLarge
            | StockError::NotOwner
            | StockError::KeyTaken
            | StockError::Unavailable(_)
            | StockError::Unreadable(_) => true,
        };
        if by_itself || before.is_some_and(|(_, losses)| losses == world.losses) {
            world.violation(format!("{}: {:?} {:?} is refused: {no}", self.id, deed.key, deed.act));
        }
        if let Some((reservation, _)) = ended {
            self.open.retain(|open| *open != reservation);
        }
    }
}
