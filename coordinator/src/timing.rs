//! When two devices fire, so that their first packets cross on the way.
//!
//! `Start` leaves the server for both at one instant and reaches each after half its round-trip time; the one it reaches
//! first waits longer, so that both fire together, give or take the jitter. Both also wait until they can have a session
//! through the relay, because probes travel inside one.

use std::time::Duration;

/// How long each of two devices waits after `Start` reaches it.
pub(super) fn start_delays(rtts: [Duration; 2]) -> [Duration; 2] {
    let rtts = rtts.map(|rtt| rtt.min(LONGEST_RTT));
    let slower = rtts[0].max(rtts[1]);
    let session = rtts[0] + rtts[1] + SLACK;
    rtts.map(|own| (slower - own) / 2 + session)
}

/// A round-trip time beyond this was measured in a bad moment; nobody is to wait for it.
const LONGEST_RTT: Duration = Duration::from_millis(800);
/// For the two key agreements (a few ms on a small device) and the jitter of four one-way trips.
const SLACK: Duration = Duration::from_millis(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn both_fire_at_the_same_instant() {
        for [a, b] in [[0, 0], [10, 200], [300, 20], [80, 80]] {
            let [delay_a, delay_b] = start_delays([ms(a), ms(b)]);

            assert_eq!(ms(a) / 2 + delay_a, ms(b) / 2 + delay_b, "{a} {b}");
        }
    }

    #[test]
    fn both_wait_until_a_handshake_through_the_relay_can_be_done() {
        for [a, b] in [[0, 0], [10, 200], [300, 20], [80, 80]] {
            let [delay_a, _] = start_delays([ms(a), ms(b)]);
            let fires = ms(a) / 2 + delay_a;

            // told after a/2; INIT takes half of each round trip, RESP the same way back
            assert!(fires > ms(a) / 2 + ms(a) + ms(b), "{a} {b}");
        }
    }

    #[test]
    fn a_bad_measurement_keeps_nobody_waiting_long() {
        let [delay, _] = start_delays([Duration::from_secs(60), ms(10)]);

        assert!(delay < Duration::from_secs(2));
    }
}
