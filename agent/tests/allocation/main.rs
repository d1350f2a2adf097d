//! The packet threads allocate nothing in steady state, counted over the whole process: hence a binary of its own.

#![expect(clippy::unwrap_used, reason = "in a helper, too, it fails the test")]

#[path = "../it/common/mod.rs"]
#[expect(dead_code, reason = "these tests need only a part of it")]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use warren_agent::tun::virtio::{PartialChecksum, Segmentation, Transport};
use warren_agent::tun::{Joins, Offload};
use warren_proto::io::Ecn;
use warren_proto::keys::Family;

use common::packet::{Packet, UDP};
use common::reference::{self, Tcp, ip_header, packet, udp, unfinished};
use common::{Host, PATIENCE};

#[test]
fn forwarding_allocates_nothing() {
    packets_one_by_one();
    super_packets_both_ways();
}

fn packets_one_by_one() {
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

fn super_packets_both_ways() {
    let joins = Joins { tcp: true, udp: true };
    let (one, two) = (Host::with_offloads(1, joins, true), Host::with_offloads(2, joins, true));
    common::connect(&one, &two, Family::V4);
    let payload = [7; 60_000];
    let tcp = |from, to| unfinished(packet(&ip_header(false, from, to, reference::TCP), &Tcp::new(1).with(&payload)));
    let udp = |from, to| unfinished(packet(&ip_header(true, from, to, UDP), &udp([1, 2], &payload)));
    let journeys = [(&one, &two, tcp(1, 2)), (&two, &one, tcp(2, 1)), (&one, &two, udp(1, 2)), (&two, &one, udp(2, 1))];
    let exchange = |count: u64| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let mut received = 0;
        for _ in 0..count {
            for (from, to, packet) in &journeys {
                from.end.send_unfinished(&offload(packet), packet).unwrap();
                let mut payload_len = 0;
                while payload_len < payload.len() {
                    let (packet, _) = to.end.receive_joined(PATIENCE).unwrap().expect("a packet within the time");
                    payload_len += packet.len() - headers_len(&packet);
                    received += 1;
                }
            }
        }
        (ALLOCATIONS.load(Ordering::Relaxed) - before, received)
    };
    exchange(100);

    let (allocations, received) = exchange(500);

    // the test's own receiving end makes one buffer a packet, of which there are fewer than segments
    assert_eq!(allocations, received);
    assert!(received < 500 * 4 * 43, "{received} packets arrived, so that nothing was joined");
}

fn offload(packet: &[u8]) -> Offload {
    let transport = if packet[0] >> 4 == 4 { Transport::Tcp4 } else { Transport::Udp };
    let (start, offset) = if transport == Transport::Tcp4 { (20, 16) } else { (40, 6) };
    let header_len = headers_len(packet) as u16;
    Offload {
        checksum: Some(PartialChecksum { start, offset }),
        segmentation: Some(Segmentation { transport, size: 1400, header_len }),
    }
}

/// TCP over IPv4, and UDP over IPv6.
fn headers_len(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 4 { 40 } else { 48 }
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
