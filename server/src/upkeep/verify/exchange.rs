//! Both halves of an exchange: what left one player entered the other.
//!
//! Things are followed by what each place held before and after, and not by lines alone: a swap of equal units makes no
//! line. Where a stack arrives on an older one whose id has been changed in the catalogue since, it takes that id on; such a
//! pair of ids is known by the stack that grew, so that no catalogue is needed.

use super::{
    fault::{Fault, Kind},
    player::Begin,
};
use crate::engine::change::{Beyond, Change, Content, Stack};
use holdall_protocol::{
    attribute::Attributes,
    ids::{InstanceId, ItemId, Place, PlayerId, Revision, TradeId},
};
use uuid::Uuid;

/// How far the time in a new stack's id may lie from its record's, in milliseconds: both are read off the same clock in
/// one go.
const SAME_MOMENT_MS: u64 = 60_000;

/// One player's half of a record of two.
#[derive(Debug, Clone)]
pub(super) struct Half {
    pub(super) player: PlayerId,
    pub(super) revision: Revision,
    pub(super) partner: PlayerId,
    pub(super) partner_revision: Revision,
    pub(super) trade: Option<TradeId>,
    pub(super) at: u64,
    /// What moved; `None` where that cannot be told, because the player's past does not reach so far.
    pub(super) moved: Option<Moved>,
}

/// What one player's side of a record comes to.
#[derive(Debug, Clone, Default)]
pub(super) struct Moved {
    gains: Vec<(Sort, i128)>,
    /// Stacks that were somewhere before and nowhere afterwards.
    left: Vec<Stack>,
    /// Stacks that were nowhere before and somewhere afterwards.
    entered: Vec<Stack>,
    /// Items of which a stack that was there before became larger, and currencies of which a balance did.
    pub(super) grown: Vec<ItemId>,
}

/// Units that nothing tells apart.
#[derive(Debug, Clone, PartialEq)]
struct Sort {
    item: ItemId,
    /// What a stack has beside its item; `None` for money.
    marks: Option<(Attributes, Beyond)>,
}

impl Moved {
    pub(super) fn of(changes: &[Change]) -> Self {
        let mut moved = Self::default();
        for Change { place, before, after } in changes {
            moved.count(place, before.as_ref(), -1);
            moved.count(place, after.as_ref(), 1);
            if let (Place::Balance(currency), Some(Content::Amount(now))) = (place, after)
                && !matches!(before, Some(Content::Amount(then)) if then >= now)
            {
                moved.grown.push(currency.clone());
            }
        }
        let before: Vec<&Stack> = changes.iter().filter_map(|change| stack(change.before.as_ref())).collect();
        let after: Vec<&Stack> = changes.iter().filter_map(|change| stack(change.after.as_ref())).collect();
        let find =
            |stacks: &[&Stack], id: InstanceId| stacks.iter().find(|stack| stack.instance == id).copied().cloned();
        for stack in &before {
            match find(&after, stack.instance) {
                Some(now) if now.quantity > stack.quantity => moved.grown.push(now.item.clone()),
                Some(_) => {}
                None => moved.left.push((*stack).clone()),
            }
        }
        let entered = after.iter().filter(|stack| find(&before, stack.instance).is_none());
        moved.entered = entered.map(|stack| (*stack).clone()).collect();
        moved
    }

    fn count(&mut self, place: &Place, content: Option<&Content>, sign: i128) {
        let (sort, units) = match (place, content) {
            (_, Some(Content::Stack(stack))) => {
                let marks = Some((stack.attributes.clone(), stack.beyond.clone()));
                (Sort { item: stack.item.clone(), marks }, i128::from(stack.quantity.get()))
            }
            (Place::Balance(currency), Some(Content::Amount(amount))) => {
                (Sort { item: currency.clone(), marks: None }, i128::from(*amount))
            }
            (Place::Bag(_) | Place::Equipment(_), Some(Content::Amount(_))) | (_, None) => return,
        };
        add(&mut self.gains, sort, units.saturating_mul(sign));
    }

