//! Everything that the engine judges by: the catalogue and the bounds from the settings.

use super::{Catalog, Definition, Kind, migrations::Migrations, shop::Shop};
use crate::config::{
    Fault, Faults, Loaded,
    setting::{Setting, Thousandths},
};
use holdall_protocol::ids::{BAG_SLOTS_BOUND, ItemId, SlotId};
use std::num::NonZeroU64;

/// The catalogue and the bounds, as one immutable whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The definitions.
    pub catalog: Catalog,
    /// Slots of a bag, 1 to 10,000.
    pub max_slots: u16,
    /// The weight that may be carried, in thousandths; 0 is no bound.
    pub max_weight: u64,
    /// The equipment slots, in the order of the config.
    pub slots: Vec<SlotId>,
    /// The two hands: a two-handed item goes into the first and needs the second empty.
    pub hands: [SlotId; 2],
    /// What a sold item brings, in thousandths of its base value.
    pub sell_rate: u64,
    /// What it is paid in: of kind currency.
    pub sell_currency: ItemId,
    /// Attributes on one stack, at most.
    pub attributes_max: usize,
    /// Bytes of all attributes of one stack, at most.
    pub attribute_bytes_max: usize,
    /// Lines of one gift, at most.
    pub gift_items_max: usize,
    /// Lines of one offer in a trade, items and currencies together, at most.
    pub offer_lines_max: usize,
    /// What a player is born with; items and currencies, under their present ids, each once.
    pub kit: Vec<(ItemId, NonZeroU64)>,
    /// The steps that players take at a load.
    pub migrations: Migrations,
    /// What is for sale in limited numbers.
    pub shop: Shop,
}

impl Rules {
    /// Reads the files that the settings name, catalogue, migrations and shop, and checks the settings against them.
    ///
    /// # Errors
    /// Everything that is wrong with any.
    pub fn read(loaded: &Loaded) -> Result<Self, Faults> {
        let mut rules = Self::read_items(loaded)?;
        rules.migrations = read_migrations(loaded, &rules.catalog)?;
        rules.shop = read_shop(loaded, &rules.catalog)?;
        Ok(rules)
    }

    fn read_items(loaded: &Loaded) -> Result<Self, Faults> {
        let path = &loaded.settings.catalog.items_file;
        match std::fs::read_to_string(path) {
            Ok(text) => Self::load(&text, &path.display().to_string(), loaded),
            Err(error) => {
                let mut what = format!("the catalogue cannot be read: {error}; catalog.items_file names it");
                if loaded.file.is_none() {
                    what.push_str(". There is no config file: give --config, or run where config/holdall.toml is");
                }
                Err(unreadable(path, what))
            }
        }
    }

    /// The rules of a catalogue's text. `name` is what its faults call it.
    ///
    /// # Errors
    /// Everything that is wrong with the text, or with what the settings say of its items.
    pub fn load(text: &str, name: &str, loaded: &Loaded) -> Result<Self, Faults> {
        let settings = &loaded.settings;
        let (inventory, limits) = (&settings.inventory, &settings.limits);
        let mut rules = Self {
            catalog: Catalog::parse(text, name, settings)?,
            max_slots: if inventory.max_slots == 0 { BAG_SLOTS_BOUND } else { inventory.max_slots },
            max_weight: inventory.max_weight.0,
            slots: settings.equipment.slots.clone(),
            hands: settings.equipment.hands.clone(),
            sell_rate: inventory.sell_rate,
            sell_currency: inventory.sell_currency.clone(),
            attributes_max: limits.attributes_max,
            attribute_bytes_max: limits.attribute_bytes_max,
            gift_items_max: limits.gift_items_max,
            offer_lines_max: limits.offer_lines_max,
            kit: Vec::new(),
            migrations: Migrations::default(),
            shop: Shop::default(),
        };
        let mut faults = Faults::default();
        rules.choose_currency(loaded, &mut faults);
        rules.pack_kit(loaded, &mut faults);
        faults.unless_any(rules)
    }

