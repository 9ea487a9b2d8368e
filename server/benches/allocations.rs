//! How often an action in the engine asks for memory: it does not.
//!
//! `cargo bench -p holdall-server --bench allocations`. Ends with an error where an action allocates more than it may.

mod playing;

use playing::{HOT, Playing};
use std::{hint::black_box, process::ExitCode};

/// Actions that are counted, after as many that are not.
const ACTIONS: u64 = 10_000;

/// Of a thousand actions, how many may find a list too short that is kept from one to the next.
const MAY: u64 = 1;

fn main() -> ExitCode {
    let mut kept = true;
    for (name, actions) in HOT {
        for stacks in [10, 1_000] {
            let mut playing = Playing::new(stacks, actions);
            let mut act = || {
                for _ in 0..ACTIONS {
                    black_box(playing.next());
                }
            };
            act();
            let counted = allocation_counter::measure(act);
            let (count, bytes) = (counted.count_total, counted.bytes_total);
            println!("{name:<14}of {stacks:>5} stacks: {count} allocations, {bytes} bytes in {ACTIONS} actions");
            kept &= count <= ACTIONS / 1_000 * MAY;
        }
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
