//! Which channel leads where. Sans-IO: frames come in, what to do with them goes out; forwarding is one lookup.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use warren_proto::keys::NodeId;

use crate::limits::canonical;

/// Where a device is, and which of our own addresses it speaks to: from another one a NAT lets nothing in, and the device
/// takes nothing. `None` where the kernel did not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "said above")]
pub struct End {
    pub device: SocketAddr,
    pub own: Option<IpAddr>,
}

/// What to do with frames.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing, for this reason.
    Drop(Dropped),
    /// Send them, as rewritten, to this end.
    Forward(End),
    /// Send this back.
    Reply(Vec<u8>),
}

/// Why a frame went nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Dropped {
    /// Not a relay frame of this version.
    Malformed,
    /// The peer has no bound address at the moment.
    PeerUnbound,
    /// From an address that is not the bound one of the channel's owner.
    Source,
    /// No such channel.
    UnknownChannel,
    /// No connection has this token, or the proof is not for this address.
    UnknownToken,
}

impl Dropped {
    /// Every reason, in the order of their indices.
    pub const ALL: [Self; 5] =
        [Self::Malformed, Self::PeerUnbound, Self::Source, Self::UnknownChannel, Self::UnknownToken];

    /// For programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::PeerUnbound => "peer_unbound",
            Self::Source => "source",
            Self::UnknownChannel => "unknown_channel",
            Self::UnknownToken => "unknown_token",
        }
    }
}

/// What the table holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Numbers of channels, two for each pair.
    pub channels: usize,
    /// Devices with a bound address.
    pub bound: usize,
}

/// How many frames met which fate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Frames forwarded.
    pub forwarded: u64,
    /// Bytes forwarded, without frame headers.
    pub forwarded_bytes: u64,
    /// Frames dropped, by `Dropped`.
    pub dropped: [u64; Dropped::ALL.len()],
}

/// Every channel and binding.
#[derive(Debug)]
pub struct Table {
    channels: HashMap<u32, Channel>,
    devices: HashMap<NodeId, Device>,
    by_token: HashMap<Token, NodeId>,
    /// Makes challenges that only we can have made, without remembering any.
    secret: [u8; 32],
    counters: Counters,
}

type Token = [u8; 16];

/// One side's way into a pair; both addresses are copies, so that a frame needs no second lookup.
#[derive(Debug)]
struct Channel {
    owner: NodeId,
    from: Option<SocketAddr>,
    peer: NodeId,
    peer_number: u32,
    to: Option<End>,
}

#[derive(Debug, Default)]
struct Device {
    connection: Option<Connection>,
    bound: Option<End>,
    channels: Vec<u32>,
}

#[derive(Debug)]
struct Connection {
    token: Token,
    validated: IpAddr,
}

