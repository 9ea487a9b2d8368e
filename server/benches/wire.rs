//! What a request costs to read and a reply to make: codec, delta, checksum.
//!
//! `cargo bench -p holdall-server --bench wire`. Messages are those of the actions that players do most.

mod playing;

use criterion::{Criterion, criterion_group, criterion_main};
use holdall_protocol::{
    action::{Action, Drop, Move, Quantity, Target, Use},
    checksum::Checksum,
    frame::Subprotocol,
    ids::{InstanceId, Revision, Seq},
    message::{Applied, ClientMessage, ServerMessage},
};
use holdall_server::replication::delta;
use playing::{HOT, Playing};
use std::hint::black_box;
use uuid::Uuid;

fn requests() -> [(&'static str, Action); 3] {
    let target = Target::Instance(InstanceId::new(Uuid::from_u128(0x0192_0e5a_7c00_7000_8000_0000_0000_0001)));
    [
        ("use", Action::Use(Use { target: target.clone() })),
        ("drop", Action::Drop(Drop { target, quantity: Quantity::new(1) })),
        ("move", Action::Move(Move { from: 3, to: 50, quantity: None })),
    ]
}

fn decode(c: &mut Criterion) {
    for subprotocol in Subprotocol::ALL {
        let mut group = c.benchmark_group(format!("decode {}", subprotocol.as_str()));
        for (name, action) in requests() {
            let mut frame = Vec::new();
            subprotocol.encode(&ClientMessage::request(Seq::new(70_000), action), &mut frame);
            group.bench_function(name, |b| b.iter(|| subprotocol.decode_client(black_box(&frame))));
        }
        group.finish();
    }
}

/// From what the engine changed to the bytes of the reply.
fn reply(c: &mut Criterion) {
    for subprotocol in Subprotocol::ALL {
        let mut group = c.benchmark_group(format!("reply {}", subprotocol.as_str()));
        for (name, actions) in HOT {
            let mut playing = Playing::new(50, actions);
            let list = playing.next();
            let mut frame = Vec::new();
            group.bench_function(name, |b| {
                b.iter(|| {
                    frame.clear();
                    let applied = Applied {
                        seq: Seq::new(70_000),
                        revision: Revision::new(70_000),
                        changes: delta::changes(black_box(list)),
                        checksum: 3_208_274_998,
                        overflow: None,
                        hold: None,
                        collapsed: false,
                    };
                    subprotocol.encode(&ServerMessage::Applied(applied), &mut frame);
                    frame.len()
                });
            });
        }
        group.finish();
    }
}

fn deltas(c: &mut Criterion) {
    let mut scratch = Vec::new();
    for (name, actions) in HOT {
        let mut playing = Playing::new(50, actions);
        let list = playing.next();
        let mut group = c.benchmark_group(format!("delta of {name}"));
        group.bench_function("changes", |b| b.iter(|| delta::changes(black_box(list))));
        group.bench_function("checksum", |b| {
            b.iter(|| delta::checksum(Checksum::default(), black_box(list), &mut scratch));
        });
        group.finish();
    }
}

criterion_group!(benches, decode, reply, deltas);
criterion_main!(benches);
