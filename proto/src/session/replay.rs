//! Which sequence numbers have been seen: the ring of RFC 6479, 8,192 bits of which 8,128 are usable.
//!
//! The window is a ring of 128 words of 64 bits. A number's word is `number / 64 mod 128`, so the window moves by
//! clearing words ahead of it and never shifts; the word being filled is the one that is given up for that.
//!
//! ```text
//!   number   .. | top-8191 ..            top-8127 |  ............................  | top |  top+1 ..
//!               |  too old: its word may be given  |  in the window: bit set = seen |     |  clears words, moves top
//!
//!   ring      [ w0 ][ w1 ][ w2 ] .. [ w k-1 ][ w k ][ w k+1 ] .. [ w127 ]
//!                                      newest full ^     ^ oldest, next to be cleared
//!                                             top lies in w k
//! ```
//!
//! A number is *looked at* before decryption and *entered* only after its ICV has verified: a forged packet with a
//! huge number must not move the window (RFC 4303 section 3.4.3).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::io::Discard;

/// A window that several threads share.
#[derive(Default)]
pub(super) struct ReplayGuard {
    /// Copy of the window's top, written under the lock and read without it.
    top: AtomicU32,
    committed: AtomicU64,
    window: Mutex<Window>,
}

impl ReplayGuard {
    /// Drops what is certainly old, without the lock. The top may be stale by some packets: it only ever grows, so
    /// nothing that the window would take is dropped here.
    pub(super) fn precheck(&self, sequence: u32) -> Result<(), Discard> {
        check_age(self.top.load(Ordering::Relaxed), sequence)
    }

