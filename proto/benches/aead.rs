//! What the AEAD alone costs, through each backend that Warren has. `proto/aead-bench` compares with what it has not.
//!
//! `cargo bench -p warren-proto --bench aead`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use warren_proto::crypto::{EspAead, Suite};

criterion_group!(benches, seal, open);
criterion_main!(benches);

fn seal(criterion: &mut Criterion) {
    for (name, suite, aead) in backends() {
        let mut group = criterion.benchmark_group(format!("aead seal/{suite}/{name}"));
        for len in SIZES {
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(len.to_string(), |bencher| {
                bencher.iter_batched_ref(
                    || vec![7; len],
                    |buffer| aead.seal_in_place(&NONCE, &AAD, black_box(buffer)),
                    BATCH,
                );
            });
        }
    }
}

fn open(criterion: &mut Criterion) {
    for (name, suite, aead) in backends() {
        let mut group = criterion.benchmark_group(format!("aead open/{suite}/{name}"));
        for len in SIZES {
            let mut sealed = vec![7; len];
            let tag = aead.seal_in_place(&NONCE, &AAD, &mut sealed);
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(len.to_string(), |bencher| {
                bencher.iter_batched_ref(
                    || sealed.clone(),
                    |buffer| aead.open_in_place(&NONCE, &AAD, buffer, &tag).expect("it was sealed so"),
                    BATCH,
                );
            });
        }
    }
}

fn backends() -> impl Iterator<Item = (&'static str, Suite, EspAead)> {
    [Suite::Aes256GcmIiv, Suite::ChaCha20Poly1305Iiv].into_iter().flat_map(|suite| {
        let fastest = Some(("fastest", suite, EspAead::new(suite, &KEY)));
        let reference = EspAead::reference(suite, &KEY).map(|aead| ("reference", suite, aead));
        fastest.into_iter().chain(reference)
    })
}

const SIZES: [usize; 3] = [64, 512, 1400];
const KEY: [u8; 32] = [0x42; 32];
/// One for all: a benchmark has no secret to lose.
const NONCE: [u8; 12] = [0xa0; 12];
const AAD: [u8; 8] = [0x80, 0, 0, 1, 0, 0, 0, 2];

/// As many packets as one super-packet holds.
const BATCH: BatchSize = BatchSize::NumIterations(44);
