//! Trades as a client makes them: each step, and what the other one is told.

use crate::client::{Client, item};
use holdall_protocol::{
    action::{self, Action, Quantity},
    frame::Subprotocol,
    ids::{InstanceId, PlayerId, TradeId},
    message::{Answered, Applied, Trade, TradeEnd, TradeStage},
};
use std::net::SocketAddr;

/// Asks for a trade.
///
/// # Panics
/// When `to` is no player id.
#[must_use]
pub fn invite(to: &str) -> Action {
    Action::TradeInvite(action::TradeInvite { to: PlayerId::new(to).expect("a player id") })
}

/// Takes an invite.
#[must_use]
pub const fn take(trade: TradeId) -> Action {
    Action::TradeAnswer(action::TradeAnswer { trade, accept: true })
}

/// Declines an invite.
#[must_use]
pub const fn decline(trade: TradeId) -> Action {
    Action::TradeAnswer(action::TradeAnswer { trade, accept: false })
}

/// Puts this up.
#[must_use]
pub fn offer(trade: TradeId, items: &[(InstanceId, u64)], currencies: &[(&str, u64)]) -> Action {
    let line =
        |(instance, n): &(InstanceId, u64)| action::GiftItem { instance: *instance, quantity: Quantity::new(*n) };
    let amount =
        |(currency, n): &(&str, u64)| action::OfferedAmount { currency: item(currency), amount: Quantity::new(*n) };
    let (items, currencies) = (items.iter().map(line).collect(), currencies.iter().map(amount).collect());
    Action::TradeOffer(action::TradeOffer { trade, items, currencies })
}

/// Agrees to the offers of this revision.
#[must_use]
pub const fn accept(trade: TradeId, offer_revision: u64) -> Action {
    Action::TradeAccept(action::TradeAccept { trade, offer_revision })
}

/// Ends it.
#[must_use]
pub const fn cancel(trade: TradeId) -> Action {
    Action::TradeCancel(action::TradeCancel { trade })
}

/// Switches what is accepted from others.
#[must_use]
pub const fn settings(gifts: Option<bool>, invites: Option<bool>) -> Action {
    Action::Settings(action::Settings { gifts, invites })
}

impl Client {
    /// Takes a step of a trade that does not settle it; how it stands then.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn step(&mut self, action: Action) -> Trade {
        match self.question(action).await {
            Answered::Trade(trade) => *trade,
            other => panic!("no trade but {other:?}"),
        }
    }

    /// The next step of a trade that this client is told of, oldest first.
    ///
    /// # Panics
    /// When the connection ends instead.
    pub async fn told(&mut self) -> Trade {
        while self.trades.is_empty() {
            self.message().await;
        }
        self.trades.remove(0)
    }

    /// Is told that a trade is over, without an exchange.
    ///
    /// # Panics
    /// When it is told something else.
    pub async fn told_end(&mut self, trade: TradeId, why: TradeEnd) {
        let told = self.told().await;
        assert_eq!((told.trade, told.stage, told.why), (trade, TradeStage::Closed, Some(why)), "{told:?}");
    }

    /// Is told that a trade has settled.
    ///
    /// # Panics
    /// When it is told something else.
    pub async fn told_settled(&mut self, trade: TradeId) {
        let told = self.told().await;
        assert_eq!((told.trade, told.stage, told.why), (trade, TradeStage::Settled, None), "{told:?}");
    }
}

/// Two who trade.
pub struct Traders {
    /// Who asked.
    pub anna: Client,
    /// Who was asked.
    pub bert: Client,
    /// What they have open.
    pub trade: TradeId,
}

impl Traders {
    /// Anna, with 30 ore and a sword, and Bert, with 100 gold and 9 bread, open a trade.
    pub async fn meet(game: SocketAddr) -> Self {
        Self::meet_as(game, &["anna", "bert"]).await
    }

