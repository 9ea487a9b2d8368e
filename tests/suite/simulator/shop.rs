//! What the checker says of the shop: a hold is what was asked for, and paying for it does what it said, once.

use super::scene::{Scene, balance, found, item};
use holdall_client_sim::fault::Fault;
use holdall_protocol::{
    action::{Action, Quantity, ShopConfirm, ShopHold, ShopRelease},
    code::Code,
    ids::{ReservationId, SkuId},
    message::{Change, Hold, HoldState, Price, ServerMessage},
};
use uuid::Uuid;

fn id() -> ReservationId {
    ReservationId::new(Uuid::from_u128(9))
}

/// Two rations for 6 gold.
fn hold(state: HoldState) -> Hold {
    let price = vec![Price { currency: item("gold"), amount: 6 }];
    let sku = SkuId::new("rations").unwrap();
    Hold { reservation: id(), sku, item: item("ore"), quantity: 2, price, state, expires_at: 1_700_000_000_000 }
}

fn wish() -> Action {
    let sku = SkuId::new("rations").unwrap();
    Action::ShopHold(ShopHold { sku, quantity: Quantity::new(2), ttl_seconds: None })
}

fn confirm() -> Action {
    Action::ShopConfirm(ShopConfirm { reservation: id() })
}

fn release() -> Action {
    Action::ShopRelease(ShopRelease { reservation: id() })
}

/// Holds two rations.
fn held() -> Scene {
    let mut scene = Scene::usual();
    scene.ask(wish());
    scene.tells(1, vec![], Some(hold(HoldState::Active)));
    scene
}

impl Scene {
    /// A reply that makes the next revision and tells of a hold.
    fn tells(&mut self, seq: u64, changes: Vec<Change>, hold: Option<Hold>) {
        let mut applied = self.reply(seq, changes);
        applied.hold = hold.map(Box::new);
        self.hear(ServerMessage::Applied(applied));
    }

    /// So many rations come and so much gold goes.
    fn bought(&mut self, units: u32, gold: u64) -> Vec<Change> {
        vec![self.becomes(0, 30 + units), self.holds(balance("gold", 10 - gold))]
    }

    fn open(&self) -> Vec<ReservationId> {
        self.checker.shop().open().map(|hold| hold.reservation).collect()
    }
}

#[test]
fn a_hold_is_made_and_paid_for_and_stands_in_the_books() {
    let mut scene = held();
    assert_eq!(scene.open(), [id()]);
    scene.ask(confirm());
    let changes = scene.bought(2, 6);
    scene.tells(2, changes, Some(hold(HoldState::Confirmed)));
    assert_eq!(scene.open(), []);
    let tally = scene.honest();
    assert_eq!((tally.bought.of(&item("ore")), tally.bought.of(&item("gold"))), (2, -6));
    let (accounts, faults) = tally.close();
    assert_eq!(faults, []);
    assert_eq!((accounts["gold"].bought, accounts["ore"].bought), (-6, 2));
}

#[test]
fn a_hold_ends_by_a_release_by_itself_or_by_word_of_a_refusal() {
    let mut scene = held();
    scene.ask(release());
    scene.tells(2, vec![], Some(hold(HoldState::Released)));
    assert_eq!(scene.open(), []);
    scene.honest();

    let mut scene = held();
    scene.hear(ServerMessage::Hold(Box::new(hold(HoldState::Expired))));
    assert_eq!(scene.open(), []);
    scene.honest();

    let mut scene = held();
    scene.ask(confirm());
    scene.hear(ServerMessage::Refused(scene.refusal(2, Code::ReservationNotActive)));
    assert_eq!(scene.open(), []);
    scene.honest();
}

#[test]
fn another_price_or_another_thing_than_the_hold_said_is_found() {
    for (units, gold) in [(2, 7), (2, 5), (1, 6), (3, 6)] {
        let mut scene = held();
        scene.ask(confirm());
        let changes = scene.bought(units, gold);
        scene.tells(2, changes, Some(hold(HoldState::Confirmed)));
        found!(scene, Fault::NotAsked { .. });
    }
}

#[test]
fn replies_that_tell_of_another_hold_or_of_none_are_found() {
    let other = Hold { reservation: ReservationId::new(Uuid::from_u128(10)), ..hold(HoldState::Released) };
    let more = Hold { quantity: 3, ..hold(HoldState::Active) };
    let elsewhere = Hold { sku: SkuId::new("swords").unwrap(), ..hold(HoldState::Active) };
    for told in [Some(more), Some(elsewhere), None] {
        let mut scene = Scene::usual();
        scene.ask(wish());
        scene.tells(1, vec![], told);
        found!(scene, Fault::NotAsked { .. });
    }
    for told in [Some(other), Some(hold(HoldState::Confirmed)), None] {
        let mut scene = held();
        scene.ask(release());
        scene.tells(2, vec![], told);
        found!(scene, Fault::NotAsked { .. });
    }
}

#[test]
fn a_hold_that_is_told_to_have_ended_and_has_not_is_found() {
    let mut scene = held();
    scene.hear(ServerMessage::Hold(Box::new(hold(HoldState::Active))));
    found!(scene, Fault::Protocol(_));
}
