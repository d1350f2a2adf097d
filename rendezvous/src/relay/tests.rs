//! The relay over real sockets: what devices send in a row arrives whole, in order and where it belongs.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use warren_proto::keys::NodeId;

use super::*;
use crate::config::Offload;

#[test]
fn a_run_arrives_whole_and_in_order_under_the_peers_number() {
    let relay = Lab::start(Offload::On);
    let [anna, bert, _] = &relay.devices;
    let run = |channel| (0..40).map(|number| frame(channel, number, 1000)).collect::<Vec<_>>();

    anna.send(relay.addr(), None, &[run(ANNA_TO_BERT), vec![frame(ANNA_TO_BERT, 40, 20)]].concat());

    let heard = bert.hear(41);
    assert_eq!(heard.frames, [run(BERT_TO_ANNA), vec![frame(BERT_TO_ANNA, 40, 20)]].concat());
    assert!(heard.receives < 10, "{} receives: the run was taken apart", heard.receives);
    assert_eq!(relay.counters().forwarded, 41);
    assert_eq!(relay.counters().forwarded_bytes, 40 * 1000 + 20);
}

#[test]
fn channels_mixed_in_one_run_are_told_apart_and_junk_between_them_harms_nobody() {
    let relay = Lab::start(Offload::On);
    let [anna, bert, carl] = &relay.devices;
    let run: Vec<_> = (0..60)
        .map(|number| match number % 6 {
            0 | 1 => frame(ANNA_TO_BERT, number, 500),
            2 => frame(ANNA_TO_CARL, number, 500),
            3 => frame(BERT_TO_ANNA, number, 500),
            4 => vec![0xff; 508],
            _ => frame(77, number, 500),
        })
        .collect();

    anna.send(relay.addr(), None, &run);

    let of = |channel, kinds: &[u8]| {
        (0..60)
            .filter(|number| kinds.contains(&(number % 6)))
            .map(|number| frame(channel, number, 500))
            .collect::<Vec<_>>()
    };
    assert_eq!(bert.hear(20).frames, of(BERT_TO_ANNA, &[0, 1]));
    assert_eq!(carl.hear(10).frames, of(CARL_TO_ANNA, &[2]));
    let counters = relay.counters();
    assert_eq!(counters.forwarded, 30);
    assert_eq!(counters.dropped[Dropped::Source as usize], 10);
    assert_eq!(counters.dropped[Dropped::Malformed as usize], 10);
    assert_eq!(counters.dropped[Dropped::UnknownChannel as usize], 10);
}

#[test]
fn a_flood_of_junk_from_a_stranger_stops_nobody() {
    let relay = Lab::start(Offload::On);
    let [anna, bert, _] = &relay.devices;
    let stranger = Device::new(relay.addr());

    for number in 0..50 {
        for _ in 0..4 {
            stranger.send(relay.addr(), None, &vec![frame(ANNA_TO_BERT, 0, 1); 64]);
        }
        anna.send(relay.addr(), None, &[frame(ANNA_TO_BERT, number, 100)]);
        // one at a time: were the flood to fill the relay's buffer, that alone would lose frames
        assert_eq!(bert.hear(1).frames, [frame(BERT_TO_ANNA, number, 100)]);
    }

    assert_eq!(relay.counters().forwarded, 50);
    assert!(relay.counters().dropped[Dropped::Source as usize] > 0);
}

#[test]
fn congestion_bits_are_carried_across() {
    let relay = Lab::start(Offload::On);
    let [anna, bert, _] = &relay.devices;

    for ecn in [Some(EcnCodepoint::Ect0), Some(EcnCodepoint::Ce), None] {
        anna.send(relay.addr(), ecn, &[frame(ANNA_TO_BERT, 0, 100), frame(ANNA_TO_BERT, 1, 100)]);

        assert_eq!(bert.hear(2).ecn, ecn);
    }
}

#[test]
fn without_offload_every_frame_travels_alone() {
    let relay = Lab::start(Offload::Off);
    let [anna, bert, _] = &relay.devices;
    let run = |channel| (0..30).map(|number| frame(channel, number, 1000)).collect::<Vec<_>>();

    anna.send(relay.addr(), None, &run(ANNA_TO_BERT));

    let heard = bert.hear(30);
    assert_eq!(heard.frames, run(BERT_TO_ANNA));
    assert_eq!(heard.receives, 30);
    assert_eq!(relay.counters().forwarded, 30);
}

/// A server with several addresses: the kernel alone would send from the one that its routes name.
#[test]
fn each_device_hears_from_the_address_that_it_speaks_to() {
    let relay = Lab::listening((Ipv4Addr::UNSPECIFIED, 0).into(), Offload::On);
    let [anna, bert, carl] = &relay.devices;
    let run = |channel| (0..20).map(|number| frame(channel, number, 800)).collect::<Vec<_>>();

    anna.send(anna.relay, None, &run(ANNA_TO_BERT));
    anna.send(anna.relay, None, &run(ANNA_TO_CARL));

    assert_eq!(bert.hear(20).frames, run(BERT_TO_ANNA));
    assert_eq!(carl.hear(20).frames, run(CARL_TO_ANNA));
    assert_eq!(
        relay.devices.each_ref().map(|device| device.relay.ip().to_string()),
        ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    );
}

