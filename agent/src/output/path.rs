//! `warren path`: the path, why it is this one, what would help, and what both ends tried.

use std::fmt::Write;

use super::{Colour, Style, or_dash, path_words, table, wrapped};
use crate::report::{Attempt, Candidate, PathReport};

/// The report for a person.
pub fn path(report: &PathReport, colour: Colour) -> String {
    let mut text = headline(report, colour);
    text.push('\n');
    text.push_str(&wrapped("Why", &format!("{} ({})", report.reason.text, report.reason.code)));
    if let Some(remedy) = &report.reason.remedy {
        text.push_str(&wrapped("Fix", remedy));
    }
    if report.reason.joined {
        text.push_str(&wrapped("   ", "Made from what both ends tried; the other end says the same."));
    }
    text.push_str(&places("This device", &report.candidates.local, colour));
    text.push_str(&places(&report.peer, &report.candidates.peer, colour));
    text.push_str(&attempts(report, colour));
    text
}

fn headline(report: &PathReport, colour: Colour) -> String {
    let path = &report.path;
    let mut text = format!("{}  {}", colour.paint(Style::Bold, &report.peer), path_words(path));
    if let Some(rtt) = path.rtt_ms {
        let _ = write!(text, ", {rtt} ms");
    }
    text.push('\n');
    if let Some(mtu) = path.mtu {
        let _ = writeln!(text, "packets of up to {mtu} bytes");
    }
    text
}

/// Where a device may be reached, and how each address was learnt.
fn places(who: &str, candidates: &[Candidate], colour: Colour) -> String {
    if candidates.is_empty() {
        return String::new();
    }
    let title = vec![format!("{who} may be reached at")];
    let row = |candidate: &Candidate| vec![format!("  {}", candidate.addr), learnt(&candidate.kind).to_owned()];
    let rows: Vec<Vec<String>> = candidates.iter().map(row).collect();
    format!("\n{}{}", table(&[title], colour), table(&rows, Colour::None))
}

fn learnt(kind: &str) -> &str {
    match kind {
        "host" => "its own address",
        "static" => "set by its owner",
        "mapped" => "forwarded by its router",
        "inner" => "inside its carrier's network",
        "reflexive" => "as servers see it",
        "guessed" => "a guess: the same port outside",
        other => other,
    }
}

/// What both ends tried, in one table: the newest starts concern both.
fn attempts(report: &PathReport, colour: Colour) -> String {
    if report.attempts.is_empty() && report.peer_attempts.is_empty() {
        return String::new();
    }
    let mut rows = vec![["BY", "AGO", "HOW", "TO", "SENT", "HEARD", "RESULT", "SEEN AS"].map(str::to_owned).to_vec()];
    let here = report.attempts.iter().map(|attempt| row("here", attempt));
    let there = report.peer_attempts.iter().map(|attempt| row(&report.peer, attempt));
    rows.extend(here.chain(there));
    if rows.iter().skip(1).all(|row| row.last().is_some_and(|seen| seen == "-")) {
        rows.iter_mut().for_each(|row| row.truncate(7));
    }
    format!("\n{}", table(&rows, colour))
}

fn row(by: &str, attempt: &Attempt) -> Vec<String> {
    let address = |addr: Option<std::net::SocketAddr>| or_dash(addr.map(|addr| addr.to_string()).unwrap_or_default());
    vec![
        by.to_owned(),
        ago(attempt.ago_ms),
        attempt.technique.clone(),
        address(attempt.remote),
        attempt.probes.to_string(),
        attempt.heard.to_string(),
        attempt.result.clone(),
        address(attempt.local),
    ]
}

/// An age as short as it is still of use.
fn ago(millis: u64) -> String {
    match millis / 1000 {
        0..10 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Candidates, Path, PathKind, Reason};

    fn attempt(technique: &str, remote: &str, result: &str, ago_ms: u64) -> Attempt {
        Attempt {
            at: "2026-01-01T00:00:00Z".to_owned(),
            technique: technique.to_owned(),
            local: None,
            remote: Some(remote.parse().unwrap()),
            result: result.to_owned(),
            ago_ms,
            probes: 7,
            heard: 0,
            attempt: None,
        }
    }

    fn report() -> PathReport {
        let candidate = |addr: &str, kind: &str| Candidate { addr: addr.parse().unwrap(), kind: kind.to_owned() };
        PathReport {
            schema: 1,
            peer: "desktop".to_owned(),
            path: Path {
                kind: PathKind::Relay,
                via: Some("udp-relay".to_owned()),
                remote: Some("192.0.2.10:3480".parse().unwrap()),
                rtt_ms: Some(12.5),
                mtu: Some(1420),
                since: None,
            },
            reason: Reason {
                code: "both-symmetric".to_owned(),
                text: "The NATs of `laptop` and of `desktop` both use another port for every destination.".to_owned(),
                remedy: Some("On the router of one of them: enable UPnP, NAT-PMP or PCP.".to_owned()),
                joined: true,
            },
            relay_only: false,
            candidates: Candidates {
                local: vec![candidate("192.168.1.2:41641", "host")],
                peer: vec![candidate("203.0.113.7:4000", "reflexive"), candidate("203.0.113.7:41641", "guessed")],
            },
            attempts: vec![
                attempt("relay", "192.0.2.10:3480", "answered", 8300),
                attempt("punch", "203.0.113.7:4000", "no-answer", 8200),
            ],
            peer_attempts: vec![attempt("punch", "198.51.100.1:50001", "no-answer", 125_000)],
        }
    }

    #[test]
    fn a_relayed_pair_reads_as_one_story() {
        assert_eq!(path(&report(), Colour::None), STORY);
        assert!(STORY.lines().all(|line| line.chars().count() <= super::super::WIDTH));
    }

    #[test]
    fn what_is_direct_says_little() {
        let direct = PathReport {
            reason: Reason {
                code: "direct".to_owned(),
                text: "Packets go straight.".to_owned(),
                remedy: None,
                joined: false,
            },
            candidates: Candidates::default(),
            attempts: Vec::new(),
            peer_attempts: Vec::new(),
            ..report()
        };

        assert!(path(&direct, Colour::None).ends_with("\nWhy  Packets go straight. (direct)\n"));
    }

    #[test]
    fn ages_are_short() {
        assert_eq!(
            [0, 950, 9_999, 10_000, 119_000, 120_000, 7_200_000].map(ago),
            ["0.0 s", "0.9 s", "9.9 s", "10 s", "119 s", "2 min", "2 h"]
        );
    }

    const STORY: &str = "\
desktop  relayed udp-relay 192.0.2.10:3480, 12.5 ms
packets of up to 1420 bytes

Why  The NATs of `laptop` and of `desktop` both use another port for every
     destination. (both-symmetric)
Fix  On the router of one of them: enable UPnP, NAT-PMP or PCP.
     Made from what both ends tried; the other end says the same.

This device may be reached at
  192.168.1.2:41641  its own address

desktop may be reached at
  203.0.113.7:4000   as servers see it
  203.0.113.7:41641  a guess: the same port outside

BY       AGO    HOW    TO                  SENT  HEARD  RESULT
here     8.3 s  relay  192.0.2.10:3480     7     0      answered
here     8.2 s  punch  203.0.113.7:4000    7     0      no-answer
desktop  2 min  punch  198.51.100.1:50001  7     0      no-answer
";
}
