//! The corpus of the agent's fuzz targets, replayed through the same functions on a stable compiler.

#[path = "../../../fuzz/agent/entries.rs"]
mod entries;
#[path = "../../../fuzz/replay.rs"]
mod replay;

use std::path::PathBuf;

use warren_agent::tun::Offload;
use warren_agent::tun::virtio::{PartialChecksum, Segmentation, Transport};

use crate::common::reference::{self, ACK, PSH, TCP, Tcp, UDP, ip_header, packet, udp, unfinished};
use replay::Corpus;

#[test]
fn the_corpus_is_harmless() {
    corpus().replay();
}

#[test]
fn every_seed_cut_short_or_with_a_bit_turned_is_harmless() {
    corpus().replay_damaged();
}

#[test]
fn every_target_has_its_file_and_every_file_its_entry() {
    corpus().check_targets();
}

#[test]
#[ignore = "writes the seeds: for whoever changes a format"]
fn write_the_seeds() {
    corpus().write(seeds());
}

/// One good example of each kind, from which a fuzzer sets out.
fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (tcp, datagram) = (Tcp { flags: ACK | PSH, ..Tcp::new(1) }.with(&[7; 90]), udp([1, 2], &[7; 90]));
    let super_packet = |is_v6, protocol, transport, segment: &[u8]| {
        let whole = unfinished(packet(&ip_header(is_v6, 1, 2, protocol), segment));
        let start = if is_v6 { 40 } else { 20 };
        let offset = if protocol == TCP { 16 } else { 6 };
        let offload = Offload {
            checksum: Some(PartialChecksum { start, offset }),
            segmentation: Some(Segmentation { transport, size: 40, header_len: start + 20 }),
        };
        [&offload.encode()[..], &whole].concat()
    };
    let single = {
        let whole = unfinished(packet(&ip_header(true, 1, 2, UDP), &datagram));
        let checksum = Some(PartialChecksum { start: 40, offset: 6 });
        [&Offload { checksum, segmentation: None }.encode()[..], &whole].concat()
    };
    // how it comes: the low bits are family and protocol, the high ones how many follow
    let part = |how: u8, segment: &[u8]| [&[how, segment.len() as u8][..], segment].concat();
    let tcp_part = Tcp::new(1).with(&[7; 30]);
    let whole_part = |how: u8, segment: &[u8]| [&[how, segment.len() as u8 | 0x80][..], segment].concat();
    vec![
        ("cut", "tcp-v4", super_packet(false, TCP, Transport::Tcp4, &tcp)),
        ("cut", "tcp-v6", super_packet(true, TCP, Transport::Tcp6, &tcp)),
        ("cut", "udp-v4", super_packet(false, UDP, Transport::Udp, &datagram)),
        ("cut", "single-v6", single),
        ("coalesce", "tcp", [part(0x60, &tcp_part), part(0, &tcp), part(0x41, &tcp_part)].concat()),
        ("coalesce", "whole", [whole_part(0x60, &tcp_part), part(0, &tcp), whole_part(0x43, &datagram)].concat()),
        ("coalesce", "udp", [part(0xe2, &datagram), part(3, &datagram), part(0x12, &datagram)].concat()),
    ]
}

fn corpus() -> Corpus {
    // enough to meet every field of a header
    let mutations = 200;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/agent");
    Corpus { root, entries: entries::ALL, mutations }
}