#[test]
fn a_stopped_relay_gives_its_port_back() {
    let relay = Lab::start(Offload::On);
    let addr = relay.addr();

    drop(relay);

    assert!(UdpSocket::bind(addr).is_ok());
}

/// A relay with three devices bound, and channels from the first to the two others.
struct Lab {
    relay: Relay,
    table: Arc<Mutex<Table>>,
    devices: [Device; 3],
}

impl Lab {
    fn start(offload: Offload) -> Self {
        Self::listening((Ipv4Addr::LOCALHOST, 0).into(), offload)
    }

    /// Where it listens on all addresses of this host, each device speaks to another.
    fn listening(listen: SocketAddr, offload: Offload) -> Self {
        let mut table = Table::new([9; 32]);
        for (device, token) in [(ANNA, 1), (BERT, 2), (CARL, 3)] {
            table.admit(device, [token; 16], Ipv4Addr::LOCALHOST.into());
        }
        table.open([(ANNA, ANNA_TO_BERT), (BERT, BERT_TO_ANNA)]);
        table.open([(ANNA, ANNA_TO_CARL), (CARL, CARL_TO_ANNA)]);
        let table = Arc::new(Mutex::new(table));
        let relay = Relay::start(listen, offload, Arc::clone(&table)).unwrap();
        let devices = [1, 2, 3].map(|token| {
            let own = if listen.ip().is_unspecified() { Ipv4Addr::new(127, 0, 0, token) } else { Ipv4Addr::LOCALHOST };
            let device = Device::new(SocketAddr::new(own.into(), relay.addr().port()));
            device.send(device.relay, None, &[[&[0x0c, 1, 0, 0, 0, 0, 0, 0, 1], &[token; 16][..]].concat()]);
            assert_eq!(device.hear(1).frames, [[0x0c, 1, 0, 0, 0, 0, 0, 0, 2]]);
            device
        });
        Self { relay, table, devices }
    }

    fn addr(&self) -> SocketAddr {
        self.relay.addr()
    }

    fn counters(&self) -> Counters {
        self.table.lock().unwrap().counters()
    }
}

/// A device's socket, with the offloads an agent uses.
struct Device {
    /// Where it speaks to, and takes anything from.
    relay: SocketAddr,
    io: UdpSocket,
    state: UdpSocketState,
}

/// What a device received.
#[derive(Debug)]
struct Heard {
    frames: Vec<Vec<u8>>,
    /// Of the last frame.
    ecn: Option<EcnCodepoint>,
    /// In how many pieces the kernel handed it over.
    receives: usize,
}

impl Device {
    fn new(relay: SocketAddr) -> Self {
        let io = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let state = UdpSocketState::new((&io).into()).unwrap();
        // a socket that waits after all, but not for ever
        io.set_nonblocking(false).unwrap();
        io.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self { relay, io, state }
    }

    /// Sends frames of one length, the last perhaps shorter, as one run.
    fn send(&self, to: SocketAddr, ecn: Option<EcnCodepoint>, frames: &[Vec<u8>]) {
        let segment_size = (frames.len() > 1).then_some(frames[0].len());
        let transmit = Transmit { destination: to, ecn, contents: &frames.concat(), segment_size, src_ip: None };
        self.state.try_send((&self.io).into(), &transmit).unwrap();
    }

    fn hear(&self, count: usize) -> Heard {
        let mut heard = Heard { frames: Vec::new(), ecn: None, receives: 0 };
        let mut buffer = vec![0; 1 << 16];
        while heard.frames.len() < count {
            let mut meta = [RecvMeta::default()];
            let received = self.state.recv((&self.io).into(), &mut [IoSliceMut::new(&mut buffer)], &mut meta);
            assert_eq!(received.expect("another frame in time"), 1);
            let [meta] = meta;
            assert_eq!(meta.addr, self.relay, "from another address than it was sent to");
            heard.frames.extend(buffer[..meta.len].chunks(meta.stride).map(<[u8]>::to_vec));
            heard.ecn = meta.ecn;
            heard.receives += 1;
        }
        heard
    }
}

/// A frame whose datagram is `len` bytes of its number, which is how its place in the order shows.
fn frame(channel: u32, number: u8, len: usize) -> Vec<u8> {
    [&[0x0c, 1, 0, 0], &channel.to_be_bytes()[..], &vec![number; len]].concat()
}

const ANNA: NodeId = NodeId::new([1; 16]);
const BERT: NodeId = NodeId::new([2; 16]);
const CARL: NodeId = NodeId::new([3; 16]);
const ANNA_TO_BERT: u32 = 10;
const BERT_TO_ANNA: u32 = 20;
const ANNA_TO_CARL: u32 = 11;
const CARL_TO_ANNA: u32 = 30;
