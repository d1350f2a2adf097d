//! Which library seals and opens packets fastest: in place, and while a super-packet is cut into segments.
//!
//! `cargo run --release` in this directory prints the tables of docs/adr/0003. The cases take turns, a batch each, so
//! that a machine that is slower for a while is so for all of them; best and median of all turns are shown.

mod backends;
mod tables;

use std::hint::black_box;
use std::time::{Duration, Instant};

use backends::{Algorithm, AwsLc, Backend, OutOfPlace, Ring, RustCrypto};

fn main() {
    for algorithm in [Algorithm::Aes256Gcm, Algorithm::ChaCha20Poly1305] {
        let ring = Ring::new(algorithm, &KEY);
        let aws_lc = AwsLc::new(algorithm, &KEY);
        let rust_crypto = RustCrypto::new(algorithm, &KEY);
        let in_place = SIZES.map(|len| {
            let mut cases = seal_and_open("ring", &ring, len);
            cases.extend(seal_and_open("aws-lc-rs", &aws_lc, len));
            cases.extend(seal_and_open("RustCrypto", &rust_crypto, len));
            take_turns(len, cases)
        });
        tables::print_in_place(algorithm, &in_place);
        tables::print_cutting(algorithm, &take_turns(SEGMENT, cutting(&ring, &aws_lc, &rust_crypto)));
    }
}

/// One thing to measure: what is made ready while the clock stands still, and what it times. Both for a whole batch.
struct Case<'a> {
    name: String,
    prepare: Box<dyn Fn(&mut Batch) + 'a>,
    work: Box<dyn Fn(&mut Batch) + 'a>,
}

/// What the cases work on, one after the other.
struct Batch {
    len: usize,
    /// Plaintexts, without a gap: a super-packet.
    source: Vec<u8>,
    /// Packets with a gap for a tag and the next header, as one send to the kernel wants them.
    out: Vec<u8>,
}

impl Batch {
    fn new(len: usize) -> Self {
        Self { len, source: vec![7; len * PACKETS], out: vec![7; (len + GAP) * PACKETS] }
    }

    /// Number, plaintext, and the room for ciphertext and tag, of every packet.
    fn packets(&mut self) -> impl Iterator<Item = (usize, &[u8], &mut [u8])> {
        let out = self.out.chunks_exact_mut(self.len + GAP);
        self.source.chunks_exact(self.len).zip(out).enumerate().map(|(index, (source, out))| (index, source, out))
    }
}

/// What a packet took, of all turns.
struct Timing {
    name: String,
    best: Duration,
    median: Duration,
}

fn take_turns(len: usize, cases: Vec<Case<'_>>) -> Vec<Timing> {
    let mut batch = Batch::new(len);
    let mut times = vec![Vec::with_capacity(TURNS); cases.len()];
    for _ in 0..TURNS {
        for (case, times) in cases.iter().zip(&mut times) {
            // the first of two finds the caches as another case left them
            for timed in [false, true] {
                (case.prepare)(&mut batch);
                let start = Instant::now();
                (case.work)(&mut batch);
                let elapsed = start.elapsed();
                if timed {
                    times.push(elapsed);
                }
            }
        }
    }
    let summary = cases.into_iter().zip(times).map(|(case, mut times)| {
        times.sort_unstable();
        Timing { name: case.name, best: times[0] / PACKETS as u32, median: times[TURNS / 2] / PACKETS as u32 }
    });
    summary.collect()
}

fn seal_and_open<'a>(name: &str, backend: &'a impl Backend, len: usize) -> Vec<Case<'a>> {
    let seal_all = move |batch: &mut Batch| batch.packets().for_each(|(index, _, out)| seal(backend, index, len, out));
    let open_all = move |batch: &mut Batch| batch.packets().for_each(|(index, _, out)| open(backend, index, len, out));
    let case = |what, prepare, work| Case { name: format!("{name} {what}"), prepare, work };
    vec![case("seal", Box::new(|_| ()), Box::new(seal_all)), case("open", Box::new(seal_all), Box::new(open_all))]
}

