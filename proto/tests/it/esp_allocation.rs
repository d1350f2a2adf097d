//! Sealing and opening in the steady state allocate nothing, counted by an allocator of the test's own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use warren_proto::crypto::Suite;
use warren_proto::io::Ecn;
use warren_proto::keys::Family;
use warren_proto::session::HEADROOM;

use crate::esp_pair::{Pair, TTL, buffer, packet};

#[test]
fn sealing_and_opening_packets_allocates_nothing() {
    for suite in Suite::ALL {
        for ttl in [TTL, TTL - 1] {
            let pair = Pair::new(suite, Family::V4);
            let inner = packet(Family::V4, 17, ttl, Ecn::NotEct, &[7; 1200]);
            let mut buffer = buffer(&inner);
            let packet = HEADROOM..HEADROOM + inner.len();

            let before = ALLOCATIONS.get();
            for _ in 0..100 {
                let sealed = pair.outbound.seal_packet(&mut buffer, packet.clone()).unwrap();
                pair.inbound.open(&mut buffer, sealed.datagram, sealed.ecn).unwrap();
            }

            assert_eq!(ALLOCATIONS.get(), before);
            assert_eq!(buffer[packet], inner);
        }
    }
}

thread_local! {
    /// Allocations of this thread; tests run in parallel.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: passes every call on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`, which is the same there.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`; the pointer came from the same allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}
