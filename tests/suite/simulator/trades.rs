//! What the checker says of trades: what both were shown and agreed to changes hands, and nothing else.

use super::scene::{Scene, found, instance, item, stack};
use holdall_client_sim::fault::Fault;
use holdall_protocol::{
    action::{Action, GiftItem, Quantity, TradeAccept, TradeInvite, TradeOffer as Offer},
    code::Code,
    ids::{PlayerId, Revision, TradeId},
    message::{Answered, Cause, Change, Delta, ServerMessage, Stack, Trade, TradeAmount, TradeOffer, TradeStage},
};
use uuid::Uuid;

fn id() -> TradeId {
    TradeId::new(Uuid::from_u128(9))
}

fn other() -> PlayerId {
    PlayerId::new("bot-2").unwrap()
}

/// So much ore of slot 0.
fn ore(units: u32) -> TradeOffer {
    let stack = Stack { quantity: units, ..stack(0, "ore", 30).stack.unwrap() };
    TradeOffer { items: vec![stack], ..TradeOffer::default() }
}

fn gold(amount: u64) -> TradeOffer {
    TradeOffer { currencies: vec![TradeAmount { currency: item("gold"), amount }], ..TradeOffer::default() }
}

fn view(stage: TradeStage, offer_revision: u64, [yours, theirs]: [TradeOffer; 2]) -> Trade {
    let (with, invited_by, expires_at) = (other(), other(), 1_700_000_000_000);
    Trade { trade: id(), with, invited_by, stage, why: None, offer_revision, yours, theirs, expires_at }
}

fn told(trade: Trade) -> ServerMessage {
    ServerMessage::Trade(Box::new(trade))
}

fn accept(offer_revision: u64) -> Action {
    Action::TradeAccept(TradeAccept { trade: id(), offer_revision })
}

/// Shown 4 ore against 7 gold, as the second revision of the offers.
fn shown() -> Scene {
    let mut scene = Scene::usual();
    scene.hear(told(view(TradeStage::Open, 2, [ore(4), gold(7)])));
    scene
}

impl Scene {
    /// The answer that this player has accepted, and the other has not.
    fn waits(&mut self, seq: u64) {
        let yours = TradeOffer { accepted: true, ..ore(4) };
        let answer = Answered::Trade(Box::new(view(TradeStage::Open, 2, [yours, gold(7)])));
        self.hear(self.answer(seq, answer));
    }

    /// So much ore goes and so much gold comes.
    fn exchanged(&mut self, units: u32, gold: u64) -> Vec<Change> {
        let less = self.becomes(0, 30 - units);
        let more = self.holds(super::scene::balance("gold", 10 + gold));
        vec![less, more]
    }

    fn settled_by_the_other(&mut self, units: u32, gold: u64) {
        let changes = self.exchanged(units, gold);
        self.revision += 1;
        let cause = Cause::Trade { trade: id(), with: other() };
        let (revision, checksum) = (Revision::new(self.revision), self.checksum());
        self.hear(ServerMessage::Delta(Delta { revision, changes, checksum, cause }));
    }
}

#[test]
fn what_was_agreed_to_changes_hands_by_either_ones_accept() {
    let mut scene = shown();
    scene.ask(accept(2));
    let changes = scene.exchanged(4, 7);
    let applied = scene.reply(1, changes);
    scene.hear(ServerMessage::Applied(applied));
    scene.hear(told(view(TradeStage::Settled, 2, [ore(4), gold(7)])));
    scene.honest();

    let mut scene = shown();
    scene.ask(accept(2));
    scene.waits(1);
    scene.settled_by_the_other(4, 7);
    scene.hear(told(view(TradeStage::Settled, 2, [ore(4), gold(7)])));
    scene.honest();
}

#[test]
fn another_exchange_than_the_agreed_one_is_found() {
    let mut scene = shown();
    scene.ask(accept(2));
    let changes = scene.exchanged(5, 7);
    let applied = scene.reply(1, changes);
    scene.hear(ServerMessage::Applied(applied));
    found!(scene, Fault::NotAsked { .. });

    let mut scene = shown();
    scene.ask(accept(2));
    scene.waits(1);
    scene.settled_by_the_other(4, 6);
    found!(scene, Fault::BadPush { .. });
}

#[test]
fn a_trade_that_was_never_accepted_and_settles_all_the_same_is_found() {
    let mut scene = shown();
    scene.settled_by_the_other(4, 7);
    found!(scene, Fault::BadPush { .. });
}

#[test]
fn an_exchange_while_away_is_explained_by_the_accept_that_was_sent() {
    let mut scene = shown();
    scene.ask(accept(2));
    scene.waits(1);
    scene.restart();
    scene.exchanged(4, 7);
    scene.revision += 1;
    scene.welcome(1, false);
    scene.show();
    scene.honest();

    let mut scene = shown();
    scene.restart();
    scene.exchanged(4, 7);
    scene.revision += 1;
    scene.welcome(0, false);
    scene.show();
    found!(scene, Fault::Unexplained { .. });
}

#[test]
fn answers_that_show_something_else_and_views_that_go_back_are_found() {
    let mut scene = shown();
    scene.ask(Action::TradeInvite(TradeInvite { to: PlayerId::new("bot-3").unwrap() }));
    let invited = view(TradeStage::Invited, 0, [TradeOffer::default(), TradeOffer::default()]);
    let stranger = Trade { trade: TradeId::new(Uuid::from_u128(10)), ..invited };
    scene.hear(scene.answer(1, Answered::Trade(Box::new(stranger))));
    found!(scene, Fault::WrongAnswer { .. });

    let items = vec![GiftItem { instance: instance(100), quantity: Quantity::new(9) }];
    scene.ask(Action::TradeOffer(Offer { trade: id(), items, currencies: vec![] }));
    scene.hear(scene.answer(2, Answered::Trade(Box::new(view(TradeStage::Open, 3, [ore(8), gold(7)])))));
    found!(scene, Fault::WrongAnswer { .. });

    scene.hear(told(view(TradeStage::Open, 1, [ore(4), gold(7)])));
    found!(scene, Fault::Protocol(_));
}

#[test]
fn an_end_that_nobody_was_told_of_is_found() {
    for code in [Code::TradeClosed, Code::TradeNotFound] {
        let mut scene = shown();
        scene.ask(accept(2));
        scene.hear(ServerMessage::Refused(scene.refusal(1, code)));
        found!(scene, Fault::Protocol(_));
    }
    let mut scene = shown();
    scene.ask(accept(2));
    scene.hear(told(view(TradeStage::Closed, 2, [ore(4), gold(7)])));
    scene.hear(ServerMessage::Refused(scene.refusal(1, Code::TradeClosed)));
    scene.honest();
}

#[test]
fn a_welcome_tells_the_trades_that_are_left() {
    let mut scene = shown();
    scene.checker.cut();
    scene.trades = vec![view(TradeStage::Open, 5, [ore(1), gold(1)])];
    scene.welcome(0, true);
    scene.ask(accept(5));
    let changes = scene.exchanged(1, 1);
    let applied = scene.reply(1, changes);
    scene.hear(ServerMessage::Applied(applied));
    scene.honest();
}
