//! The process's file descriptors: enough for every connection, or fewer connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything but players: store, logs, operators, timers, and connections that are being refused.
const RESERVED: u64 = 256;

/// Raises the limit as far as the system lets us, and returns how many of `connections_max` then fit.
pub(super) fn make_room(connections_max: usize) -> usize {
    let wanted = u64::try_from(connections_max).unwrap_or(u64::MAX).saturating_add(RESERVED);
    let limit = raise(wanted);
    if wanted <= limit {
        return connections_max;
    }
    let fitting = usize::try_from(limit.saturating_sub(RESERVED).max(1)).unwrap_or(connections_max);
    tracing::warn!(
        descriptors = limit,
        connections_max,
        lowered_to = fitting,
        "too few file descriptors for limits.connections_max: raise the hard limit (ulimit -Hn, or LimitNOFILE in systemd)"
    );
    fitting
}

/// The limit that is in force afterwards.
fn raise(wanted: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let current = now.current.unwrap_or(u64::MAX);
    let target = now.maximum.unwrap_or_else(|| wanted.max(current));
    if target <= current {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(target), maximum: now.maximum }) {
        Ok(()) => target,
        Err(error) => {
            tracing::debug!(%error, target, "the file-descriptor limit stays as it is");
            current
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_fits_stays_and_one_that_cannot_fit_is_lowered() {
        assert_eq!(make_room(1), 1);
        if getrlimit(Resource::Nofile).maximum.is_some() {
            assert!(make_room(usize::MAX) < usize::MAX);
        }
    }
}
