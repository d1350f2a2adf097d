//! Is the way to the server still open, and is the better one back?
//!
//! Both only wait and tell; what follows is `client`'s decision.

use std::time::Duration;

use quinn::Connection;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

/// How many datagrams of a connection have come in and gone out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Progress {
    received: u64,
    sent: u64,
}

impl Progress {
    /// As of this moment.
    pub(super) fn of(connection: &Connection) -> Self {
        let stats = connection.stats();
        Self { received: stats.udp_rx.datagrams, sent: stats.udp_tx.datagrams }
    }

    /// Whether anything has been heard since.
    pub(super) fn is_answered(self, connection: &Connection) -> bool {
        Self::of(connection).received != self.received
    }
}

/// What has become of something that was sent and is to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Something was heard.
    Answered,
    /// QUIC repeats itself, and hears nothing.
    Doubtful,
    /// It has done so for too long.
    Lost,
    /// Nothing was repeated either: there was nothing to be answered. What was acknowledged is not sent again, and a
    /// connection that is merely at rest is not silent.
    Quiet,
    /// Too early to tell.
    Unknown,
}

/// Something that was sent and is to be answered.
#[derive(Clone, Copy, Debug)]
struct Question {
    asked: Progress,
    at: Instant,
    /// When QUIC was first seen to have repeated itself. Its pauses double: between two looks there may be none.
    repeated: Option<Instant>,
}

impl Question {
    fn new(asked: Progress, at: Instant) -> Self {
        Self { asked, at, repeated: None }
    }

    fn look(&mut self, seen: Progress, now: Instant) -> Outcome {
        if seen.received != self.asked.received {
            return Outcome::Answered;
        }
        if seen.sent == self.asked.sent {
            return if now - self.at < GIVE_UP_AFTER { Outcome::Unknown } else { Outcome::Quiet };
        }
        // a keepalive that was sent a moment ago has its answer under way
        let silent = now - *self.repeated.get_or_insert(now);
        if silent < GIVE_UP_AFTER - DOUBT_AFTER { Outcome::Doubtful } else { Outcome::Lost }
    }
}

/// Watches a connection, and ends when it is lost: we have sent, and heard nothing for `GIVE_UP_AFTER`. QUIC itself would wait
/// for the idle timeout. After `DOUBT_AFTER` it tells `doubt`: too early to give the connection up, not too early to look for
/// another. `wrote` tells it of messages, which are to be acknowledged; what QUIC sends by itself it sees in passing.
pub(super) async fn keep_vigil(connection: &Connection, wrote: &Notify, doubt: &watch::Sender<Option<Progress>>) {
    loop {
        let before = Progress::of(connection);
        let message = tokio::select! {
            () = wrote.notified() => true,
            () = sleep(LOOK_EVERY) => false,
        };
        let asked = Progress::of(connection);
        if !message && (asked.sent == before.sent || asked.received != before.received) {
            continue;
        }
        let mut question = Question::new(asked, Instant::now());
        let mut pause = DOUBT_AFTER.max(connection.rtt() * 4);
        loop {
            sleep(pause).await;
            pause = LOOK_AGAIN;
            match question.look(Progress::of(connection), Instant::now()) {
                Outcome::Answered | Outcome::Quiet => break,
                Outcome::Doubtful => {
                    doubt.send_if_modified(|told| told.replace(asked) != Some(asked));
                }
                Outcome::Lost => return,
                Outcome::Unknown => {}
            }
        }
    }
}

/// How long to wait before UDP is tried for the `tries`th time from a WebSocket: soon at first, for it may have been an
/// outage, then about twice a minute. `random` is any random number.
pub(super) fn next_try(tries: u32, random: u32) -> Duration {
    let longest = FIRST_TRY.saturating_mul(1 << tries.min(MAX_DOUBLINGS)).min(LONGEST_TRY);
    longest - (longest / 4).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// An acknowledgement takes a round trip and 25 ms, and QUIC repeats what lacks one soon after that (RFC 9002 section 6.2).
const DOUBT_AFTER: Duration = Duration::from_secs(1);
/// How often we look whether QUIC sent something by itself.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How often we look for the answer that is late.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Datagrams sent but none received for this long: the server or the way to it is gone, whatever QUIC still hopes for.
const GIVE_UP_AFTER: Duration = Duration::from_secs(6);
const FIRST_TRY: Duration = Duration::from_secs(5);
/// With the try itself, back within a minute of UDP's return.
const LONGEST_TRY: Duration = Duration::from_secs(35);
/// 5 s x 2^3 is beyond the longest.
const MAX_DOUBLINGS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a message when so many datagrams have come in and gone out after so many milliseconds.
    fn outcomes(looks: &[(u64, u64, u64)]) -> Vec<Outcome> {
        let at = Instant::now();
        let mut question = Question::new(Progress { received: 10, sent: 20 }, at);
        let look = |(after, received, sent): &(u64, u64, u64)| {
            question.look(Progress { received: *received, sent: *sent }, at + Duration::from_millis(*after))
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn a_server_that_never_answers_is_given_up_however_long_quic_pauses_between_repetitions() {
        let looks = [(1000, 10, 20), (1500, 10, 21), (3000, 10, 21), (6000, 10, 22), (6500, 10, 22)];

        let expected = [Outcome::Unknown, Outcome::Doubtful, Outcome::Doubtful, Outcome::Doubtful, Outcome::Lost];
        assert_eq!(outcomes(&looks), expected);
    }

    #[test]
    fn a_connection_at_rest_is_not_silent() {
        assert_eq!(outcomes(&[(1000, 10, 20), (6000, 10, 20)]), [Outcome::Unknown, Outcome::Quiet]);
        // a keepalive just before the end, answered
        assert_eq!(outcomes(&[(5900, 10, 21), (6400, 11, 21)]), [Outcome::Doubtful, Outcome::Answered]);
    }

    #[test]
    fn udp_is_tried_soon_then_more_seldom_but_never_a_minute_apart() {
        let waits: Vec<Duration> = (0..10).map(|tries| next_try(tries, 0)).collect();

        assert!(waits.is_sorted());
        assert_eq!((waits[0], waits[9]), (FIRST_TRY, LONGEST_TRY));
        assert!(LONGEST_TRY + super::super::CONNECT_WITHIN < Duration::from_secs(60));
        assert!(next_try(9, u32::MAX) < next_try(9, 0));
    }
}