    /// What one side gained more than the other one lost, or less; nothing where what left one entered the other.
    fn against(&self, other: &Self) -> Vec<(ItemId, i128)> {
        let mut rest = self.gains.clone();
        for (sort, gain) in &other.gains {
            add(&mut rest, sort.clone(), *gain);
        }
        rest.retain(|(_, gain)| *gain != 0);
        let is_under_another_id = |(sort, gain): &(Sort, i128)| {
            let alike = rest.iter().filter(|(other, _)| other.marks == sort.marks);
            let sum = alike.fold(0_i128, |sum, (_, gain)| sum.saturating_add(*gain));
            sum == 0 && (*gain < 0 || self.grown.contains(&sort.item) || other.grown.contains(&sort.item))
        };
        if rest.iter().all(is_under_another_id) {
            return Vec::new();
        }
        rest.into_iter().map(|(sort, gain)| (sort.item, gain)).collect()
    }

    /// A stack that got here and is neither one that left the other player nor new.
    fn stranger<'m>(&'m self, other: &Self, at: u64) -> Option<&'m Stack> {
        self.entered.iter().find(|stack| match other.left.iter().find(|left| left.instance == stack.instance) {
            Some(left) => {
                let same = left.nature == stack.nature;
                // Where more was poured onto it at once, the older time of acquisition stays.
                !same || stack.acquired_at > left.acquired_at
            }
            None => minted_at(stack.instance.uuid()).abs_diff(at) > SAME_MOMENT_MS,
        })
    }
}

/// Adds to a short list of sums.
pub(super) fn add<K: PartialEq>(sums: &mut Vec<(K, i128)>, key: K, more: i128) {
    match sums.iter_mut().find(|(other, _)| *other == key) {
        Some((_, sum)) => *sum = sum.saturating_add(more),
        None => sums.push((key, more)),
    }
}

const fn stack(content: Option<&Content>) -> Option<&Stack> {
    match content {
        Some(Content::Stack(stack)) => Some(stack),
        Some(Content::Amount(_)) | None => None,
    }
}

/// The time in a UUIDv7, in milliseconds since 1970.
pub(super) const fn minted_at(id: Uuid) -> u64 {
    let (high, _) = id.as_u64_pair();
    high >> 16
}

impl Half {
    pub(super) fn names(&self, other: &Self) -> bool {
        (&self.partner, self.partner_revision) == (&other.player, other.revision)
    }

    /// Whether the other half is among what that player no longer has entries of.
    pub(super) fn is_beside(&self, begin: Option<Begin>) -> bool {
        begin.is_some_and(|begin| begin.revision >= self.partner_revision)
    }

    fn fault(&self, kind: Kind, what: impl Into<String>) -> Fault {
        Fault { trade: self.trade, ..Fault::new(kind, &self.player, what).at(self.revision).with(&self.partner) }
    }

    /// What is wrong with a half to which the other player's entry of that revision is this.
    pub(super) fn fault_beside(&self, other: Option<&Self>) -> Option<Fault> {
        let Self { partner, partner_revision, .. } = self;
        let other = match other {
            Some(other) if other.names(self) && other.trade != self.trade => {
                let shown =
                    |trade: Option<TradeId>| trade.map_or_else(|| "no trade".to_owned(), |trade| trade.to_string());
                let what = format!("{partner}'s revision {partner_revision} settled {}", shown(other.trade));
                return Some(self.fault(Kind::HalfExchange, what));
            }
            Some(other) if other.names(self) => other,
            Some(Self { partner: named, partner_revision: at, .. }) => {
                let what = format!("{partner}'s revision {partner_revision} names {named}'s revision {at}");
                return Some(self.fault(Kind::HalfExchange, what));
            }
            None => {
                let what = format!("{partner} has no revision {partner_revision} that names it");
                return Some(self.fault(Kind::HalfExchange, what));
            }
        };
        // Whoever's past is lost has a fault for that.
        let (Some(ours), Some(theirs)) = (&self.moved, &other.moved) else { return None };
        let rest = ours.against(theirs);
        if !rest.is_empty() {
            let rest: Vec<String> = rest.iter().map(|(item, gain)| format!("{gain:+} {item}")).collect();
            let what = format!("both together come to {} instead of nothing", rest.join(", "));
            return Some(self.fault(Kind::UnequalExchange, what));
        }
        for (into, of, half) in [(ours, theirs, self), (theirs, ours, other)] {
            if let Some(stack) = into.stranger(of, half.at) {
                let what = format!("{} got a stack that is none of those that {} gave", half.player, half.partner);
                return Some(self.fault(Kind::UnequalExchange, what).about_stack(stack.instance));
            }
        }
        None
    }
}
