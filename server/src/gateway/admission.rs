//! Who may come in: the bounds on connections in all and per address.
//!
//! Owns the counts. A connection over a bound is not cut at once, but taken as far as an HTTP answer that says why;
//! only a few of those at a time, the rest is dropped.

use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

/// Connections that are being told no, at once.
const REFUSING_MAX: usize = 64;

/// The bounds and what counts against them.
#[derive(Debug)]
pub(super) struct Admission {
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    connections_max: usize,
    per_address_max: usize,
    admitted: usize,
    refusing: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may go on.
    Admitted,
    /// The server is full.
    Full,
    /// Its address has as many as it may have.
    AddressFull,
}

/// One connection's part in the counts, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    standing: Standing,
    address: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(connections_max: usize, per_address_max: usize) -> Arc<Self> {
        let (admitted, refusing, by_address) = (0, 0, HashMap::new());
        let counts = Counts { connections_max, per_address_max, admitted, refusing, by_address };
        Arc::new(Self { counts: Mutex::new(counts) })
    }

    /// Other bounds for whoever comes from now on; nobody has to leave.
    pub(super) fn set_bounds(&self, connections_max: usize, per_address_max: usize) {
        let mut counts = self.counts.lock();
        (counts.connections_max, counts.per_address_max) = (connections_max, per_address_max);
    }

    /// Takes a place for a new connection; none where not even a refusal can be afforded.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut counts = self.counts.lock();
        let standing = if counts.admitted < counts.connections_max { Standing::Admitted } else { Standing::Full };
        let taken = counts.take(standing);
        // A place gives itself back under the same lock, so that none may exist while it is held and nothing was taken.
        drop(counts);
        taken.then(|| Place { admission: Arc::clone(self), standing, address: None })
    }
}

impl Counts {
    fn take(&mut self, standing: Standing) -> bool {
        match standing {
            Standing::Admitted => self.admitted += 1,
            Standing::Full | Standing::AddressFull if self.refusing >= REFUSING_MAX => return false,
            Standing::Full | Standing::AddressFull => self.refusing += 1,
        }
        true
    }

    fn give_back(&mut self, standing: Standing) {
        match standing {
            Standing::Admitted => self.admitted -= 1,
            Standing::Full | Standing::AddressFull => self.refusing -= 1,
        }
    }
}

impl Place {
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Counts the connection for its address, once that is known. False where it must be dropped without an answer.
    pub(super) fn count_for(&mut self, address: IpAddr) -> bool {
        if self.standing != Standing::Admitted || self.address.is_some() || address.is_loopback() {
            return true;
        }
        let mut counts = self.admission.counts.lock();
        let key = network(address);
        let per_address_max = counts.per_address_max;
        let count = counts.by_address.entry(key).or_default();
        if *count < per_address_max {
            *count += 1;
            self.address = Some(key);
            return true;
        }
        if *count == 0 {
            counts.by_address.remove(&key);
        }
        if !counts.take(Standing::AddressFull) {
            return false;
        }
        counts.give_back(Standing::Admitted);
        self.standing = Standing::AddressFull;
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock();
        counts.give_back(self.standing);
        let Some(key) = self.address else { return };
        if let Some(count) = counts.by_address.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&key);
            }
        }
    }
}

/// What counts as one address: whoever has one IPv6 address mostly has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(admission: &Arc<Admission>, address: &str) -> Place {
        let mut place = admission.enter().expect("room for at least a refusal");
        assert!(place.count_for(address.parse().expect("an address")));
        place
    }

    #[test]
    fn an_address_has_so_many_and_loopback_any_number() {
        let admission = Admission::new(100, 2);
        let held = [enter(&admission, "192.0.2.1"), enter(&admission, "192.0.2.1")];
        assert_eq!(enter(&admission, "192.0.2.1").standing(), Standing::AddressFull);
        assert_eq!(enter(&admission, "192.0.2.2").standing(), Standing::Admitted);
        let local: Vec<_> = (0..9).map(|_| enter(&admission, "127.0.0.1")).collect();
        assert!(local.iter().all(|place| place.standing() == Standing::Admitted));
        drop((held, local));
        assert_eq!(enter(&admission, "192.0.2.1").standing(), Standing::Admitted);
        let counts = admission.counts.lock();
        assert!(counts.admitted == 0 && counts.refusing == 0 && counts.by_address.is_empty(), "{counts:?}");
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let admission = Admission::new(100, 1);
        let _held = enter(&admission, "2001:db8::1");
        assert_eq!(enter(&admission, "2001:db8::2").standing(), Standing::AddressFull);
        assert_eq!(enter(&admission, "2001:db8:0:1::1").standing(), Standing::Admitted);
    }

    #[test]
    fn past_the_bound_a_few_are_told_why_and_the_rest_is_dropped() {
        let admission = Admission::new(1, 1);
        let _held = enter(&admission, "192.0.2.1");
        let refused: Vec<_> = std::iter::from_fn(|| admission.enter()).collect();
        assert!(refused.iter().all(|place| place.standing() == Standing::Full));
        assert_eq!(refused.len(), REFUSING_MAX);
        drop(refused);
        assert!(admission.enter().is_some());
    }
}
