//! What a packet costs from inner packet to ESP datagram and back: forms, ICV, replay window, rebuilt header.
//!
//! `cargo bench -p warren-proto --bench session`. The bare AEAD is measured beside it, in `aead`: the difference is ours.

use std::cell::RefCell;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use warren_proto::crypto::Suite;
use warren_proto::io::{Discard, Ecn};
use warren_proto::keys::Family;
use warren_proto::session::{HEADROOM, NextHeader, Sealed};

use esp_pair::{Pair, TTL, buffer, contents, packet};

#[path = "../tests/it/esp_pair.rs"]
mod esp_pair;

criterion_group!(benches, seal, open, runs, replay);
criterion_main!(benches);

fn seal(criterion: &mut Criterion) {
    for (suite, len, inner) in cases() {
        let pair = Pair::new(suite, Family::V4);
        let mut group = criterion.benchmark_group(format!("seal/{suite}"));
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(len.to_string(), |bencher| {
            bencher.iter_batched_ref(
                || buffer(&inner),
                |buffer| pair.outbound.seal_packet(black_box(buffer), HEADROOM..HEADROOM + inner.len()),
                BATCH,
            );
        });
    }
}

fn open(criterion: &mut Criterion) {
    for (suite, len, inner) in cases() {
        let pair = Pair::new(suite, Family::V4);
        let (mut first, sealed) = seal_one(&pair, &inner);
        let opened = pair.inbound.open(&mut first, sealed.datagram, sealed.ecn).expect("it was sealed for this end");
        assert_eq!(contents(&first, &opened), inner);

        let mut group = criterion.benchmark_group(format!("open/{suite}"));
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(len.to_string(), |bencher| {
            bencher.iter_batched_ref(|| seal_one(&pair, &inner), |sealed| open_one(&pair, sealed), BATCH);
        });
    }
}

/// As the packet path does it: numbers in a row, one lock of the window. The figures are of a whole run.
fn runs(criterion: &mut Criterion) {
    for (suite, len, inner) in cases().filter(|(suite, ..)| *suite == Suite::default()) {
        let pair = Pair::new(suite, Family::V4);
        let stride = buffer(&inner).len();
        let segment = HEADROOM + inner.len() - len..HEADROOM + inner.len();
        let seal_run = |run: &mut [u8]| {
            let numbers = pair.outbound.reserve(RUN as u32).unwrap_or_else(|_| panic!("the association is fresh"));
            for (place, number) in run.chunks_exact_mut(stride).zip(numbers) {
                black_box(number.seal(place, segment.clone(), NextHeader::Transport(17)));
            }
        };
        let (start, datagram_len) = (segment.start - pair.outbound.prefix_len(), pair.outbound.sealed_len(len));
        let datagrams = (0..RUN).map(|index| index * stride + start).map(|at| at..at + datagram_len);
        let mut contents = Vec::with_capacity(RUN);
        let mut group = criterion.benchmark_group(format!("run of {RUN}/{suite}"));
        group.throughput(Throughput::Bytes((RUN * len) as u64));

        // Sealing and opening change what they work on, which is brought back to the same place while the clock stands.
        let packets = buffer(&inner).repeat(RUN);
        let run = RefCell::new(packets.clone());
        let restored = || run.borrow_mut().copy_from_slice(&packets);
        group.bench_function(format!("seal {len}"), |bencher| {
            bencher.iter_batched(restored, |()| seal_run(&mut run.borrow_mut()), BatchSize::NumIterations(1));
        });
        let sealed = || {
            restored();
            seal_run(&mut run.borrow_mut());
        };
        group.bench_function(format!("open {len}"), |bencher| {
            let mut open_run = || {
                let refused = |reason| panic!("{reason:?}");
                pair.inbound.open_run(&mut run.borrow_mut(), datagrams.clone(), &mut contents, refused);
            };
            bencher.iter_batched(sealed, |()| open_run(), BatchSize::NumIterations(1));
        });
    }
}

/// The window's share, at each size: packets that came out of order, twice, or too late.
fn replay(criterion: &mut Criterion) {
    for (suite, len, inner) in cases().filter(|(suite, ..)| *suite == Suite::default()) {
        let mut group = criterion.benchmark_group(format!("replay/{suite}/{len}"));

        let pair = Pair::new(suite, Family::V4);
        let mut overtaken = None;
        group.bench_function("overtaken by one", |bencher| {
            let swapped = || {
                overtaken.take().unwrap_or_else(|| {
                    overtaken = Some(seal_one(&pair, &inner));
                    seal_one(&pair, &inner)
                })
            };
            bencher.iter_batched_ref(swapped, |sealed| open_one(&pair, sealed), BATCH);
        });

        let pair = Pair::new(suite, Family::V4);
        let seen = seal_one(&pair, &inner);
        open_one(&pair, &mut seen.clone()).expect("the first time");
        group.bench_function("seen", |bencher| {
            bencher.iter_batched_ref(
                || seen.clone(),
                |again| assert_eq!(open_one(&pair, again), Err(Discard::ReplayDuplicate)),
                BATCH,
            );
        });

        let pair = Pair::new(suite, Family::V4);
        let mut late = seal_one(&pair, &inner);
        assert!(pair.outbound.reserve(WINDOW).is_ok(), "the association is fresh");
        open_one(&pair, &mut seal_one(&pair, &inner)).expect("it is the newest");
        group.bench_function("too old", |bencher| {
            bencher.iter(|| assert_eq!(open_one(&pair, black_box(&mut late)), Err(Discard::ReplayOld)));
        });
    }
}

/// Every suite, with inner packets that hold so many bytes of segment.
fn cases() -> impl Iterator<Item = (Suite, usize, Vec<u8>)> {
    let sizes = [64, 512, 1400];
    let with_packet = |suite, len| (suite, len, packet(Family::V4, 17, TTL, Ecn::NotEct, &vec![7; len]));
    Suite::ALL.into_iter().flat_map(move |suite| sizes.map(|len| with_packet(suite, len)))
}

fn seal_one(pair: &Pair, inner: &[u8]) -> (Vec<u8>, Sealed) {
    let mut buffer = buffer(inner);
    let sealed = pair.outbound.seal_packet(&mut buffer, HEADROOM..HEADROOM + inner.len());
    (buffer, sealed.expect("an ordinary packet of a fresh association"))
}

fn open_one(pair: &Pair, (buffer, sealed): &mut (Vec<u8>, Sealed)) -> Result<(), Discard> {
    pair.inbound.open(buffer, sealed.datagram.clone(), sealed.ecn).map(|opened| {
        black_box(opened);
    })
}

/// As many packets as one super-packet holds: they stay in the cache, as on the packet path.
const RUN: usize = 44;
const BATCH: BatchSize = BatchSize::NumIterations(RUN as u64);

/// More than the replay window covers.
const WINDOW: u32 = 10_000;
