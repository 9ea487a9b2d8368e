//! What an action costs in the engine: the same in a bag of ten stacks and of a thousand.
//!
//! `cargo bench -p holdall-server --bench engine`.

mod playing;

use criterion::{Criterion, criterion_group, criterion_main};
use playing::{HOT, Playing};

fn actions(c: &mut Criterion) {
    for (name, actions) in HOT {
        let mut group = c.benchmark_group(name);
        for stacks in [10, 1_000] {
            let mut playing = Playing::new(stacks, actions);
            group.bench_function(format!("of {stacks} stacks"), |b| b.iter(|| playing.next().len()));
        }
        group.finish();
    }
}

criterion_group!(benches, actions);
criterion_main!(benches);