    /// Enters the number of an authentic packet, or refuses it as old or seen.
    pub(super) fn commit(&self, sequence: u32) -> Result<(), Discard> {
        let mut window = self.lock();
        window.commit(sequence)?;
        self.top.store(window.top, Ordering::Relaxed);
        // the lock orders writers, so no atomic addition is needed
        self.committed.store(self.committed.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(())
    }

    /// Enters the numbers of a batch under one lock and keeps those items whose number was neither old nor seen.
    pub(super) fn commit_all<T>(
        &self,
        batch: &mut Vec<T>,
        sequence: impl Fn(&T) -> u32,
        mut refused: impl FnMut(Discard),
    ) {
        let mut window = self.lock();
        batch.retain(|item| window.commit(sequence(item)).inspect_err(|reason| refused(*reason)).is_ok());
        self.top.store(window.top, Ordering::Relaxed);
        self.committed.store(self.committed.load(Ordering::Relaxed) + batch.len() as u64, Ordering::Relaxed);
    }

    /// How many numbers have been entered.
    pub(super) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Nothing under the lock can panic, so a poisoned window is still whole.
    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The window itself.
struct Window {
    top: u32,
    words: [u64; WORDS],
}

impl Default for Window {
    fn default() -> Self {
        Self { top: 0, words: [0; WORDS] }
    }
}

impl Window {
    fn commit(&mut self, sequence: u32) -> Result<(), Discard> {
        check_age(self.top, sequence)?;
        self.advance(sequence);
        let word = &mut self.words[slot(sequence / BITS)];
        let bit = 1 << (sequence % BITS);
        if *word & bit != 0 {
            return Err(Discard::ReplayDuplicate);
        }
        *word |= bit;
        Ok(())
    }

    /// Moves the top to `sequence` if that is ahead, clearing every word it enters.
    fn advance(&mut self, sequence: u32) {
        if sequence <= self.top {
            return;
        }
        let (old, new) = (self.top / BITS, sequence / BITS);
        let entered = (new - old).min(WORDS as u32);
        for index in 0..entered {
            self.words[slot(new - index)] = 0;
        }
        self.top = sequence;
    }
}

/// 0 is never sent without extended sequence numbers; what lies `WINDOW` or more behind the top cannot be told.
const fn check_age(top: u32, sequence: u32) -> Result<(), Discard> {
    if sequence == 0 || top.saturating_sub(sequence) >= WINDOW { Err(Discard::ReplayOld) } else { Ok(()) }
}

/// Where in the ring the word with this index lies.
const fn slot(index: u32) -> usize {
    index as usize % WORDS
}

/// Bits of a word.
const BITS: u32 = u64::BITS;

/// 1 KiB for each association; 8 ms of reordering at a million packets per second.
const WORDS: usize = 128;

/// One word is always partly in the future.
const WINDOW: u32 = (WORDS as u32 - 1) * BITS;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zero_is_never_accepted() {
        let guard = ReplayGuard::default();

        assert_eq!(guard.precheck(0), Err(Discard::ReplayOld));
        assert_eq!(guard.commit(0), Err(Discard::ReplayOld));
        assert_eq!(guard.commit(1), Ok(()));
        assert_eq!(guard.commit(0), Err(Discard::ReplayOld));
    }

    #[test]
    fn the_top_is_not_accepted_twice() {
        let guard = ReplayGuard::default();
        guard.commit(5).unwrap();

        assert_eq!(guard.precheck(5), Ok(()));
        assert_eq!(guard.commit(5), Err(Discard::ReplayDuplicate));
        assert_eq!(guard.committed(), 1);
    }

    #[test]
    fn a_late_packet_inside_the_window_is_accepted_and_one_behind_it_is_not() {
        for top in [8_192, 10_000, 10_047, 10_048, 1 << 31, u32::MAX] {
            let guard = ReplayGuard::default();
            guard.commit(top).unwrap();

            assert_eq!(guard.commit(top - 8_127), Ok(()), "top {top}");
            assert_eq!(guard.precheck(top - 8_128), Err(Discard::ReplayOld), "top {top}");
            assert_eq!(guard.commit(top - 8_128), Err(Discard::ReplayOld), "top {top}");
            assert_eq!(guard.commit(top - 8_127), Err(Discard::ReplayDuplicate), "top {top}");
        }
    }

    #[test]
    fn a_jump_beyond_the_ring_forgets_every_bit() {
        let guard = ReplayGuard::default();
        for sequence in 1..=8_192 {
            guard.commit(sequence).unwrap();
        }
        let top = 8_192 + 8_192 + 5;
        guard.commit(top).unwrap();

        for sequence in top - 8_127..top {
            assert_eq!(guard.commit(sequence), Ok(()), "{sequence}");
        }
    }

    #[test]
    fn the_largest_number_is_reached_from_anywhere() {
        let guard = ReplayGuard::default();
        guard.commit(1).unwrap();

        assert_eq!(guard.commit(u32::MAX), Ok(()));
        assert_eq!(guard.commit(u32::MAX), Err(Discard::ReplayDuplicate));
        assert_eq!(guard.commit(u32::MAX - 1), Ok(()));
        assert_eq!(guard.commit(1), Err(Discard::ReplayOld));
    }

    #[test]
    fn of_a_batch_only_the_new_are_kept_and_the_others_are_told() {
        let guard = ReplayGuard::default();
        guard.commit(9_000).unwrap();
        let (mut batch, mut refused) = (vec![9_001, 9_000, 8_999, 9_001, 1, 9_002], Vec::new());

        guard.commit_all(&mut batch, |number| *number, |reason| refused.push(reason));

        assert_eq!(batch, [9_001, 8_999, 9_002]);
        assert_eq!(refused, [Discard::ReplayDuplicate, Discard::ReplayDuplicate, Discard::ReplayOld]);
        assert_eq!(guard.committed(), 4);
        assert_eq!(guard.precheck(9_002 - 8_128), Err(Discard::ReplayOld));
    }

    #[test]
    fn two_threads_never_both_enter_a_number() {
        let guard = ReplayGuard::default();
        let accepted = || (1..=20_000).filter(|sequence| guard.commit(*sequence).is_ok()).count();

        let total = std::thread::scope(|scope| {
            let other = scope.spawn(accepted);
            accepted() + other.join().unwrap()
        });

        assert!(total <= 20_000);
        assert_eq!(guard.committed(), total as u64);
    }

    proptest! {
        #[test]
        fn the_ring_agrees_with_a_set_of_all_numbers_seen(
            start in prop_oneof![Just(0_u32), Just(u32::MAX - 100_000), any::<u32>().prop_map(|n| n / 2)],
            steps in prop::collection::vec(
                prop_oneof![8 => -200_i64..200, 2 => -9_000_i64..9_000, 1 => 0_i64..40_000],
                1..400,
            ),
        ) {
            let mut window = Window::default();
            let (mut seen, mut top) = (BTreeSet::new(), 0_u32);

            for step in steps {
                let base = i64::from(top.max(start));
                let sequence = u32::try_from((base + step).clamp(0, i64::from(u32::MAX))).unwrap();
                let old = sequence == 0 || u64::from(sequence) + 8_128 <= u64::from(top);
                let expected = match (old, seen.contains(&sequence)) {
                    (true, _) => Err(Discard::ReplayOld),
                    (false, true) => Err(Discard::ReplayDuplicate),
                    (false, false) => Ok(()),
                };
                prop_assert_eq!(window.commit(sequence), expected);
                if expected.is_ok() {
                    seen.insert(sequence);
                    top = top.max(sequence);
                }
            }
        }
    }
}
