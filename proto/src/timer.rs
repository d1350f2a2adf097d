//! One deadline per purpose: a table small enough to scan, so that nothing is ever scheduled twice. No clock.

use std::time::Instant;

/// What a peer may be waiting for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(usize)]
pub enum Timer {
    /// Repeat CONFIRM until the responder is heard on the new session.
    Confirm,
    /// Ask the rendezvous again for a relay channel and a start.
    Connect,
    /// Drop sessions past their end.
    Expire,
    /// Send the next INIT.
    Handshake,
    /// Start the successor of the sending session.
    Rekey,
    /// Look at the traffic counters while the pair is active.
    Tick,
}

impl Timer {
    const COUNT: usize = Self::Tick as usize + 1;
    const ALL: [Self; Self::COUNT] =
        [Self::Confirm, Self::Connect, Self::Expire, Self::Handshake, Self::Rekey, Self::Tick];
}

/// The deadlines of one peer.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimerTable([Option<Instant>; Timer::COUNT]);

impl TimerTable {
    /// Sets or moves a deadline.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// Sets a deadline unless an earlier one stands.
    pub fn set_no_later(&mut self, timer: Timer, at: Instant) {
        let slot = &mut self.0[timer as usize];
        *slot = Some(slot.map_or(at, |set| set.min(at)));
    }

    /// Forgets a deadline.
    pub fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Whether a deadline is set.
    pub fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes one timer that is due, in the order of the enum.
    pub fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let due = Timer::ALL.into_iter().find(|timer| self.0[*timer as usize].is_some_and(|at| at <= now))?;
        self.stop(due);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_due_timer_fires_once() {
        let now = crate::test_clock::start();
        let mut table = TimerTable::default();
        table.set(Timer::Tick, now);
        table.set(Timer::Rekey, now + Duration::from_secs(1));

        assert_eq!(table.pop_due(now), Some(Timer::Tick));
        assert_eq!(table.pop_due(now), None);
        assert_eq!(table.next(), Some(now + Duration::from_secs(1)));
    }

    #[test]
    fn set_no_later_keeps_the_earlier_deadline() {
        let now = crate::test_clock::start();
        let mut table = TimerTable::default();
        table.set(Timer::Connect, now);

        table.set_no_later(Timer::Connect, now + Duration::from_secs(9));

        assert_eq!(table.next(), Some(now));
    }
}
