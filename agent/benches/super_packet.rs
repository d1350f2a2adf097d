//! What a super-packet costs on its way out and in: cut into segments, sealed; opened, joined again.
//!
//! `cargo bench -p warren-agent`. 44 TCP segments of 1414 bytes, as a host with offloads hands them over at an inner MTU of
//! 1466. The figures are of the whole super-packet; system calls are not in them.

use std::cell::RefCell;
use std::hint::black_box;
use std::net::IpAddr;
use std::ops::Range;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use warren_agent::data_plane::coalesce::{Coalescer, Delivery};
use warren_agent::data_plane::segment::Cut;
use warren_agent::tun::virtio::{PartialChecksum, Segmentation, Transport};
use warren_agent::tun::{Joins, Offload};
use warren_proto::crypto::Suite;
use warren_proto::inner::{self, Form, Template, checksum};
use warren_proto::io::Ecn;
use warren_proto::keys::{NodeId, Spi};
use warren_proto::session::{Content, HEADROOM, InboundSa, NextHeader, OutboundSa, SaParams, TAILROOM};

criterion_group!(benches, outbound, inbound);
criterion_main!(benches);

fn outbound(criterion: &mut Criterion) {
    let (packet, mut sender) = (super_packet(), Sender::new());
    let mut group = group(criterion, "outbound");

    group.bench_function("segment", |bencher| bencher.iter(|| sender.segment(black_box(&packet))));
    group.bench_function("segment and seal", |bencher| {
        bencher.iter(|| sender.segment_and_seal(black_box(&packet)));
    });
}

fn inbound(criterion: &mut Criterion) {
    let (packet, mut sender, receiver) = (super_packet(), Sender::new(), RefCell::new(Receiver::new()));
    let mut group = group(criterion, "inbound");
    // Both change what they work on, which is brought back while the clock stands still, to the same place.
    let mut sealed = || {
        sender.segment_and_seal(&packet);
        receiver.borrow_mut().take(&sender);
    };
    sealed();
    receiver.borrow_mut().open();
    let opened = receiver.borrow().run.clone();
    assert_eq!(receiver.borrow_mut().join(), (1, SEGMENTS), "what was cut is joined to one packet again");

    group.bench_function("coalesce", |bencher| {
        let restored = || receiver.borrow_mut().run.copy_from_slice(&opened);
        bencher.iter_batched(restored, |()| receiver.borrow_mut().join(), ALTERNATELY);
    });
    group.bench_function("open", |bencher| {
        bencher.iter_batched(&mut sealed, |()| receiver.borrow_mut().open(), ALTERNATELY);
    });
    group.bench_function("open and coalesce", |bencher| {
        let open_and_join = || {
            let mut receiver = receiver.borrow_mut();
            receiver.open();
            receiver.join()
        };
        bencher.iter_batched(&mut sealed, |()| open_and_join(), ALTERNATELY);
    });
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes((SEGMENTS * PAYLOAD_LEN) as u64));
    group
}

/// The outbound thread's work between its two system calls.
struct Sender {
    sa: OutboundSa,
    /// Datagrams in a row, as one send takes them.
    run: Vec<u8>,
    datagrams: Vec<Range<usize>>,
}

impl Sender {
    fn new() -> Self {
        let sa = OutboundSa::new(params(SENDER, RECEIVER));
        let run = vec![0; HEADROOM + SEGMENTS * sa.sealed_len(TCP_LEN + PAYLOAD_LEN) + TAILROOM];
        Self { sa, run, datagrams: Vec::with_capacity(SEGMENTS) }
    }

    fn segment(&mut self, packet: &[u8]) {
        let cut = self.cut(packet);
        let stride = self.sa.sealed_len(cut.len(0, Form::Transport));
        for index in 0..cut.count() {
            let place = &mut self.run[HEADROOM + index * stride + self.sa.prefix_len()..];
            cut.write(index, Form::Transport, place);
        }
    }

    fn segment_and_seal(&mut self, packet: &[u8]) {
        let cut = self.cut(packet);
        let Ok(numbers) = self.sa.reserve(SEGMENTS as u32) else { panic!("there are 2^31 numbers") };
        let mut start = HEADROOM + self.sa.prefix_len();
        self.datagrams.clear();
        for (index, number) in numbers.enumerate() {
            let payload = start..start + cut.len(index, Form::Transport);
            cut.write(index, Form::Transport, &mut self.run[payload.clone()]);
            let datagram = number.seal(&mut self.run, payload, NextHeader::Transport(TCP));
            start = datagram.end + self.sa.prefix_len();
            self.datagrams.push(datagram);
        }
    }

