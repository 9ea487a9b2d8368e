//! What a request asks for, as a difference of totals, and whether what came is that.
//!
//! Pure. Called by `checker`. Knows of the rules only what every client may rely on: which actions conserve items, and
//! how many units the others take or make. Never knows whether an action is allowed.

use crate::{
    fault::Fault,
    model::{Content, Mirror, Step, Totals},
};
use holdall_protocol::{
    action::{Action, Quantity, Target},
    ids::{InstanceId, Place, Seq},
};

/// What an action should do to the player who asked for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intent {
    /// Units won and lost. A sale's proceeds are not in here: the server alone sets the price.
    pub effect: Totals,
    /// The stacks that the action names, with the units they lose.
    instances: Vec<(InstanceId, i128)>,
    /// Whether `effect` is complete: false where a named stack was not in the mirror.
    pub known: bool,
}

impl Intent {
    /// What `action` asks for, its stacks looked up in `mirror`.
    #[must_use]
    pub fn of(action: &Action, mirror: &Mirror) -> Self {
        let mut intent = Self { known: true, ..Self::default() };
        match action {
            Action::Use(wish) => intent.lose(&wish.target, 1, mirror),
            Action::Drop(wish) => intent.lose(&wish.target, units(wish.quantity), mirror),
            Action::Sell(wish) => intent.lose(&Target::Instance(wish.instance), units(wish.quantity), mirror),
            Action::Gift(wish) => {
                for line in &wish.items {
                    intent.lose(&Target::Instance(line.instance), units(line.quantity), mirror);
                }
            }
            Action::DevGrant(wish) => match wish.item.as_ref().or(wish.currency.as_ref()) {
                Some(id) => intent.effect.add(id, units(wish.quantity)),
                None => intent.known = false,
            },
            // What both put up is known to who has seen the offers.
            Action::TradeAccept(_) => intent.known = false,
            // What it costs and brings is known to who has seen the hold.
            Action::ShopConfirm(_) => intent.known = false,
            Action::ShopList(_) | Action::ShopHold(_) | Action::ShopRelease(_) => {}
            Action::TradeInvite(_) | Action::TradeAnswer(_) | Action::TradeOffer(_) | Action::TradeCancel(_) => {}
            Action::Settings(_) => {}
            Action::Move(_) | Action::Sort(_) | Action::Equip(_) | Action::Unequip(_) => {}
            Action::Resync(_) | Action::Count(_) | Action::Item(_) | Action::Stats(_) => {}
        }
        intent
    }

    fn lose(&mut self, target: &Target, units: i128, mirror: &Mirror) {
        let item = match target {
            Target::Item(item) => Some(item),
            Target::Instance(instance) => {
                self.instances.push((*instance, -units));
                mirror.places().find_map(|(_, content)| match content {
                    Content::Stack(stack) if stack.instance == *instance => Some(&stack.item),
                    Content::Stack(_) | Content::Amount(_) => None,
                })
            }
        };
        match item {
            Some(item) => self.effect.add(item, -units),
            None => self.known = false,
        }
    }
}

fn units(quantity: Quantity) -> i128 {
    quantity.get().map_or(0, |units| i128::from(units.get()))
}

/// Whether an action can change anything at all; the others are questions.
#[must_use]
pub const fn changes_things(action: &Action) -> bool {
    match action {
        Action::Move(_) | Action::Sort(_) | Action::Use(_) | Action::Drop(_) | Action::Equip(_) => true,
        Action::Unequip(_) | Action::Sell(_) | Action::Gift(_) | Action::DevGrant(_) => true,
        Action::TradeAccept(_) => true,
        Action::TradeInvite(_) | Action::TradeAnswer(_) | Action::TradeOffer(_) | Action::TradeCancel(_) => false,
        Action::Settings(_) => true,
        Action::ShopHold(_) | Action::ShopConfirm(_) | Action::ShopRelease(_) => true,
        Action::ShopList(_) => false,
        Action::Resync(_) | Action::Count(_) | Action::Item(_) | Action::Stats(_) => false,
    }
}

/// One applied request, ready to be judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    /// Its number.
    pub(crate) seq: Seq,
    /// What was asked.
    pub(crate) action: &'a Action,
    /// What that should do.
    pub(crate) intent: &'a Intent,
    /// What was done.
    pub(crate) step: &'a Step,
    /// Units that a partial grant could not place.
    pub(crate) overflow: u64,
}

impl Case<'_> {
    /// Compares what was done with what was asked; `after` is the mirror after it.
    pub(crate) fn judge(&self, after: &Mirror) -> Result<(), Fault> {
        let Self { seq, action, intent, step, overflow } = self;
        if *overflow > 0 && !matches!(action, Action::DevGrant(grant) if grant.partial == Some(true)) {
            return self.wrong("an overflow of what was not a partial grant");
        }
        let mut wanted = intent.effect.clone();
        match action {
            Action::Sell(_) => wanted.add_all(&proceeds(step)),
            Action::DevGrant(grant) => {
                if let Some(id) = grant.item.as_ref().or(grant.currency.as_ref()) {
                    wanted.add(id, -i128::from(*overflow));
                }
            }
            Action::Equip(_) | Action::Unequip(_) => self.hands(after)?,
            Action::Move(_) | Action::Sort(_) | Action::Use(_) | Action::Drop(_) | Action::Gift(_) => {}
            Action::TradeAccept(_) | Action::Settings(_) => {}
            Action::ShopHold(_) | Action::ShopConfirm(_) | Action::ShopRelease(_) => {}
            Action::TradeInvite(_) | Action::TradeAnswer(_) | Action::TradeOffer(_) | Action::TradeCancel(_) => {
                return self.wrong("a step of a trade changed something");
            }
            Action::ShopList(_) | Action::Resync(_) | Action::Count(_) | Action::Item(_) | Action::Stats(_) => {
                return self.wrong("a question changed something");
            }
        }
        if intent.known && wanted != step.effect {
            return Err(Fault::not_asked(*seq, action.name(), &wanted, &step.effect));
        }
        self.only_the_named_stacks()
    }

    /// A stack that was named loses exactly what was asked, and no other stack loses anything.
    fn only_the_named_stacks(&self) -> Result<(), Fault> {
        let named = &self.intent.instances;
        if named.is_empty() {
            return Ok(());
        }
        let exact = named.iter().all(|(instance, units)| self.step.instances.get(instance) == Some(units));
        if exact && self.step.instances.len() == named.len() {
            Ok(())
        } else {
            self.wrong("other stacks were touched than the ones named")
        }
    }

    fn hands(&self, after: &Mirror) -> Result<(), Fault> {
        match self.action {
            Action::Equip(wish) => match &wish.slot {
                Some(slot) if after.get(&Place::Equipment(slot.clone())).is_none() => self.wrong("the slot is empty"),
                Some(_) | None => Ok(()),
            },
            Action::Unequip(wish) if after.get(&Place::Equipment(wish.slot.clone())).is_some() => {
                self.wrong("the slot is not empty")
            }
            _ => Ok(()),
        }
    }

    fn wrong(&self, what: &str) -> Result<(), Fault> {
        Err(Fault::NotAsked { seq: self.seq, action: self.action.name(), what: what.to_owned() })
    }
}

/// What a sale brought: everything that was won by it.
pub(crate) fn proceeds(step: &Step) -> Totals {
    let mut won = Totals::default();
    step.effect.iter().filter(|(_, units)| *units > 0).for_each(|(currency, units)| won.add(currency, units));
    won
}
