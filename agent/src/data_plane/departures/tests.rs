//! Everything placed leaves once, in order, in runs that one system call takes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn datagrams_of_one_length_leave_as_one_run_and_a_shorter_one_ends_it() {
    let mut sender = Sender::new(true);

    for len in [1000, 1000, 1000, 400, 400, 1000] {
        sender.place(direct(1), Ecn::NotEct, len);
    }
    sender.finish();

    assert_eq!(
        sender.shapes(),
        [(direct(1), vec![1000, 1000, 1000, 400]), (direct(1), vec![400]), (direct(1), vec![1000])]
    );
}

#[test]
fn a_datagram_of_a_byte_less_is_the_last_and_one_of_a_byte_more_the_first_of_a_run() {
    let mut sender = Sender::new(true);

    for len in [500, 499, 500, 501] {
        sender.place(direct(1), Ecn::NotEct, len);
    }
    sender.finish();

    assert_eq!(sender.shapes(), [(direct(1), vec![500, 499]), (direct(1), vec![500]), (direct(1), vec![501])]);
}

#[test]
fn datagrams_with_other_congestion_bits_do_not_share_a_run() {
    let mut sender = Sender::new(true);

    for ecn in [Ecn::Ect0, Ecn::Ect0, Ecn::Ce, Ecn::Ect0] {
        sender.place(direct(1), ecn, 100);
    }
    sender.finish();

    let seen: Vec<_> = sender.sent.iter().map(|run| (run.ecn, run.datagrams.len())).collect();
    assert_eq!(seen, [(Ecn::Ect0, 2), (Ecn::Ce, 1), (Ecn::Ect0, 1)]);
}

#[test]
fn a_run_is_no_longer_than_64_datagrams_or_a_udp_payload() {
    let mut sender = Sender::new(true);

    (0..130).for_each(|_| sender.place(direct(1), Ecn::NotEct, 100));
    (0..50).for_each(|_| sender.place(direct(2), Ecn::NotEct, 1400));
    (0..8).for_each(|_| sender.place(relayed(3), Ecn::NotEct, 16_368));
    sender.finish();

    let counts: Vec<_> = sender.sent.iter().map(|run| (run.to, run.datagrams.len())).collect();
    let expected = [
        (direct(1), 64),
        (direct(1), 64),
        // 46 of them are 64,400 bytes
        (direct(2), 46),
        // 4 with their frames are 65,504 bytes
        (relayed(3), 4),
        (direct(1), 2),
        (direct(2), 4),
        (relayed(3), 4),
    ];
    assert_eq!(counts, expected);
}

#[test]
fn the_longest_datagrams_there_are_fit() {
    let mut sender = Sender::new(true);

    for _ in 0..2 {
        sender.place(direct(1), Ecn::NotEct, MAX_BYTES);
        sender.place(relayed(2), Ecn::NotEct, MAX_BYTES - relay::HEADER_LEN);
        sender.repeat(relayed(2), direct(1), Ecn::NotEct, MAX_BYTES - relay::HEADER_LEN);
    }
    sender.finish();

    assert_eq!(sender.sent.len(), 6);
}

#[test]
fn without_offload_each_datagram_leaves_by_itself_and_in_order() {
    let mut sender = Sender::new(false);

    for len in [100, 100, 60, 100] {
        sender.place(direct(1), Ecn::NotEct, len);
    }
    sender.finish();

    assert_eq!(sender.shapes(), [100, 100, 60, 100].map(|len| (direct(1), vec![len])));
    sender.check();
}

#[test]
fn eight_peers_that_take_turns_keep_their_runs_and_a_ninth_sends_the_oldest() {
    let mut sender = Sender::new(true);

    for _ in 0..5 {
        (0..8).for_each(|peer| sender.place(direct(peer), Ecn::NotEct, 100));
    }
    assert!(sender.sent.is_empty());
    sender.place(direct(8), Ecn::NotEct, 100);
    sender.place(direct(9), Ecn::NotEct, 100);

    assert_eq!(sender.shapes(), [0, 1].map(|peer| (direct(peer), vec![100; 5])));
    sender.finish();
    let order: Vec<_> = sender.sent[2..].iter().map(|run| run.to).collect();
    assert_eq!(order, (2..10).map(direct).collect::<Vec<_>>(), "the oldest leaves first");
}