    fn cut<'a>(&self, packet: &'a [u8]) -> Cut<'a> {
        let (outline, form) = self.sa.classify(packet).expect("an ordinary packet");
        assert_eq!(form, Form::Transport);
        let segmentation = Segmentation {
            transport: Transport::Tcp4,
            size: PAYLOAD_LEN as u16,
            header_len: (IP_LEN + TCP_LEN) as u16,
        };
        let checksum = PartialChecksum { start: IP_LEN as u16, offset: TCP_CHECKSUM as u16 };
        let offload = Offload { checksum: Some(checksum), segmentation: Some(segmentation) };
        Cut::new(packet, &outline, &offload).expect("the offload fits the packet")
    }
}

/// The inbound thread's.
struct Receiver {
    sa: InboundSa,
    /// Datagrams in a row, as one receive brings them.
    run: Vec<u8>,
    datagrams: Vec<Range<usize>>,
    contents: Vec<Content>,
    coalescer: Coalescer,
}

impl Receiver {
    fn new() -> Self {
        Self {
            sa: InboundSa::new(params(RECEIVER, SENDER)),
            run: Vec::new(),
            datagrams: Vec::new(),
            contents: Vec::with_capacity(SEGMENTS),
            coalescer: Coalescer::new(Joins { tcp: true, udp: true }),
        }
    }

    fn take(&mut self, sender: &Sender) {
        self.run.clone_from(&sender.run);
        self.datagrams.clone_from(&sender.datagrams);
    }

    fn open(&mut self) {
        let refused = |reason| panic!("{reason:?}");
        self.sa.open_run(&mut self.run, self.datagrams.iter().cloned(), &mut self.contents, refused);
    }

    /// Joins what was opened last, and counts packets and segments.
    fn join(&mut self) -> (usize, usize) {
        let run = &mut self.run;
        for content in &self.contents {
            let Ok((NextHeader::Transport(protocol), at)) = content.read(run) else { panic!("it was sent so") };
            let early = |_: Delivery<'_>| panic!("one packet is not too many");
            self.coalescer
                .add_segment(run, at, (&self.sa, protocol, Ecn::NotEct), early)
                .expect("a segment is no longer than a packet");
        }
        let (mut packets, mut segments) = (0, 0);
        self.coalescer.send_all(run, |delivery| {
            black_box(delivery.parts);
            (packets, segments) = (packets + 1, segments + delivery.count);
        });
        (packets, segments)
    }
}

/// A TCP super-packet as a TUN device with offloads gives it: its checksum is the pseudo-header's alone.
fn super_packet() -> Vec<u8> {
    let segment_len = TCP_LEN + SEGMENTS * PAYLOAD_LEN;
    let template = Template::new(SENDER, RECEIVER, TTL).expect("one family");
    let mut packet = vec![0; IP_LEN];
    template.rebuild(&mut packet, TCP, Ecn::NotEct, segment_len).expect("below 64 KiB");
    let pseudo = inner::pseudo_header_sum(&packet, TCP, segment_len).expect("an IP header");
    // ports, sequence, acknowledgement, eight words of header with ACK, window, checksum, urgent pointer
    packet.extend([0x30, 0x39, 0x14, 0x51, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    packet[IP_LEN + TCP_CHECKSUM..][..2].copy_from_slice(&checksum::unfinished(pseudo).to_be_bytes());
    // two words of padding and the timestamps that nearly every host sends
    packet.extend([1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9]);
    packet.extend((0..SEGMENTS * PAYLOAD_LEN).map(|index| index as u8));
    packet
}

fn params(local: IpAddr, remote: IpAddr) -> SaParams {
    SaParams {
        suite: Suite::default(),
        spi: Spi::new(0x8765_4320).expect("a tagged word"),
        key_material: [0x42; 36].into(),
        peer: NodeId::new([9; 16]),
        local,
        remote,
        ttl: TTL,
        routes: Vec::new(),
    }
}

const SENDER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(100, 64, 0, 1));
const RECEIVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(100, 64, 0, 2));
const TTL: u8 = 64;

/// One is prepared and one is timed, in turns: two looks at the clock are lost in a super-packet.
const ALTERNATELY: BatchSize = BatchSize::NumIterations(1);

/// What fills 64 KiB at an inner MTU of 1466.
const SEGMENTS: usize = 44;
const PAYLOAD_LEN: usize = 1414;

/// Bytes of IPv4 header, and of TCP header with timestamps.
const IP_LEN: usize = 20;
const TCP_LEN: usize = 32;
const TCP_CHECKSUM: usize = 16;
const TCP: u8 = 6;
