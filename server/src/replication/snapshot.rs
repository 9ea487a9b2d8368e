//! The whole inventory for the wire: copied under the player's lock, encoded outside of it.

use super::delta;
use crate::{catalog::Rules, engine::player::Player};
use holdall_protocol::{checksum::Checksum, ids::Revision, message};

/// The snapshot of a player at a revision whose checksum is known.
#[must_use]
pub fn of(player: &Player, revision: Revision, checksum: Checksum, rules: &Rules) -> message::Snapshot {
    message::Snapshot {
        revision,
        checksum: checksum.get(),
        places: player.places().map(|(place, content)| delta::filled(&place, &content)).collect(),
        frozen: player.frozen(rules),
    }
}

/// The checksum of everything a player has, from nothing.
#[must_use]
pub fn checksum(player: &Player) -> Checksum {
    let mut scratch = Vec::new();
    player
        .places()
        .fold(Checksum::default(), |sum, (place, content)| sum.with(delta::line(&place, &content, &mut scratch)))
}