    /// The same under other names.
    pub async fn meet_as<S: AsRef<str>>(game: SocketAddr, names: &[S; 2]) -> Self {
        let mut anna = Client::join(game, Subprotocol::Msgpack, names[0].as_ref()).await;
        let mut bert = Client::join(game, Subprotocol::Json, names[1].as_ref()).await;
        anna.apply(crate::client::grant("ore", 30)).await;
        anna.apply(crate::client::grant("iron_sword", 1)).await;
        bert.apply(crate::client::pay("gold", 100)).await;
        bert.apply(crate::client::grant("bread", 9)).await;
        let trade = open(&mut anna, &mut bert).await;
        Self { anna, bert, trade }
    }

    /// Anna puts up 20 ore, Bert 60 gold; the revision of both offers.
    ///
    /// # Panics
    /// When they cannot.
    pub async fn offer_both(&mut self) -> u64 {
        let ore = self.anna.stack("ore").1.instance;
        self.anna.step(offer(self.trade, &[(ore, 20)], &[])).await;
        let seen = self.bert.told().await;
        assert_eq!(seen.theirs.items.len(), 1, "{seen:?}");
        let both = self.bert.step(offer(self.trade, &[], &[("gold", 60)])).await;
        assert_eq!(self.anna.told().await.theirs, both.yours);
        both.offer_revision
    }

    /// Bert accepts, then Anna: it settles.
    pub async fn settle(&mut self, revision: u64) -> Applied {
        self.bert.step(accept(self.trade, revision)).await;
        self.anna.told().await;
        let applied = self.anna.apply(accept(self.trade, revision)).await;
        self.anna.told_settled(self.trade).await;
        self.bert.told_settled(self.trade).await;
        applied
    }

    /// Whether what [`Self::offer_both`] puts up has changed hands, or nothing has.
    ///
    /// # Panics
    /// When only a part has, or something has come or gone.
    #[must_use]
    pub fn exchanged(anna: &Client, bert: &Client) -> bool {
        let have = |client: &Client| (client.count("ore"), client.count("gold"));
        match (have(anna), have(bert)) {
            ((30, 0), (0, 100)) => false,
            ((10, 60), (20, 40)) => true,
            other => panic!("neither both nor neither: {other:?}"),
        }
    }

    /// That nothing of either is locked any more: everything can be given away and comes back.
    ///
    /// # Panics
    /// When something is locked.
    pub async fn expect_free(anna: &mut Client, bert: &mut Client) {
        for client in [&mut *anna, &mut *bert] {
            client.apply(Action::Sort(action::Sort {})).await;
            let stacks: Vec<_> =
                client.mirror().bag_from(0).map(|(_, stack)| (stack.item.to_string(), stack.instance)).collect();
            for (id, instance) in stacks {
                let units = client.count(&id);
                let drop = action::Drop { target: action::Target::Instance(instance), quantity: Quantity::new(units) };
                client.apply(Action::Drop(drop)).await;
                client.apply(crate::client::grant(&id, units)).await;
            }
        }
        let trade = open(anna, bert).await;
        for client in [&mut *anna, &mut *bert] {
            let gold = client.count("gold");
            if gold > 0 {
                client.step(offer(trade, &[], &[("gold", gold)])).await;
            }
        }
        anna.step(cancel(trade)).await;
        loop {
            if bert.told().await.stage == TradeStage::Closed {
                break;
            }
        }
        anna.trades.clear();
    }
}

/// Opens a trade of two who have none.
///
/// # Panics
/// When they cannot.
pub async fn open(anna: &mut Client, bert: &mut Client) -> TradeId {
    let to = bert.welcome().player.to_string();
    let asked = anna.step(invite(&to)).await;
    assert_eq!((asked.stage, asked.with.as_str()), (TradeStage::Invited, to.as_str()));
    let heard = bert.told().await;
    assert_eq!((heard.trade, heard.stage, heard.with), (asked.trade, TradeStage::Invited, asked.invited_by));
    let taken = bert.step(take(asked.trade)).await;
    assert_eq!((taken.stage, anna.told().await.stage), (TradeStage::Open, TradeStage::Open));
    asked.trade
}
