//! Where a port is looked for: every datagram of a search with its time, laid down before the first one leaves.
//!
//! Neither clock nor addresses of ours: `search` gives sockets and moments to what is planned here.

use std::time::Duration;

use rand_core::Rng;

use crate::candidate::{Allocation, BIRTHDAY_SOCKETS, PREDICTED_PORTS};

/// One datagram of a search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shot {
    /// From the begin of the search on.
    pub(super) after: Duration,
    /// Which of the search's sockets; none for the one that everything uses.
    pub(super) socket: Option<usize>,
    /// Which port of the peer's address.
    pub(super) port: u16,
    /// Whether it only has to pass our own NAT.
    pub(super) is_opener: bool,
}

/// What the side with the countable or random NAT does: opens `sockets` toward `port`, then probes from each of them as
/// often as `sweeps` says.
pub(super) fn aim(sockets: usize, port: u16, sweeps: &[Duration]) -> Vec<Shot> {
    let openers = std::iter::once((Duration::ZERO, true));
    let probes = sweeps.iter().map(|after| (*after, false));
    let sweep = |(begin, is_opener): (Duration, bool)| {
        (0..sockets).map(move |index| Shot { after: begin + pace(index), socket: Some(index), port, is_opener })
    };
    openers.chain(probes).flat_map(sweep).collect()
}

/// What the other side does: tries ports one after the other, from the socket that everything uses.
pub(super) fn spray(ports: &[u16], sweeps: &[Duration]) -> Vec<Shot> {
    let sweep = |begin: &Duration| {
        let begin = *begin;
        let shot = move |(index, port): (usize, &u16)| Shot {
            after: begin + pace(index),
            socket: None,
            port: *port,
            is_opener: false,
        };
        ports.iter().enumerate().map(shot)
    };
    sweeps.iter().flat_map(sweep).collect()
}

/// The ports that a counting NAT gives out next.
pub(super) fn predicted(delta: i16, last: u16) -> Vec<u16> {
    (1..=PREDICTED_PORTS as i32).filter_map(|step| nth(delta, last, step)).collect()
}

/// The port at which two counting NATs are to meet. Each side's sockets cover the ports before and after, so that it is
/// among them unless more than [`MEETING_STEP`] - 1 foreign mappings came between the look and the search.
pub(super) fn meeting(delta: i16, last: u16) -> Option<u16> {
    nth(delta, last, MEETING_STEP)
}

/// Ports in random order, each once; of the peer's block when it seems to have one.
pub(super) fn shuffled(allocation: Option<Allocation>, rng: &mut impl Rng) -> Vec<u16> {
    let (lowest, highest) = block(allocation);
    let mut ports: Vec<u16> = (lowest..=highest).collect();
    let count = ports.len().min(BIRTHDAY_PROBES);
    for index in 0..count {
        let left = ports.len() - index;
        // the bias of the remainder is below 2^-48
        ports.swap(index, index + (rng.next_u64() % left as u64) as usize);
    }
    ports.truncate(count);
    ports
}

/// How many sockets a random NAT is given: all, or what a subscriber's block of ports can spare.
pub(super) fn birthday_sockets(allocation: Option<Allocation>) -> usize {
    let (lowest, highest) = block(allocation);
    BIRTHDAY_SOCKETS.min(usize::from(highest - lowest) / BLOCK_SHARE).max(1)
}

/// The ports that a NAT seems to choose from: those seen and half as far again on both sides, since a few samples seldom
/// reach the edges.
fn block(allocation: Option<Allocation>) -> (u16, u16) {
    let Some(Allocation { lowest, highest, .. }) = allocation else { return (FIRST_PORT, u16::MAX) };
    let margin = ((highest - lowest) / 2).max(MARGIN_MIN);
    (lowest.saturating_sub(margin).max(FIRST_PORT), highest.max(FIRST_PORT).saturating_add(margin))
}

/// The external port `step` mappings after the last one seen.
fn nth(delta: i16, last: u16, step: i32) -> Option<u16> {
    let port = i32::from(last) + i32::from(delta) * step;
    u16::try_from(port).ok().filter(|port| *port >= FIRST_PORT)
}

fn pace(index: usize) -> Duration {
    PACE * index as u32
}

/// 200 datagrams a second: what a home router's table takes without a stutter, and below any flood detector.
const PACE: Duration = Duration::from_millis(5);
/// With [`BIRTHDAY_SOCKETS`] on the other side, 99 in 100 searches over all ports hit one (nat.md section 1.10).
pub(super) const BIRTHDAY_PROBES: usize = 1159;
/// A carrier's block is shared with everything else that the subscriber does.
const BLOCK_SHARE: usize = 16;
/// A block is hardly ever smaller than twice this.
const MARGIN_MIN: u16 = 128;
/// Below are services; no NAT maps clients there.
const FIRST_PORT: u16 = 1024;
/// Of [`PREDICTED_PORTS`] sockets this one is to meet: most of what may go wrong is that others took numbers before.
const MEETING_STEP: i32 = 24;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_counting_nat_is_followed_up_and_down_and_never_past_the_end() {
        assert_eq!(predicted(2, 40_000)[..3], [40_002, 40_004, 40_006]);
        assert_eq!(predicted(-1, 40_000)[30..], [39_969, 39_968]);
        assert_eq!(predicted(1, 65_533), [65_534, 65_535]);
        assert_eq!(predicted(-1, 1024), [0; 0]);
    }

    #[test]
    fn a_birthday_search_tries_each_port_once_and_leaves_services_alone() {
        let ports = shuffled(None, &mut ChaCha8Rng::seed_from_u64(1));

        assert_eq!(ports.len(), BIRTHDAY_PROBES);
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), BIRTHDAY_PROBES);
        assert!(ports.iter().all(|port| *port >= FIRST_PORT));
    }

    #[test]
    fn a_block_of_ports_is_searched_within_and_not_eaten() {
        let seen = Allocation { delta: None, last: 10_900, lowest: 10_300, highest: 11_200 };

        let ports = shuffled(Some(seen), &mut ChaCha8Rng::seed_from_u64(1));

        assert!(ports.iter().all(|port| (9_850..=11_650).contains(port)));
        assert_eq!(birthday_sockets(Some(seen)), 112);
        assert_eq!(birthday_sockets(None), BIRTHDAY_SOCKETS);
    }

    #[test]
    fn nothing_leaves_faster_than_two_hundred_a_second() {
        let sweeps = [Duration::from_millis(1400)];
        for shots in [aim(256, 4000, &sweeps), spray(&predicted(1, 4000), &[Duration::ZERO, sweeps[0]])] {
            assert!(shots.windows(2).all(|pair| pair[1].after - pair[0].after >= PACE));
        }
    }
}
