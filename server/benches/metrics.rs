//! What counting costs, by one thread and by two at once.
//!
//! `cargo bench -p holdall-server --bench metrics`. `one_action` is all that is counted for one action that is answered alone:
//! the action, its time, its frame and bytes, and its commit's share left out.

use criterion::{Criterion, criterion_group, criterion_main};
use holdall_protocol::action::{Action, Asked, Sort};
use holdall_server::telemetry::metrics::{
    Metrics,
    labels::{Content, Reply},
};
use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

fn one_action(metrics: &Metrics, asked: &Asked) {
    metrics.actions.inc(asked, &Reply::Done);
    metrics.action_seconds.took(black_box(Duration::from_micros(830)));
    metrics.frames_sent.add(&Content::Delta, 1);
    metrics.sent_bytes.add(&Content::Delta, black_box(190));
}

fn counting(criterion: &mut Criterion) {
    let metrics = Arc::new(Metrics::new());
    let asked = Asked::Known(Action::Sort(Sort {}));
    criterion.bench_function("one_action", |bencher| bencher.iter(|| one_action(&metrics, black_box(&asked))));
    let stop = Arc::new(AtomicBool::new(false));
    let other = {
        let (metrics, asked, stop) = (metrics.clone(), asked.clone(), stop.clone());
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                one_action(&metrics, &asked);
            }
        })
    };
    criterion.bench_function("one_action_beside_another_thread", |bencher| {
        bencher.iter(|| one_action(&metrics, black_box(&asked)));
    });
    stop.store(true, Ordering::Relaxed);
    other.join().expect("it only counts");
}

criterion_group!(benches, counting);
criterion_main!(benches);
