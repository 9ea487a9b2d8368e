//! Double entry: what left one account entered another.

use crate::engine::change::{Change, Content};
use holdall_protocol::ids::{InstanceId, ItemId, PlayerId};
use smallvec::SmallVec;
use std::{cmp::Ordering, fmt};

/// Where things come from and go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// A player's bag, equipment and wallet.
    Player(PlayerId),
    /// What waits for a player.
    Inbox(PlayerId),
    /// Where what is bought comes from, and what is paid for it goes.
    Shop,
    /// Where granted things come from.
    Mint,
    /// Where used, dropped, sold and removed things go.
    Sink,
}

/// As it is stored.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().into_iter().try_for_each(|part| f.write_str(part))
    }
}

impl Account {
    /// Its stored text, in two parts.
    #[must_use]
    pub fn text(&self) -> [&str; 2] {
        match self {
            Self::Player(player) => ["player:", player.as_str()],
            Self::Inbox(player) => ["inbox:", player.as_str()],
            Self::Shop => ["shop", ""],
            Self::Mint => ["mint", ""],
            Self::Sink => ["sink", ""],
        }
    }

    /// The account whose stored text this is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match (text, text.split_once(':')) {
            ("shop", _) => Some(Self::Shop),
            ("mint", _) => Some(Self::Mint),
            ("sink", _) => Some(Self::Sink),
            (_, Some(("player", player))) => PlayerId::new(player).ok().map(Self::Player),
            (_, Some(("inbox", player))) => PlayerId::new(player).ok().map(Self::Inbox),
            _ => None,
        }
    }
}

/// A quantity of one item or currency that went from one account to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whence.
    pub from: Account,
    /// Whither.
    pub to: Account,
    /// Of what.
    pub item: ItemId,
    /// How much.
    pub quantity: u64,
    /// The stacks that entered or left the player as a whole.
    pub instances: SmallVec<[InstanceId; 1]>,
}

/// Mostly there is one.
pub type Lines = SmallVec<[Line; 1]>;

impl Line {
    /// How many more a player has by it.
    #[must_use]
    pub fn gain_of(&self, player: &PlayerId) -> i128 {
        let owns = |account: &Account| matches!(account, Account::Player(owner) if owner == player);
        let quantity = i128::from(self.quantity);
        match (owns(&self.from), owns(&self.to)) {
            (true, false) => quantity.saturating_neg(),
            (false, true) => quantity,
            (true, true) | (false, false) => 0,
        }
    }
}

/// The lines of one player's changes: what is less afterwards went to `outlet`, what is more came from `inlet`. A move
/// makes no line.
#[must_use]
pub fn lines(own: &PlayerId, changes: &[Change], inlet: &Account, outlet: &Account) -> Lines {
    let mut nets: SmallVec<[Net<'_>; 1]> = SmallVec::new();
    for change in changes {
        for (content, gained) in [(&change.before, false), (&change.after, true)] {
            let Some(content) = content else { continue };
            let (item, quantity, instance) = match (content, &change.place) {
                (Content::Stack(stack), _) => (&stack.item, u64::from(stack.quantity.get()), Some(stack.instance)),
                (Content::Amount(amount), holdall_protocol::ids::Place::Balance(currency)) => (currency, *amount, None),
                (Content::Amount(_), _) => unreachable!("only a balance holds an amount"),
            };
            let at = match nets.iter().position(|net| net.item == item) {
                Some(at) => at,
                None => {
                    nets.push(Net { item, gain: 0, seen: SmallVec::new() });
                    nets.len().saturating_sub(1)
                }
            };
            if let Some(net) = nets.get_mut(at) {
                let signed = i128::from(quantity);
                net.gain = if gained { net.gain.saturating_add(signed) } else { net.gain.saturating_sub(signed) };
                net.seen.extend(instance.map(|instance| (instance, gained)));
            }
        }
    }
    nets.into_iter().filter_map(|net| net.line(own, inlet, outlet)).collect()
}

/// One item's sum over the changes.
struct Net<'a> {
    item: &'a ItemId,
    gain: i128,
    /// Every stack before (false) and after (true).
    seen: SmallVec<[(InstanceId, bool); 4]>,
}

impl Net<'_> {
    fn line(self, own: &PlayerId, inlet: &Account, outlet: &Account) -> Option<Line> {
        let own = Account::Player(own.clone());
        let (from, to, gained) = match self.gain.cmp(&0) {
            Ordering::Equal => return None,
            Ordering::Greater => (inlet.clone(), own, true),
            Ordering::Less => (own, outlet.clone(), false),
        };
        let whole = |instance: InstanceId| !self.seen.contains(&(instance, !gained));
        let instances = self.seen.iter().filter(|(instance, side)| *side == gained && whole(*instance));
        Some(Line {
            from,
            to,
            item: self.item.clone(),
            quantity: u64::try_from(self.gain.unsigned_abs()).unwrap_or(u64::MAX),
            instances: instances.map(|(instance, _)| *instance).collect(),
        })
    }
}