#[test]
fn each_datagram_through_a_relay_has_a_frame_of_its_channel() {
    let mut sender = Sender::new(true);

    for len in [100, 100, 60] {
        sender.place(relayed(1), Ecn::NotEct, len);
        // another channel of the same relay
        sender.place(relayed(2), Ecn::NotEct, len);
    }
    sender.finish();

    assert_eq!(sender.shapes(), [1, 2].map(|channel| (relayed(channel), vec![100, 100, 60])));
    assert!(sender.sent.iter().all(|run| run.stride == 108 && run.address == relay_address()));
    sender.check();
}

#[test]
fn a_hedged_datagram_leaves_both_ways_in_runs() {
    for (first, second) in [(direct(1), relayed(2)), (relayed(2), direct(1)), (relayed(1), relayed(2))] {
        let mut sender = Sender::new(true);

        for len in [100, 100, 60, 100] {
            sender.place(first, Ecn::Ect1, len);
            sender.repeat(first, second, Ecn::Ect1, len);
        }
        sender.finish();

        let runs = [(first, vec![100, 100, 60]), (second, vec![100, 100, 60]), (first, vec![100]), (second, vec![100])];
        let mut shapes = sender.shapes();
        shapes.sort();
        let mut expected = runs.to_vec();
        expected.sort();
        assert_eq!(shapes, expected);
        sender.check();
    }
}

/// The run that is sent to make room must not be the one that holds the datagram to be repeated.
#[test]
fn a_hedged_datagram_is_repeated_although_its_run_is_the_oldest() {
    let mut sender = Sender::new(true);
    (0..8).for_each(|peer| sender.place(direct(peer), Ecn::NotEct, 100));

    sender.place(direct(0), Ecn::NotEct, 100);
    sender.repeat(direct(0), relayed(1), Ecn::NotEct, 100);
    sender.finish();

    sender.check();
}

#[test]
fn what_has_left_does_not_leave_again() {
    let mut sender = Sender::new(true);
    sender.place(direct(1), Ecn::NotEct, 100);

    sender.finish();
    sender.finish();
    sender.place(direct(1), Ecn::NotEct, 1200);
    sender.finish();

    assert_eq!(sender.shapes(), [(direct(1), vec![100]), (direct(1), vec![1200])]);
}

proptest! {
    #[test]
    fn whatever_is_placed_leaves_once_in_order_and_in_runs_that_the_kernel_takes(
        offload in prop::bool::weighted(0.9),
        steps in prop::collection::vec(
            (
                0_u8..12,
                prop::option::weighted(0.3, 0_u8..12),
                prop::sample::select(&[60_usize, 100, 100, 100, 1400, 1400, 9000][..]),
                prop::sample::select(&[Ecn::NotEct, Ecn::NotEct, Ecn::NotEct, Ecn::Ce][..]),
                prop::bool::weighted(0.02),
            ),
            0..400,
        ),
    ) {
        let mut sender = Sender::new(offload);
        let remote = |number: u8| if number.is_multiple_of(3) { relayed(number) } else { direct(number) };

        for (first, second, len, ecn, is_end_of_burst) in steps {
            sender.place(remote(first), ecn, len);
            if let Some(second) = second.filter(|second| *second != first) {
                sender.repeat(remote(first), remote(second), ecn, len);
            }
            if is_end_of_burst {
                sender.finish();
            }
        }
        sender.finish();

        sender.check();
    }
}

/// Departures, what was placed into them, and what they sent.
struct Sender {
    departures: Departures,
    longest: usize,
    placed: BTreeMap<Remote, Vec<(Ecn, Vec<u8>)>>,
    sent: Vec<Sent>,
    /// Makes every datagram another.
    count: u32,
}

