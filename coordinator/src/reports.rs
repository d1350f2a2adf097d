//! What both ends of a pair tried, kept until it is put together: the last report of each.
//!
//! A verdict waits a little for the second report of the same start, for half the truth blames the wrong side. What it
//! says is `verdict`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use warren_proto::control::{self, AttemptReport, ToAgent};
use warren_proto::keys::NodeId;

use super::Coordinator;
use super::pair::{Key, key};
use super::verdict::{Side, Verdict, judge};

/// A report and when it came: the ages of its attempts count from there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldReport {
    /// When it came.
    pub at: Instant,
    /// What it says.
    pub report: AttemptReport,
}

/// Why a pair uses the path it uses, with what both ends tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// What the two reports say together.
    pub verdict: Verdict,
    /// What each end tried, in the order in which the pair was named.
    pub reports: [Option<HeldReport>; 2],
}

#[derive(Debug, Default)]
pub(super) struct Reports {
    by_key: BTreeMap<Key, Held>,
    due: BTreeSet<(Instant, Key)>,
}

#[derive(Debug, Default)]
struct Held {
    /// Of the lower id, of the higher id.
    sides: [Option<HeldReport>; 2],
    due: Option<Instant>,
    judged_at: Option<Instant>,
}

impl Reports {
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn forget(&mut self, key: Key) {
        if let Some(at) = self.by_key.remove(&key).and_then(|held| held.due) {
            self.due.remove(&(at, key));
        }
    }

    fn keep(&mut self, key: Key, side: usize, report: AttemptReport, alone: bool, now: Instant) {
        let held = self.by_key.entry(key).or_default();
        let other = held.sides[1 - side].as_ref();
        let complete = alone || other.is_some_and(|other| other.report.attempt == report.attempt);
        held.sides[side] = Some(HeldReport { at: now, report });
        let wish = if complete { now } else { held.due.unwrap_or(now + WAIT_FOR_OTHER) };
        let at = held.judged_at.map_or(wish, |last| wish.max(last + JUDGE_EVERY));
        if let Some(before) = held.due.replace(at) {
            self.due.remove(&(before, key));
        }
        self.due.insert((at, key));
    }

    fn take_due(&mut self, now: Instant) -> Option<Key> {
        let (at, key) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.due.remove(&(at, key));
        if let Some(held) = self.by_key.get_mut(&key) {
            (held.due, held.judged_at) = (None, Some(now));
        }
        Some(key)
    }
}

impl Coordinator {
    /// A device tells what it tried to reach a peer. True when it was worth keeping.
    pub fn handle_attempt_report(&mut self, device: NodeId, report: AttemptReport, now: Instant) -> bool {
        let key = key(device, report.peer);
        if !self.online.contains_key(&device) || !self.is_pair(key) {
            return false;
        }
        let alone = !self.online.contains_key(&report.peer);
        self.reports.keep(key, usize::from(key[1] == device), report, alone, now);
        self.judge_due(now);
        true
    }

    /// Why the pair uses the path it uses, as it looks at this moment; `None` if one of the two is no member.
    pub fn explain(&self, device: NodeId, peer: NodeId) -> Option<Explained> {
        let order = key(device, peer);
        let held = self.reports.by_key.get(&order);
        let waits = self.searches.is_waiting(order);
        let side = |id: NodeId| {
            let held = held.and_then(|held| held.sides[usize::from(order[1] == id)].as_ref());
            Some(Side { waits, ..self.side(id, held)? })
        };
        let verdict = judge(&[side(device)?, side(peer)?]);
        let report = |id: NodeId| held.and_then(|held| held.sides[usize::from(order[1] == id)].clone());
        Some(Explained { verdict, reports: [report(device), report(peer)] })
    }

    pub(super) fn judge_due(&mut self, now: Instant) {
        while let Some(key) = self.reports.take_due(now) {
            let Some(Explained { verdict, reports }) = self.explain(key[0], key[1]) else { continue };
            let attempts = reports.each_ref().map(|held| held.as_ref().map_or(0, |held| held.report.attempt));
            let attempt = if attempts[0] == attempts[1] { attempts[0] } else { 0 };
            for (side, device) in key.into_iter().enumerate().filter(|(_, device)| self.online.contains_key(device)) {
                let message = control::Verdict {
                    peer: key[1 - side],
                    attempt,
                    code: verdict.code.to_owned(),
                    text: verdict.text.clone(),
                    remedy: verdict.remedy.clone(),
                    attempts: reports[1 - side].as_ref().map(|held| aged(held, now)).unwrap_or_default(),
                };
                self.outputs.push_back(super::Output::Send { to: device, message: ToAgent::Verdict(message) });
            }
        }
    }

    fn side<'a>(&'a self, device: NodeId, held: Option<&'a HeldReport>) -> Option<Side<'a>> {
        let member = self.roster.member(device)?;
        let online = self.online.get(&device);
        Some(Side {
            name: &member.name,
            online: online.is_some(),
            relay_only: self.is_relay_only(device),
            set: online.and_then(|online| online.candidates.as_ref()),
            report: held.map(|held| &held.report),
            waits: false,
        })
    }
}

/// The attempts of a report with their ages as they are at `now`.
fn aged(held: &HeldReport, now: Instant) -> Vec<control::Attempt> {
    let since = u64::try_from(now.saturating_duration_since(held.at).as_millis()).unwrap_or(u64::MAX);
    let attempts = held.report.attempts.iter().cloned();
    attempts.map(|attempt| control::Attempt { ago_ms: attempt.ago_ms.saturating_add(since), ..attempt }).collect()
}

/// Both ends judge a round after the same time; what is between their reports is jitter and a lost packet or two.
const WAIT_FOR_OTHER: Duration = Duration::from_secs(2);
/// A member that reports all the time must not make us write to its peer all the time.
const JUDGE_EVERY: Duration = Duration::from_secs(1);