/// The send path's work: every segment out of one buffer into the next, sealed. The sum is the TCP checksum's, which
/// has to be computed over each segment before it is sealed.
fn cutting<'a>(ring: &'a Ring, aws_lc: &'a AwsLc, rust_crypto: &'a RustCrypto) -> Vec<Case<'a>> {
    fn case<'a>(name: &str, work: impl Fn(usize, &[u8], &mut [u8]) + 'a) -> Case<'a> {
        let work = move |batch: &mut Batch| {
            batch.packets().for_each(|(index, plaintext, out)| work(index, plaintext, out));
            black_box(&batch.out);
        };
        Case { name: name.to_owned(), prepare: Box::new(|_| ()), work: Box::new(work) }
    }
    fn copy_and_seal(backend: &impl Backend) -> impl Fn(usize, &[u8], &mut [u8]) {
        move |index, plaintext, out| {
            copy(plaintext, out);
            seal(backend, index, SEGMENT, out);
        }
    }
    vec![
        case("copy", |_, plaintext, out| copy(plaintext, out)),
        case("sum", |_, plaintext, _| drop_number(sum(plaintext))),
        case("copy and sum in one loop", |_, plaintext, out| drop_number(copy_and_sum(plaintext, out))),
        case("ring, in place", |index, _, out| seal(ring, index, SEGMENT, out)),
        case("copy; ring", copy_and_seal(ring)),
        case("copy; aws-lc-rs", copy_and_seal(aws_lc)),
        case("copy; RustCrypto", copy_and_seal(rust_crypto)),
        case("aws-lc-rs, out of place", |index, plaintext, out| aws_lc.seal_into(nonce(index), &AAD, plaintext, out)),
        case("RustCrypto, out of place", |index, plaintext, out| {
            rust_crypto.seal_into(nonce(index), &AAD, plaintext, out);
        }),
        case("copy; sum; ring", |index, plaintext, out| {
            copy(plaintext, out);
            drop_number(sum(&out[..SEGMENT]));
            seal(ring, index, SEGMENT, out);
        }),
        case("sum; aws-lc-rs, out of place", |index, plaintext, out| {
            drop_number(sum(plaintext));
            aws_lc.seal_into(nonce(index), &AAD, plaintext, out);
        }),
    ]
}

fn seal(backend: &impl Backend, index: usize, len: usize, out: &mut [u8]) {
    let (ciphertext, rest) = out.split_at_mut(len);
    rest[..16].copy_from_slice(&backend.seal(nonce(index), &AAD, ciphertext));
}

fn open(backend: &impl Backend, index: usize, len: usize, out: &mut [u8]) {
    let (ciphertext, rest) = out.split_at_mut(len);
    let tag = rest.first_chunk().expect("the gap holds a tag");
    assert!(backend.open(nonce(index), &AAD, ciphertext, tag), "what was sealed opens");
}

fn copy(plaintext: &[u8], out: &mut [u8]) {
    out[..plaintext.len()].copy_from_slice(plaintext);
}

/// The internet checksum's sum in wide words; which end of a word comes first does not change what it costs.
fn sum(bytes: &[u8]) -> u64 {
    bytes.as_chunks::<4>().0.iter().fold(0, |sum, word| sum + u64::from(u32::from_ne_bytes(*word)))
}

fn copy_and_sum(plaintext: &[u8], out: &mut [u8]) -> u64 {
    let words = plaintext.as_chunks::<4>().0.iter().zip(out.as_chunks_mut::<4>().0);
    words.fold(0, |sum, (word, out)| {
        *out = *word;
        sum + u64::from(u32::from_ne_bytes(*word))
    })
}

fn drop_number(number: u64) {
    black_box(number);
}

fn nonce(index: usize) -> [u8; 12] {
    let mut nonce = [0xa0; 12];
    nonce[4..].copy_from_slice(&(index as u64).to_be_bytes());
    nonce
}

/// Bytes of plaintext.
const SIZES: [usize; 3] = [64, 512, 1400];
/// The segments of a super-packet of 64 KiB at an inner MTU of 1466.
const PACKETS: usize = 44;
/// Bytes of plaintext of a segment, the TCP header and the ESP trailer included.
const SEGMENT: usize = 1400;
/// What stands between two ciphertexts: a tag and the next ESP header.
const GAP: usize = 24;
/// Enough for the median to be the same from run to run; a minute in all.
const TURNS: usize = 4000;

const KEY: [u8; 32] = [0x42; 32];
const AAD: [u8; 8] = [0x80, 0, 0, 1, 0, 0, 0, 2];