impl Table {
    /// An empty table.
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            channels: HashMap::new(),
            devices: HashMap::new(),
            by_token: HashMap::new(),
            secret,
            counters: Counters::default(),
        }
    }

    /// A device connected: `token` binds addresses for it, without further proof those of the `validated` host. What an
    /// earlier connection of it bound stays bound until then: a device that changes its way to us loses no frame.
    pub fn admit(&mut self, device: NodeId, token: Token, validated: IpAddr) {
        let earlier = self.devices.entry(device).or_default().connection.replace(Connection { token, validated });
        if let Some(earlier) = earlier {
            self.by_token.remove(&earlier.token);
        }
        self.by_token.insert(token, device);
    }

    /// A device's control connection moved.
    pub fn set_validated(&mut self, device: NodeId, validated: IpAddr) {
        if let Some(connection) = self.devices.get_mut(&device).and_then(|device| device.connection.as_mut()) {
            connection.validated = validated;
        }
    }

    /// A device's connection ended: its token is worth nothing and its address unbound.
    pub fn dismiss(&mut self, device: NodeId) {
        let Some(state) = self.devices.get_mut(&device) else { return };
        if let Some(connection) = state.connection.take() {
            self.by_token.remove(&connection.token);
        }
        if state.channels.is_empty() {
            self.devices.remove(&device);
        } else {
            self.set_bound(device, None);
        }
    }

    /// An address is no longer that of whoever bound it.
    pub fn unbind(&mut self, address: SocketAddr) {
        let holders = self.devices.iter().filter(|(_, device)| device.bound.is_some_and(|end| end.device == address));
        let holders: Vec<NodeId> = holders.map(|(id, _)| *id).collect();
        holders.into_iter().for_each(|device| self.set_bound(device, None));
    }

    /// Joins two numbers. Opening again what is open changes nothing.
    pub fn open(&mut self, ends: [(NodeId, u32); 2]) {
        for ((owner, number), (peer, peer_number)) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            let to = self.devices.get(&peer).and_then(|peer| peer.bound);
            let device = self.devices.entry(owner).or_default();
            let from = device.bound.map(|end| end.device);
            let channel = Channel { owner, from, peer, peer_number, to };
            if self.channels.insert(number, channel).is_none() {
                device.channels.push(number);
            }
        }
    }

    /// Forgets both numbers of a pair.
    pub fn close(&mut self, numbers: [u32; 2]) {
        for number in numbers {
            let Some(channel) = self.channels.remove(&number) else { continue };
            let Some(owner) = self.devices.get_mut(&channel.owner) else { continue };
            owner.channels.retain(|held| *held != number);
            if owner.channels.is_empty() && owner.connection.is_none() {
                self.devices.remove(&channel.owner);
            }
        }
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What is there at this moment.
    pub fn load(&self) -> Load {
        let bound = self.devices.values().filter(|device| device.bound.is_some()).count();
        Load { channels: self.channels.len(), bound }
    }

    /// Decides on the frames of one sender that arrived in a row, each of `stride` bytes and the last perhaps shorter, and
    /// rewrites the channel numbers of those that go on. `each` is told what becomes of which bytes of the run, in order:
    /// one verdict for as many consecutive frames as share it, because one look at the table answers for all of them.
    pub fn handle(&mut self, from: End, run: &mut [u8], stride: usize, mut each: impl FnMut(Range<usize>, Verdict)) {
        let mut start = 0;
        loop {
            let end = start + stretch(&run[start..], stride);
            let frames = &mut run[start..end];
            let count = frames.len().div_ceil(stride.max(1)).max(1);
            let verdict = self.decide(from, frames, stride);
            self.count(&verdict, count as u64, frames.len());
            each(start..end, verdict);
            start = end;
            if start >= run.len() {
                return;
            }
        }
    }

    fn count(&mut self, verdict: &Verdict, frames: u64, bytes: usize) {
        match verdict {
            Verdict::Drop(reason) => self.counters.dropped[*reason as usize] += frames,
            Verdict::Forward(_) => {
                self.counters.forwarded += frames;
                self.counters.forwarded_bytes += bytes as u64 - frames * HEADER as u64;
            }
            Verdict::Reply(_) => {}
        }
    }

    /// The fate of frames that all have the first one's header.
    fn decide(&mut self, from: End, frames: &mut [u8], stride: usize) -> Verdict {
        let Some(([FRAME_TYPE, VERSION, 0, 0, number @ ..], payload)) = frames.split_first_chunk::<HEADER>() else {
            return Verdict::Drop(Dropped::Malformed);
        };
        let channel = u32::from_be_bytes(*number);
        if channel == 0 {
            return self.handle_binding(from, payload);
        }
        let Some(channel) = self.channels.get(&channel) else { return Verdict::Drop(Dropped::UnknownChannel) };
        if channel.from != Some(from.device) {
            return Verdict::Drop(Dropped::Source);
        }
        let Some(to) = channel.to else { return Verdict::Drop(Dropped::PeerUnbound) };
        let number = channel.peer_number.to_be_bytes();
        frames.chunks_mut(stride).for_each(|frame| frame[NUMBER].copy_from_slice(&number));
        Verdict::Forward(to)
    }

    fn handle_binding(&mut self, end: End, payload: &[u8]) -> Verdict {
        let from = end.device;
        // nothing can be sent there, and a kernel that is asked to says that it lacks what other sends need
        if from.port() == 0 {
            return Verdict::Drop(Dropped::Malformed);
        }
        let Some((kind, rest)) = payload.split_first() else { return Verdict::Drop(Dropped::Malformed) };
        let Some((token, proof)) = rest.split_first_chunk::<16>() else { return Verdict::Drop(Dropped::Malformed) };
        let proved = match (*kind, proof.len()) {
            (BIND, 0) => false,
            (BIND_PROOF, 16) => proof.ct_eq(&self.challenge(from, token)).into(),
            _ => return Verdict::Drop(Dropped::Malformed),
        };
        let Some(device) = self.by_token.get(token).copied() else { return Verdict::Drop(Dropped::UnknownToken) };
        let Some(state) = self.devices.get(&device) else { return Verdict::Drop(Dropped::UnknownToken) };
        let near = state.connection.as_ref().is_some_and(|connection| connection.validated == canonical(from).ip());
        if proved || near || state.bound.is_some_and(|bound| bound.device == from) {
            if state.bound != Some(end) {
                self.set_bound(device, Some(end));
            }
            return Verdict::Reply(reply(BOUND, &[]));
        }
        if *kind == BIND_PROOF {
            return Verdict::Drop(Dropped::UnknownToken);
        }
        // as long as the question: nothing is amplified
        Verdict::Reply(reply(CHALLENGE, &self.challenge(from, token)))
    }

    fn set_bound(&mut self, device: NodeId, bound: Option<End>) {
        let Some(state) = self.devices.get_mut(&device) else { return };
        state.bound = bound;
        for number in &state.channels {
            let Some(own) = self.channels.get_mut(number) else { continue };
            own.from = bound.map(|end| end.device);
            let other = own.peer_number;
            if let Some(other) = self.channels.get_mut(&other) {
                debug_assert_eq!(other.peer, device, "a channel's peer number leads back");
                other.to = bound;
            }
        }
    }

    /// Shows, echoed, that whoever sends from this address also receives there.
    fn challenge(&self, from: SocketAddr, token: &Token) -> [u8; 16] {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(self.secret)
            .chain_update(token)
            .chain_update(canonical(from).to_string())
            .finalize()
            .into();
        let (nonce, _) = digest.split_first_chunk().expect("a SHA-256 is longer than a nonce");
        *nonce
    }
}

