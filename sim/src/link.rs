//! What a wire does to a datagram: delays it, loses it, lets others overtake it, doubles it, or finds it too large.

use std::time::Duration;

use rand_core::Rng;

/// The wire between a host and the middle of the Internet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// To the middle of the Internet, or back.
    pub one_way: Duration,
    /// Up to this much more, at random.
    pub jitter: Duration,
    /// Of a thousand datagrams, this many are lost.
    pub loss_per_mille: u32,
    /// Of a thousand, this many are held up until those behind them have passed.
    pub reorder_per_mille: u32,
    /// Of a thousand, this many arrive twice.
    pub duplicate_per_mille: u32,
    /// Largest IP packet, in bytes; a larger one vanishes without a word, as behind a firewall that drops ICMP.
    pub mtu: usize,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            one_way: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss_per_mille: 0,
            reorder_per_mille: 0,
            duplicate_per_mille: 0,
            mtu: 1500,
        }
    }
}

impl Link {
    /// Whether a datagram of `payload` bytes fits.
    pub(crate) fn fits(&self, payload: usize, is_ipv4: bool) -> bool {
        payload + if is_ipv4 { HEADERS_V4 } else { HEADERS_V6 } <= self.mtu
    }

    /// How long each copy of a datagram is under way; none when it is lost.
    pub(crate) fn carry(&self, rng: &mut impl Rng) -> Vec<Duration> {
        if chance(self.loss_per_mille, rng) {
            return Vec::new();
        }
        let mut delay = self.one_way + up_to(self.jitter, rng);
        if chance(self.reorder_per_mille, rng) {
            delay += HELD_UP;
        }
        let twice = chance(self.duplicate_per_mille, rng).then(|| delay + DUPLICATE_AFTER);
        std::iter::once(delay).chain(twice).collect()
    }
}

/// True `per_mille` times in a thousand.
pub(crate) fn chance(per_mille: u32, rng: &mut impl Rng) -> bool {
    per_mille != 0 && rng.next_u32() % 1000 < per_mille
}

/// Any time below `most`.
pub(crate) fn up_to(most: Duration, rng: &mut impl Rng) -> Duration {
    let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(if micros == 0 { 0 } else { rng.next_u64() % micros })
}

/// IPv4 and UDP.
const HEADERS_V4: usize = 28;
/// IPv6 and UDP.
const HEADERS_V6: usize = 48;
/// Longer than a train of probes or packets takes to pass.
const HELD_UP: Duration = Duration::from_millis(15);
/// A copy made on the way, by a link layer that missed an acknowledgement.
const DUPLICATE_AFTER: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_wire_loses_and_doubles_about_as_many_as_it_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let link = Link { loss_per_mille: 100, duplicate_per_mille: 200, ..Link::default() };

        let copies: Vec<usize> = (0..10_000).map(|_| link.carry(&mut rng).len()).collect();

        let count = |wanted| copies.iter().filter(|copies| **copies == wanted).count();
        assert!((850..1150).contains(&count(0)), "{}", count(0));
        assert!((1600..2000).contains(&count(2)), "{}", count(2));
    }

    #[test]
    fn a_datagram_larger_than_the_mtu_does_not_fit() {
        let link = Link { mtu: 1400, ..Link::default() };

        assert!(link.fits(1372, true) && !link.fits(1373, true));
        assert!(link.fits(1352, false) && !link.fits(1353, false));
    }
}
