//! The buffer of one batched receive: slots with room around each datagram for opening it in place.
//!
//! A slot holds one datagram or, with segmentation offload, a run of one sender's datagrams in a row. They may be opened
//! where they lie, all of them before any is used.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::ops::Range;

use quinn_udp::RecvMeta;
use warren_proto::io::Ecn;

/// Reusable room for [`SLOTS`] receives of any size; pages that no datagram reaches are never touched.
#[derive(Debug)]
pub(crate) struct Batch {
    buffer: Box<[u8]>,
    headroom: usize,
    tailroom: usize,
    metas: [RecvMeta; SLOTS],
    filled: usize,
}

/// Datagrams of one sender in a row, in the buffer of the batch.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Where they lie.
    pub(crate) range: Range<usize>,
    /// Bytes of each but the last; at least 1.
    pub(crate) stride: usize,
    /// Who sent them.
    pub(crate) from: SocketAddr,
    /// Congestion bits of their IP headers.
    pub(crate) ecn: Ecn,
}

impl Run {
    /// Where each datagram lies, in order; an empty datagram is one, too.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let Self { range, stride, .. } = self.clone();
        let count = range.len().div_ceil(stride).max(1);
        (0..count).map(move |index| {
            let start = range.start + index * stride;
            start..(start + stride).min(range.end)
        })
    }
}

impl Batch {
    /// Room for datagrams with this much free space before and after each slot's content.
    pub(crate) fn new(headroom: usize, tailroom: usize) -> Self {
        let buffer = vec![0; SLOTS * (headroom + CONTENT_LEN + tailroom)].into_boxed_slice();
        Self { buffer, headroom, tailroom, metas: [RecvMeta::default(); SLOTS], filled: 0 }
    }

    /// Lets `receive` fill the slots and note how many it did.
    pub(super) fn fill(
        &mut self,
        receive: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<()> {
        self.filled = 0;
        let content = self.headroom..self.headroom + CONTENT_LEN;
        let mut slots = self.buffer.chunks_exact_mut(content.end + self.tailroom);
        let mut buffers: [IoSliceMut<'_>; SLOTS] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().map_or(&mut [], |slot| &mut slot[content.clone()])));
        self.filled = receive(&mut buffers, &mut self.metas)?.min(SLOTS);
        Ok(())
    }

    /// The buffer, and the runs of the last receive in order.
    pub(crate) fn runs(&mut self) -> (&mut [u8], impl Iterator<Item = Run>) {
        let (headroom, slot_len) = (self.headroom, self.headroom + CONTENT_LEN + self.tailroom);
        let runs = self.metas[..self.filled].iter().enumerate().map(move |(index, meta)| {
            let start = index * slot_len + headroom;
            Run {
                range: start..start + meta.len.min(CONTENT_LEN),
                stride: meta.stride.max(1),
                from: meta.addr,
                ecn: meta.ecn.map_or(Ecn::NotEct, |ecn| Ecn::from_bits(ecn as u8)),
            }
        });
        (&mut self.buffer, runs)
    }
}

/// Datagrams, or runs of them, per receive: enough to spread one system call, few enough that a round stays short.
const SLOTS: usize = 16;

/// The longest UDP payload there is, and the longest run that receive offload makes.
const CONTENT_LEN: usize = 65_535;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn meta(len: usize, stride: usize) -> RecvMeta {
        RecvMeta { len, stride, ..RecvMeta::default() }
    }

    #[test]
    fn a_run_of_datagrams_in_one_slot_is_handed_out_one_by_one() {
        let mut batch = Batch::new(64, 32);

        batch
            .fill(|buffers, metas| {
                buffers[0][..5].copy_from_slice(b"aabbc");
                buffers[1][..3].copy_from_slice(b"ddd");
                metas[0] = meta(5, 2);
                metas[1] = meta(3, 3);
                Ok(2)
            })
            .unwrap();
        let seen: Vec<_> = datagrams(&mut batch).into_iter().map(|(_, bytes)| bytes).collect();

        assert_eq!(seen, [&b"aa"[..], b"bb", b"c", b"ddd"]);
    }

    #[test]
    fn an_empty_datagram_is_handed_out_once() {
        let mut batch = Batch::new(64, 32);

        batch
            .fill(|_, metas| {
                metas[0] = meta(0, 0);
                Ok(1)
            })
            .unwrap();

        assert_eq!(datagrams(&mut batch), [(Ecn::NotEct, Vec::new())]);
    }

    /// Every datagram of the last receive, in order.
    pub(in crate::udp) fn datagrams(batch: &mut Batch) -> Vec<(Ecn, Vec<u8>)> {
        let (buffer, runs) = batch.runs();
        let places = |run: Run| run.datagrams().map(move |at| (run.ecn, at)).collect::<Vec<_>>();
        runs.flat_map(places).map(|(ecn, at)| (ecn, buffer[at].to_vec())).collect()
    }
}
