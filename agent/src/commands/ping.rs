//! `warren ping PEER`: asks the peer's daemon for answers and shows the path each takes.
//!
//! The daemon sends one ping per request; counting, pacing and giving up are here.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::cli::PingArgs;
use crate::exit::{Exit, Failure};
use crate::ipc::{Client, Reply, Request};
use crate::output;
use crate::report::{PathKind, Pong};

pub(super) async fn run(socket: &Path, args: &PingArgs) -> Result<(), Failure> {
    let mut client = Client::connect(socket).await?;
    let mut tally = Tally::default();
    let give_up = give_up_at(args);
    let last = args.count.unwrap_or(if args.until_direct { u32::MAX } else { DEFAULT_COUNT });
    for seq in 1..=last {
        let sent = Instant::now();
        let wait = give_up.saturating_duration_since(sent).min(ANSWER_WITHIN);
        if wait.is_zero() {
            break;
        }
        match ping(&mut client, args, seq, wait).await {
            Ok(pong) => {
                show(&pong, args)?;
                tally.note(&pong);
            }
            Err(failure) if failure.exit == Exit::Unreachable => eprintln!("no answer to {seq}"),
            Err(failure) => return Err(failure),
        }
        if tally.direct && args.until_direct {
            return Ok(());
        }
        if seq < last {
            sleep_until((sent + INTERVAL).min(give_up)).await;
        }
    }
    tally.verdict(args)
}

/// What the answers so far amount to.
#[derive(Default)]
struct Tally {
    answered: bool,
    direct: bool,
}

impl Tally {
    fn note(&mut self, pong: &Pong) {
        self.answered = true;
        self.direct |= pong.path.kind == PathKind::Direct;
    }

    fn verdict(&self, args: &PingArgs) -> Result<(), Failure> {
        let peer = &args.peer;
        let explain = format!("`warren path {peer}` says why.");
        match (self.answered, self.direct) {
            (false, _) => Err(Failure::new(Exit::Unreachable, format!("{peer} does not answer")).remedy(explain)),
            (true, false) if args.until_direct => {
                Err(Failure::new(Exit::Relayed, format!("{peer} answers, but only through a relay")).remedy(explain))
            }
            (true, _) => Ok(()),
        }
    }
}

async fn ping(client: &mut Client, args: &PingArgs, seq: u32, wait: Duration) -> Result<Pong, Failure> {
    let timeout_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let reply = client.ask(&Request::Ping { peer: args.peer.clone(), seq, timeout_ms }).await?;
    let Reply::Pong(pong) = reply else { return Err(super::odd()) };
    Ok(pong)
}

fn show(pong: &Pong, args: &PingArgs) -> Result<(), Failure> {
    if args.json { super::print_json(pong) } else { super::print(&(output::pong(&args.peer, pong) + "\n")) }
}

fn give_up_at(args: &PingArgs) -> Instant {
    let default = if args.until_direct { UNTIL_DIRECT } else { FOREVER };
    Instant::now() + args.timeout.unwrap_or(default).min(FOREVER)
}

/// Enough to see whether the round trip is steady.
const DEFAULT_COUNT: u32 = 4;
/// A first ping may have to wait for a handshake through the relay; 2 s is many round trips around the earth.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// As `ping` of iputils.
const INTERVAL: Duration = Duration::from_secs(1);
/// A first attempt takes a few seconds, the one after it starts 30 s later at the earliest.
const UNTIL_DIRECT: Duration = Duration::from_secs(30);
/// A day: no limit, for a person at a terminal.
const FOREVER: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report;

    #[test]
    fn answers_through_a_relay_are_not_enough_when_a_direct_path_was_asked_for() {
        let mut tally = Tally::default();
        tally.note(&pong(PathKind::Relay));

        assert_eq!(tally.verdict(&args(true)).unwrap_err().exit, Exit::Relayed);
        assert!(tally.verdict(&args(false)).is_ok());
    }

    #[test]
    fn no_answer_at_all_is_unreachable() {
        assert_eq!(Tally::default().verdict(&args(true)).unwrap_err().exit, Exit::Unreachable);
    }

    fn pong(kind: PathKind) -> Pong {
        Pong { schema: report::SCHEMA, seq: 1, rtt_ms: 1.0, path: report::Path { kind, ..Default::default() } }
    }

    fn args(until_direct: bool) -> PingArgs {
        PingArgs { peer: "desk".to_owned(), count: None, until_direct, timeout: None, json: false }
    }
}
