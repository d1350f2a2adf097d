//! The room that one receive fills: runs of frames as the kernel joined them, one sender each.
//!
//! Nothing is decided here. Frames stay where they arrived until they are sent on.

use std::io::{self, IoSliceMut};
use std::ops::Range;

use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta};

use super::End;

/// Room for as many runs as one system call brings; pages that no frame reaches are never touched.
#[derive(Debug)]
pub(super) struct Batch {
    buffer: Box<[u8]>,
    metas: [RecvMeta; BATCH_SIZE],
    filled: usize,
}

/// Frames of one sender that arrived in a row.
#[derive(Debug)]
pub(super) struct Run<'a> {
    /// Who sent them, and to which of our addresses.
    pub(super) from: End,
    /// The congestion bits of all of them.
    pub(super) ecn: Option<EcnCodepoint>,
    /// The length of each, of the last at most.
    pub(super) stride: usize,
    /// Where `bytes` are in the batch.
    pub(super) start: usize,
    /// The frames, one behind the other.
    pub(super) bytes: &'a mut [u8],
}

impl Batch {
    pub(super) fn new() -> Self {
        let buffer = vec![0; BATCH_SIZE * SLOT].into_boxed_slice();
        Self { buffer, metas: [RecvMeta::default(); BATCH_SIZE], filled: 0 }
    }

    /// Lets `receive` fill the slots and say how many it did.
    pub(super) fn fill(
        &mut self,
        receive: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<()> {
        self.filled = 0;
        let mut slots = self.buffer.chunks_exact_mut(SLOT);
        let mut slots: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        self.filled = receive(&mut slots, &mut self.metas)?;
        Ok(())
    }

    /// What the last receive brought, in order of arrival.
    pub(super) fn runs(&mut self) -> impl Iterator<Item = Run<'_>> {
        let slots = self.buffer.chunks_exact_mut(SLOT);
        slots.zip(&self.metas[..self.filled]).enumerate().map(|(index, (slot, meta))| Run {
            from: End { device: meta.addr, own: meta.dst_ip },
            ecn: meta.ecn,
            // an empty datagram has none
            stride: meta.stride.max(1),
            start: index * SLOT,
            bytes: &mut slot[..meta.len.min(SLOT)],
        })
    }

    /// Frames as they are by now; `range` counts from the start of the batch.
    pub(super) fn frames(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }
}

/// No UDP payload is longer, nor any run of them that a kernel joins.
const SLOT: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_come_out_as_they_came_in_and_can_be_found_again() {
        let mut batch = Batch::new();
        let meta = |len, stride| RecvMeta { len, stride, ..RecvMeta::default() };

        batch
            .fill(|slots, metas| {
                slots[0][..5].copy_from_slice(b"aabbc");
                slots[2][..3].copy_from_slice(b"ddd");
                metas[..3].copy_from_slice(&[meta(5, 2), meta(0, 0), meta(3, 3)]);
                Ok(3)
            })
            .unwrap();
        let seen: Vec<_> = batch.runs().map(|run| (run.start, run.stride, run.bytes.to_vec())).collect();

        assert_eq!(seen, [(0, 2, b"aabbc".to_vec()), (SLOT, 1, Vec::new()), (2 * SLOT, 3, b"ddd".to_vec())]);
        assert_eq!(batch.frames(2 * SLOT..2 * SLOT + 3), b"ddd");
    }
}