/// How many bytes the frames take that lie at the start of the run and share one header, and with it one fate. A frame to
/// the relay itself, or one that is too short to be any, stands alone.
fn stretch(run: &[u8], stride: usize) -> usize {
    let stride = stride.clamp(1, run.len().max(1));
    let header = |frame: &[u8]| frame.first_chunk::<HEADER>().copied().filter(|header| header[NUMBER] != [0; 4]);
    let frames = || run.chunks(stride).map(header);
    let alike = match frames().next().flatten() {
        Some(first) => frames().take_while(|header| *header == Some(first)).count(),
        None => 1,
    };
    run.len().min(alike * stride)
}

fn reply(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[FRAME_TYPE, VERSION, 0, 0, 0, 0, 0, 0, kind], content].concat()
}

const FRAME_TYPE: u8 = 0x0c;
const VERSION: u8 = 1;
const HEADER: usize = 8;
/// Where in the header the channel's number is.
const NUMBER: Range<usize> = 4..8;
const BIND: u8 = 1;
const BOUND: u8 = 2;
const CHALLENGE: u8 = 3;
const BIND_PROOF: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: NodeId = NodeId::new([1; 16]);
    const BERT: NodeId = NodeId::new([2; 16]);

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Of a kernel that does not tell which of our addresses was meant.
    fn end(text: &str) -> End {
        End { device: addr(text), own: None }
    }

    fn frame(channel: u32, payload: &[u8]) -> Vec<u8> {
        [&[FRAME_TYPE, VERSION, 0, 0], &channel.to_be_bytes()[..], payload].concat()
    }

    /// One frame by itself.
    fn handle(table: &mut Table, from: SocketAddr, frame: &mut [u8]) -> Verdict {
        let mut verdicts = handle_run(table, from, frame, frame.len());
        assert_eq!(verdicts.len(), 1);
        verdicts.remove(0).1
    }

    fn handle_run(table: &mut Table, from: SocketAddr, run: &mut [u8], stride: usize) -> Vec<(Range<usize>, Verdict)> {
        let mut verdicts = Vec::new();
        table.handle(End { device: from, own: None }, run, stride, |range, verdict| verdicts.push((range, verdict)));
        verdicts
    }

    fn bind(token: u8) -> Vec<u8> {
        frame(0, &[&[BIND], &[token; 16][..]].concat())
    }

    /// Anna at 192.0.2.1 with number 10, Bert at 192.0.2.2 with number 20.
    fn pair() -> Table {
        let mut table = Table::new([9; 32]);
        table.admit(ANNA, [1; 16], addr("192.0.2.1:1").ip());
        table.admit(BERT, [2; 16], addr("192.0.2.2:1").ip());
        table.open([(ANNA, 10), (BERT, 20)]);
        table
    }

    #[test]
    fn a_frame_between_bound_addresses_arrives_under_the_peers_number() {
        let mut table = pair();
        assert_eq!(handle(&mut table, addr("192.0.2.1:5000"), &mut bind(1)), Verdict::Reply(frame(0, &[BOUND])));
        assert_eq!(handle(&mut table, addr("192.0.2.2:6000"), &mut bind(2)), Verdict::Reply(frame(0, &[BOUND])));
        let mut data = frame(10, b"hello");

        let verdict = handle(&mut table, addr("192.0.2.1:5000"), &mut data);

        assert_eq!(verdict, Verdict::Forward(end("192.0.2.2:6000")));
        assert_eq!(data, frame(20, b"hello"));
        assert_eq!((table.counters().forwarded, table.counters().forwarded_bytes), (1, 5));
    }

    #[test]
    fn a_frame_from_anybody_but_the_owner_goes_nowhere() {
        let mut table = pair();
        handle(&mut table, addr("192.0.2.1:5000"), &mut bind(1));
        handle(&mut table, addr("192.0.2.2:6000"), &mut bind(2));

        for from in ["192.0.2.1:5001", "192.0.2.2:6000", "203.0.113.5:5000"] {
            assert_eq!(handle(&mut table, addr(from), &mut frame(10, b"x")), Verdict::Drop(Dropped::Source), "{from}");
        }
        assert_eq!(
            handle(&mut table, addr("192.0.2.1:5000"), &mut frame(11, b"x")),
            Verdict::Drop(Dropped::UnknownChannel)
        );
    }

    #[test]
    fn nothing_is_sent_to_a_peer_that_bound_no_address() {
        let mut table = pair();
        handle(&mut table, addr("192.0.2.1:5000"), &mut bind(1));

        let verdict = handle(&mut table, addr("192.0.2.1:5000"), &mut frame(10, b"x"));

        assert_eq!(verdict, Verdict::Drop(Dropped::PeerUnbound));
    }

    #[test]
    fn a_run_on_one_channel_has_one_verdict_and_every_frame_the_peers_number() {
        let mut table = pair();
        handle(&mut table, addr("192.0.2.1:5000"), &mut bind(1));
        handle(&mut table, addr("192.0.2.2:6000"), &mut bind(2));
        let run = |channel| [frame(channel, b"one"), frame(channel, b"two"), frame(channel, b"3")].concat();
        let mut data = run(10);

        let verdicts = handle_run(&mut table, addr("192.0.2.1:5000"), &mut data, 11);

        assert_eq!(verdicts, [(0..31, Verdict::Forward(end("192.0.2.2:6000")))]);
        assert_eq!(data, run(20));
        assert_eq!((table.counters().forwarded, table.counters().forwarded_bytes), (3, 7));
    }

    #[test]
    fn a_run_is_divided_where_the_fate_of_its_frames_changes() {
        let mut table = pair();
        table.open([(ANNA, 11), (BERT, 21)]);
        handle(&mut table, addr("192.0.2.1:5000"), &mut bind(1));
        handle(&mut table, addr("192.0.2.2:6000"), &mut bind(2));
        let run = |first, second| {
            let frames = [frame(first, b"a"), frame(first, b"b"), frame(second, b"c"), frame(first, b"d")];
            [frames.concat(), frame(99, b"x"), frame(99, b"y"), vec![7; 9], vec![7; 9], vec![0x0c; 3]].concat()
        };
        let mut data = run(10, 11);

        let verdicts = handle_run(&mut table, addr("192.0.2.1:5000"), &mut data, 9);

        let forward = Verdict::Forward(end("192.0.2.2:6000"));
        assert_eq!(
            verdicts,
            [
                (0..18, forward.clone()),
                (18..27, forward.clone()),
                (27..36, forward),
                (36..54, Verdict::Drop(Dropped::UnknownChannel)),
                (54..72, Verdict::Drop(Dropped::Malformed)),
                (72..75, Verdict::Drop(Dropped::Malformed)),
            ]
        );
        assert_eq!(data, run(20, 21));
        let counters = table.counters();
        assert_eq!((counters.forwarded, counters.forwarded_bytes), (4, 4));
        assert_eq!(counters.dropped[Dropped::UnknownChannel as usize], 2);
        assert_eq!(counters.dropped[Dropped::Malformed as usize], 3);
    }

    #[test]
    fn every_binding_in_a_run_is_answered() {
        let mut table = pair();
        let mut run = [bind(1), bind(1)].concat();
        let stride = run.len() / 2;

        let verdicts = handle_run(&mut table, addr("192.0.2.1:5000"), &mut run, stride);

        let bound = || Verdict::Reply(frame(0, &[BOUND]));
        assert_eq!(verdicts, [(0..stride, bound()), (stride..2 * stride, bound())]);
    }

    #[test]
    fn no_address_that_nothing_can_be_sent_to_is_bound() {
        let mut table = pair();

        let verdict = handle(&mut table, addr("192.0.2.1:0"), &mut bind(1));

        assert_eq!(verdict, Verdict::Drop(Dropped::Malformed));
    }

    #[test]
    fn another_address_must_prove_that_it_receives() {
        let mut table = pair();
        let moved = addr("198.51.100.7:7000");
        let Verdict::Reply(challenge) = handle(&mut table, moved, &mut bind(1)) else { panic!("no challenge") };
        assert_eq!(challenge.len(), bind(1).len(), "not amplified");
        let nonce = &challenge[9..];
        let proof = |token: u8| frame(0, &[&[BIND_PROOF], &[token; 16][..], nonce].concat());

        let elsewhere = handle(&mut table, addr("198.51.100.8:7000"), &mut proof(1));
        let other_token = handle(&mut table, moved, &mut proof(2));
        let right = handle(&mut table, moved, &mut proof(1));

        assert_eq!(elsewhere, Verdict::Drop(Dropped::UnknownToken));
        assert_eq!(other_token, Verdict::Drop(Dropped::UnknownToken));
        assert_eq!(right, Verdict::Reply(frame(0, &[BOUND])));
        // its keepalives need no further proof
        assert_eq!(handle(&mut table, moved, &mut bind(1)), Verdict::Reply(frame(0, &[BOUND])));
    }

    #[test]
    fn frames_leave_from_the_address_that_their_receiver_spoke_to() {
        let mut table = pair();
        let (first, second) = ("198.51.100.1".parse().unwrap(), "198.51.100.2".parse().unwrap());
        let mut handle = |device: &str, own: IpAddr, frame: &mut [u8]| {
            let mut verdict = None;
            let from = End { device: addr(device), own: Some(own) };
            table.handle(from, frame, frame.len(), |_, found| verdict = Some(found));
            verdict.unwrap()
        };
        handle("192.0.2.1:5000", first, &mut bind(1));
        handle("192.0.2.2:6000", first, &mut bind(2));
        // the second address is another way to the same device
        handle("192.0.2.2:6000", second, &mut bind(2));

        let there = handle("192.0.2.1:5000", first, &mut frame(10, b"x"));
        let back = handle("192.0.2.2:6000", second, &mut frame(20, b"x"));

        assert_eq!(there, Verdict::Forward(End { device: addr("192.0.2.2:6000"), own: Some(second) }));
        assert_eq!(back, Verdict::Forward(End { device: addr("192.0.2.1:5000"), own: Some(first) }));
    }

    #[test]
    fn an_ended_connection_unbinds_and_a_new_one_keeps_the_channel() {
        let mut table = pair();
        handle(&mut table, addr("192.0.2.1:5000"), &mut bind(1));
        handle(&mut table, addr("192.0.2.2:6000"), &mut bind(2));

        table.dismiss(BERT);
        assert_eq!(
            handle(&mut table, addr("192.0.2.1:5000"), &mut frame(10, b"x")),
            Verdict::Drop(Dropped::PeerUnbound)
        );
        assert_eq!(handle(&mut table, addr("192.0.2.2:6000"), &mut bind(2)), Verdict::Drop(Dropped::UnknownToken));
        table.admit(BERT, [3; 16], addr("192.0.2.2:1").ip());
        handle(&mut table, addr("192.0.2.2:6001"), &mut bind(3));

        let verdict = handle(&mut table, addr("192.0.2.1:5000"), &mut frame(10, b"x"));
        assert_eq!(verdict, Verdict::Forward(end("192.0.2.2:6001")));
    }

    #[test]
    fn a_device_that_connects_anew_keeps_its_address_until_it_binds_another() {
        let mut table = pair();
        handle(&mut table, addr("192.0.2.1:5000"), &mut bind(1));
        handle(&mut table, addr("192.0.2.2:6000"), &mut bind(2));
        let forwarded = |table: &mut Table| handle(table, addr("192.0.2.1:5000"), &mut frame(10, b"x"));

        table.admit(BERT, [3; 16], addr("192.0.2.2:1").ip());
        let meanwhile = forwarded(&mut table);
        let old_token = handle(&mut table, addr("192.0.2.2:7000"), &mut bind(2));
        handle(&mut table, addr("192.0.2.2:6001"), &mut bind(3));

        assert_eq!(meanwhile, Verdict::Forward(end("192.0.2.2:6000")));
        assert_eq!(old_token, Verdict::Drop(Dropped::UnknownToken));
        assert_eq!(forwarded(&mut table), Verdict::Forward(end("192.0.2.2:6001")));
    }

    #[test]
    fn an_address_that_is_gone_is_nobodys() {
        let mut table = pair();
        handle(&mut table, addr("192.0.2.1:5000"), &mut bind(1));
        handle(&mut table, addr("192.0.2.2:6000"), &mut bind(2));

        table.unbind(addr("192.0.2.2:6000"));

        let to = handle(&mut table, addr("192.0.2.1:5000"), &mut frame(10, b"x"));
        let from = handle(&mut table, addr("192.0.2.2:6000"), &mut frame(20, b"x"));
        assert_eq!((to, from), (Verdict::Drop(Dropped::PeerUnbound), Verdict::Drop(Dropped::Source)));
    }

    #[test]
    fn a_closed_pair_leaves_nothing_behind() {
        let mut table = pair();

        table.close([10, 20]);
        table.dismiss(ANNA);
        table.dismiss(BERT);

        assert!(table.channels.is_empty() && table.devices.is_empty() && table.by_token.is_empty());
    }

    #[test]
    fn a_dual_stack_socket_sees_the_same_devices() {
        let mut table = pair();

        let verdict = handle(&mut table, addr("[::ffff:192.0.2.1]:5000"), &mut bind(1));

        assert_eq!(verdict, Verdict::Reply(frame(0, &[BOUND])));
    }

    #[test]
    fn whatever_is_no_frame_is_dropped_without_a_word() {
        let mut table = pair();

        for bad in
            [&b""[..], &[0x0c], &[0x0c, 2, 0, 0, 0, 0, 0, 9], &frame(0, b""), &frame(0, &[9; 17]), &frame(0, &[1; 9])]
        {
            let verdict = handle(&mut table, addr("192.0.2.1:5000"), &mut bad.to_vec());

            assert_eq!(verdict, Verdict::Drop(Dropped::Malformed), "{bad:?}");
        }
    }
}
