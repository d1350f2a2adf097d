//! The packet threads allocate nothing in steady state, counted over the whole process: hence a binary of its own.

#![expect(clippy::unwrap_used, reason = "in a helper, too, it fails the test")]

#[path = "../it/common/mod.rs"]
#[expect(dead_code, reason = "this test needs only a part of it")]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use warren_proto::io::Ecn;
use warren_proto::keys::Family;

use common::packet::{Packet, UDP};

#[test]
fn forwarding_a_packet_allocates_nothing() {
    let (one, two) = common::pair(Family::V4);
    let canonical = Packet { ecn: Ecn::Ect0, ..Packet::v4(1, 2, UDP) }.filled(1200, 1);
    let whole = Packet { ttl: 3, ..Packet::v6(1, 2, UDP) }.filled(1200, 1);
    let exchange = |count: u64| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..count {
            for packet in [&canonical, &whole] {
                one.end.send(packet).unwrap();
                assert_eq!(two.receive(), *packet);
            }
        }
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    exchange(100);

    let allocations = exchange(1000);

    // the test's own receiving end makes one buffer a packet
    assert_eq!(allocations, 2000);
}

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: passes every call on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same there.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`; the pointer came from the same allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}
