//! The buffer of one batched receive: slots with room around each datagram for opening it in place.
//!
//! A slot holds one datagram or, with segmentation offload, several of one sender in a row. They are handed out in
//! order of arrival; whoever opens one may write over those before it, never over those behind it.

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

/// A received datagram, in the slot that holds it.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    /// The whole slot, to be written at will in front of the datagram.
    pub(crate) slot: &'a mut [u8],
    /// Where the datagram lies in it.
    pub(crate) datagram: Range<usize>,
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// Congestion bits of its IP header.
    pub(crate) ecn: Ecn,
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

    /// Hands out every datagram of the last receive, in order.
    pub(crate) fn for_each(&mut self, mut handle: impl FnMut(Received<'_>)) {
        let slot_len = self.headroom + CONTENT_LEN + self.tailroom;
        let slots = self.buffer.chunks_exact_mut(slot_len);
        for (slot, meta) in slots.zip(&self.metas[..self.filled]) {
            let end = self.headroom + meta.len.min(CONTENT_LEN);
            let ecn = meta.ecn.map_or(Ecn::NotEct, |ecn| Ecn::from_bits(ecn as u8));
            let mut start = self.headroom;
            loop {
                let stop = start.saturating_add(meta.stride.max(1)).min(end);
                handle(Received { slot: &mut *slot, datagram: start..stop, from: meta.addr, ecn });
                start = stop;
                if start >= end {
                    break;
                }
            }
        }
    }
}

/// Datagrams, or runs of them, per receive: enough to spread one system call, few enough that a round stays short.
const SLOTS: usize = 16;

/// The longest UDP payload there is, and the longest run that receive offload makes.
const CONTENT_LEN: usize = 65_535;

#[cfg(test)]
mod tests {
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
        let mut seen = Vec::new();
        batch.for_each(|received| seen.push(received.slot[received.datagram].to_vec()));

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
        let mut seen = Vec::new();
        batch.for_each(|received| seen.push(received.datagram.len()));

        assert_eq!(seen, [0]);
    }
}