    fn choose_currency(&mut self, loaded: &Loaded, faults: &mut Faults) {
        const KNOB: &str = "inventory.sell_currency";
        match self.catalog.get(&self.sell_currency) {
            None => faults.push(loaded.fault(KNOB, missing(&self.catalog, &self.sell_currency))),
            Some(money) if money.kind != Kind::Currency => {
                let what = format!("{} is of kind {}, not currency: name a currency", money.id, money.kind.as_str());
                faults.push(loaded.fault(KNOB, what));
            }
            Some(money) => self.sell_currency = money.id.clone(),
        }
    }

    fn pack_kit(&mut self, loaded: &Loaded, faults: &mut Faults) {
        const KNOB: &str = "new_player.kit";
        let (mut slots, mut weight) = (0_u64, 0_u64);
        for line in &loaded.settings.new_player.kit {
            let Some(definition) = self.catalog.get(&line.item) else {
                faults.push(loaded.fault(KNOB, missing(&self.catalog, &line.item)));
                continue;
            };
            if self.kit.iter().any(|(item, _)| *item == definition.id) {
                let what = format!("{} stands twice, once under a former id: add the quantities up", definition.id);
                faults.push(loaded.fault(KNOB, what));
            }
            slots = slots.saturating_add(slots_for(definition, line.quantity));
            weight = weight.saturating_add(definition.weight.saturating_mul(line.quantity.get()));
            self.kit.push((definition.id.clone(), line.quantity));
        }
        if slots > u64::from(self.max_slots) {
            let room = self.max_slots;
            let what = format!("needs {slots} bag slots, inventory.max_slots gives {room}: give less, or more room");
            faults.push(loaded.fault(KNOB, what));
        }
        if self.max_weight != 0 && weight > self.max_weight {
            let (weighs, most) = (Thousandths(weight).to_toml(), Thousandths(self.max_weight).to_toml());
            let what = format!("weighs {weighs}, inventory.max_weight is {most}: give less, or let players carry more");
            faults.push(loaded.fault(KNOB, what));
        }
    }
}

/// The migrations' file, which may be absent.
fn read_migrations(loaded: &Loaded, catalog: &Catalog) -> Result<Migrations, Faults> {
    let path = &loaded.settings.catalog.migrations_file;
    match std::fs::read_to_string(path) {
        Ok(text) => Migrations::parse(&text, &path.display().to_string(), &loaded.settings, catalog),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Migrations::default()),
        Err(error) => {
            Err(unreadable(path, format!("the migrations cannot be read: {error}; catalog.migrations_file names them")))
        }
    }
}

/// The shop's file, which may be absent.
fn read_shop(loaded: &Loaded, catalog: &Catalog) -> Result<Shop, Faults> {
    let path = &loaded.settings.catalog.shop_file;
    match std::fs::read_to_string(path) {
        Ok(text) => Shop::parse(&text, &path.display().to_string(), catalog),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Shop::default()),
        Err(error) => Err(unreadable(path, format!("the shop cannot be read: {error}; catalog.shop_file names it"))),
    }
}

fn unreadable(path: &std::path::Path, what: String) -> Faults {
    let mut faults = Faults::default();
    faults.push(Fault { place: path.display().to_string(), line: None, what });
    faults
}

/// Bag slots that so many of an item take, in an empty bag.
fn slots_for(definition: &Definition, quantity: NonZeroU64) -> u64 {
    match definition.kind {
        Kind::Currency => 0,
        Kind::Weapon | Kind::Armor | Kind::Consumable | Kind::Material | Kind::Quest => {
            quantity.get().div_ceil(u64::from(definition.max_stack.get()))
        }
    }
}

/// That the catalogue has no such item, and which one may be meant.
fn missing(catalog: &Catalog, item: &ItemId) -> String {
    let hint = crate::config::fault::did_you_mean(item.as_str(), catalog.iter().map(|known| known.id.as_str()));
    format!("the catalogue has no item {item}{hint}")
}