/// A run as the socket saw it, its datagrams out of their frames.
struct Sent {
    to: Remote,
    address: SocketAddr,
    ecn: Ecn,
    stride: usize,
    datagrams: Vec<Vec<u8>>,
}

impl Sender {
    fn new(offload: bool) -> Self {
        let longest = if offload { 64 } else { 1 };
        Self { departures: Departures::new(offload), longest, placed: BTreeMap::new(), sent: Vec::new(), count: 0 }
    }

    fn place(&mut self, to: Remote, ecn: Ecn, len: usize) {
        self.count += 1;
        let count = self.count;
        let datagram: Vec<u8> = (0..len).map(|index| (count * 31 + index as u32) as u8).collect();
        let room = self.departures.place(to, ecn, len, |run| self.sent.push(Sent::of(run)));
        room[..len].copy_from_slice(&datagram);
        // sealing may write here before it knows how long its trailer is
        assert_eq!(room.len(), len + TAILROOM);
        room[len..].fill(0xee);
        self.placed.entry(to).or_default().push((ecn, datagram));
    }

    fn repeat(&mut self, first: Remote, second: Remote, ecn: Ecn, len: usize) {
        self.departures.repeat(first, second, ecn, len, |run| self.sent.push(Sent::of(run)));
        let last = self.placed[&first].last().unwrap().clone();
        self.placed.entry(second).or_default().push(last);
    }

    fn finish(&mut self) {
        self.departures.send_all(|run| self.sent.push(Sent::of(run)));
    }

    /// To whom runs were sent, and how long their datagrams were.
    fn shapes(&self) -> Vec<(Remote, Vec<usize>)> {
        self.sent.iter().map(|run| (run.to, run.datagrams.iter().map(Vec::len).collect())).collect()
    }

    /// Each address got what was placed for it, in that order, in runs that keep the kernel's rules.
    #[track_caller]
    fn check(&self) {
        let mut arrived: BTreeMap<Remote, Vec<(Ecn, Vec<u8>)>> = BTreeMap::new();
        for run in &self.sent {
            let frame = run.stride - run.datagrams[0].len();
            let (last, others) = run.datagrams.split_last().unwrap();
            assert!(others.iter().all(|datagram| frame + datagram.len() == run.stride));
            assert!(frame + last.len() <= run.stride && run.datagrams.len() <= self.longest);
            let bytes: usize = run.datagrams.iter().map(|datagram| frame + datagram.len()).sum();
            assert!(bytes <= 65_507);
            let datagrams = run.datagrams.iter().map(|datagram| (run.ecn, datagram.clone()));
            arrived.entry(run.to).or_default().extend(datagrams);
        }
        for (to, placed) in &self.placed {
            let arrived = arrived.remove(to).unwrap_or_default();
            assert!(arrived == *placed, "to {to:?} {} datagrams left of {}", arrived.len(), placed.len());
        }
        assert!(arrived.is_empty());
    }
}

impl Sent {
    fn of(run: &Run) -> Self {
        let frames = run.bytes().chunks(run.stride());
        let datagrams: Vec<_> = match run.to {
            Remote::Auxiliary(_) | Remote::Direct(_) => frames.map(<[u8]>::to_vec).collect(),
            Remote::Relay(at) => frames
                .map(|frame| {
                    let (channel, datagram) = relay::decode(frame).expect("a frame");
                    assert_eq!(channel, at.channel);
                    datagram.to_vec()
                })
                .collect(),
        };
        assert_eq!(datagrams.len(), run.count);
        Self { to: run.to, address: run.address(), ecn: run.ecn(), stride: run.stride(), datagrams }
    }
}

fn direct(number: u8) -> Remote {
    Remote::Direct(SocketAddr::from(([192, 0, 2, number], 4500)))
}

/// A channel of the one relay.
fn relayed(channel: u8) -> Remote {
    Remote::Relay(RelayChannel { relay: relay_address(), channel: channel.into() })
}

fn relay_address() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 1], 3480))
}
