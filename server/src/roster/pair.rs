//! Two players at once: the one place where a second player's lock is taken.

use super::cell::{Cell, Inner};
use parking_lot::MutexGuard;

/// Locks both, the smaller id first whatever the order of the arguments, and returns them in the arguments' order.
///
/// # Panics
/// When both are the same player: nobody is their own partner.
pub fn lock<'c>(one: &'c Cell, other: &'c Cell) -> (MutexGuard<'c, Inner>, MutexGuard<'c, Inner>) {
    assert_ne!(one.id, other.id, "two different players are locked");
    if one.id < other.id {
        let first = one.lock();
        (first, other.lock())
    } else {
        let second = other.lock();
        (one.lock(), second)
    }
}
