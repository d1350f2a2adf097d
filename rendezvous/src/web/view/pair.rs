//! A pair of devices in words: which path each sends on, why, what was tried, what pings found.

use std::time::Duration;

use warren_coordinator::{Ping, ReportedPath};
use warren_proto::candidate::{CandidateKind, NatMapping};
use warren_proto::control::{Attempt, CandidateSet};
use warren_proto::keys::UnixTime;

use super::super::format::{Moment, Rate, Rtt};
use super::device::names;
use super::path::{PathKind, PathView, explanation, via};
use crate::actions::{DeviceView, History, ShownPair, Tried};
use crate::domain::history::PathChange;

/// Everything of a pair but its plots.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct PairView {
    pub(in crate::web) ends: [EndView; 2],
    /// The worse of both directions.
    pub(in crate::web) kind: PathKind,
    pub(in crate::web) reason: String,
    pub(in crate::web) remedy: Option<String>,
    pub(in crate::web) tried: Vec<TriedView>,
    pub(in crate::web) candidates: Vec<CandidateView>,
    pub(in crate::web) pings: Option<PingsView>,
    /// Whether either end can be asked for anything.
    pub(in crate::web) reachable: bool,
    /// Whether another try may be asked for only later.
    pub(in crate::web) retried: bool,
}

/// One end, and how it sends to the other.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct EndView {
    pub(in crate::web) id: String,
    pub(in crate::web) name: String,
    pub(in crate::web) online: bool,
    pub(in crate::web) path: Option<PathView>,
    pub(in crate::web) mtu: Option<u32>,
    pub(in crate::web) sends: Rate,
    pub(in crate::web) nat: String,
}

/// An address that one end tried.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct TriedView {
    pub(in crate::web) at: Moment,
    pub(in crate::web) by: String,
    pub(in crate::web) technique: String,
    pub(in crate::web) remote: String,
    pub(in crate::web) probes: u32,
    pub(in crate::web) heard: u32,
    pub(in crate::web) result: String,
    pub(in crate::web) worked: bool,
}

/// An address at which one end says that it may be reached.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct CandidateView {
    pub(in crate::web) of: String,
    pub(in crate::web) address: String,
    pub(in crate::web) kind: &'static str,
}

/// A run of pings.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct PingsView {
    pub(in crate::web) ends: Vec<PingLine>,
}

/// The pings of one end.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct PingLine {
    pub(in crate::web) name: String,
    pub(in crate::web) pings: Vec<String>,
    pub(in crate::web) summary: String,
}

/// A path became another, in words.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct ChangeView {
    pub(in crate::web) at: Moment,
    pub(in crate::web) from: String,
    pub(in crate::web) to: String,
    pub(in crate::web) before: PathKind,
    pub(in crate::web) kind: PathKind,
    pub(in crate::web) detail: String,
    pub(in crate::web) reason: &'static str,
}

impl PairView {
    pub(in crate::web) fn new(shown: &ShownPair, now: UnixTime) -> Self {
        let [a, b] = &shown.explained.devices;
        let end = |number: usize, own: &DeviceView, other: &DeviceView| {
            let report = own.paths.iter().find(|path| path.report.peer == other.device.id);
            EndView::new(own, other, report, shown, number, now)
        };
        let ends = [end(0, a, b), end(1, b, a)];
        let kinds = ends.iter().filter(|end| end.online).filter_map(|end| Some(end.path.as_ref()?.kind));
        let kind = kinds.max().unwrap_or(PathKind::None);
        // names stand in backticks where there is no other type to set them in
        let plain = |text: &str| text.replace('`', "");
        // the paths that both report speak for themselves, and later than what was tried before
        let verdict = Some(&shown.explained.verdict).filter(|verdict| match kind {
            PathKind::Direct => verdict.code == "same-lan",
            PathKind::None => verdict.code != "probing",
            PathKind::Relay => true,
        });
        let remedy = verdict.map(|verdict| plain(&verdict.remedy));
        Self {
            kind,
            reason: verdict.map(|verdict| plain(&verdict.text)).unwrap_or_default(),
            remedy: remedy.filter(|remedy| !remedy.is_empty()),
            tried: tried(&shown.explained.tried, &ends, now),
            candidates: candidates(&shown.candidates, &ends),
            pings: pings(shown, &ends),
            reachable: ends.iter().any(|end| end.online),
            retried: shown.retry_again_in.is_some(),
            ends,
        }
    }

    /// Its address, by ids.
    pub(in crate::web) fn base(&self) -> String {
        format!("/pairs/{}/{}", self.ends[0].id, self.ends[1].id)
    }

    /// One sentence for the top of the page.
    pub(in crate::web) fn headline(&self) -> &'static str {
        match self.kind {
            PathKind::Direct => "Packets go straight from device to device.",
            PathKind::Relay => "Packets go through the relay, sealed.",
            PathKind::None => "The two are not connected at this moment.",
        }
    }
}

impl EndView {
    /// The path, while the device that reported it is there to know.
    pub(in crate::web) fn shown(&self) -> Option<&PathView> {
        self.path.as_ref().filter(|_| self.online)
    }

    fn new(
        own: &DeviceView,
        other: &DeviceView,
        report: Option<&ReportedPath>,
        shown: &ShownPair,
        number: usize,
        now: UnixTime,
    ) -> Self {
        let both = [other.clone()];
        let path = report.and_then(|path| PathView::new(&path.report, &names(&both), now));
        Self {
            id: own.device.id.to_string(),
            name: own.device.name.to_string(),
            online: own.presence.is_some(),
            mtu: report.map(|path| path.report.mtu).filter(|mtu| *mtu > 0),
            sends: Rate(shown.rates[number][1].saturating_mul(8)),
            nat: nat(shown.candidates[number].as_ref()).to_owned(),
            path,
        }
    }
}

impl ChangeView {
    /// The changes of a pair's history, newest first.
    pub(in crate::web) fn all(history: &History, names: [&str; 2], now: UnixTime) -> Vec<Self> {
        let shown = history.changes.iter().take(CHANGES_SHOWN);
        shown.map(|(line, change)| Self::new(change, names[*line], names[1 - *line], now)).collect()
    }

    fn new(change: &PathChange, from: &str, to: &str, now: UnixTime) -> Self {
        let parts = [via(&change.to.via).unwrap_or_default(), &change.remote];
        let detail: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Self {
            at: Moment::new(change.at, now),
            from: from.to_owned(),
            to: to.to_owned(),
            before: change.from.kind.into(),
            kind: change.to.kind.into(),
            detail: detail.join(", "),
            reason: explanation(&change.reason),
        }
    }
}

/// Lost of all probes since the agent started: `0 %`, `0.3 %`.
pub(in crate::web) fn loss(lost: u64, probes: u64) -> Option<String> {
    let per_mille = lost.saturating_mul(1000).checked_div(probes)?;
    Some(match per_mille {
        0 if lost > 0 => "< 0.1 %".to_owned(),
        0 => "0 %".to_owned(),
        _ => format!("{}.{} %", per_mille / 10, per_mille % 10),
    })
}

/// What a device says of the NAT before it.
pub(in crate::web) fn nat(set: Option<&CandidateSet>) -> &'static str {
    match set.map(|set| set.nat.mapping) {
        None | Some(NatMapping::Unknown) => "not known",
        Some(NatMapping::None) => "none: its own address is public",
        Some(NatMapping::EndpointIndependent) => "one port for all destinations",
        Some(NatMapping::AddressDependent) => "a new port for every destination address",
        Some(NatMapping::EndpointDependent) => "a new port for every destination",
    }
}

/// How a candidate was learnt, in words.
pub(in crate::web) const fn learnt(kind: CandidateKind) -> &'static str {
    match kind {
        CandidateKind::Guessed => "guessed: the local port, forwarded by hand",
        CandidateKind::Host => "an address of its own",
        CandidateKind::Inner => "inside a provider's NAT",
        CandidateKind::Mapped => "mapped by its router",
        CandidateKind::Reflexive => "as servers see it",
        CandidateKind::Static => "set by its owner",
    }
}

fn candidates(sets: &[Option<CandidateSet>; 2], ends: &[EndView; 2]) -> Vec<CandidateView> {
    let of = |(set, end): (&Option<CandidateSet>, &EndView)| {
        let name = end.name.clone();
        let all = set.iter().flat_map(|set| set.candidates.clone()).collect::<Vec<_>>();
        all.into_iter().map(move |candidate| CandidateView {
            of: name.clone(),
            address: candidate.addr.to_string(),
            kind: learnt(candidate.kind),
        })
    };
    sets.iter().zip(ends).flat_map(of).collect()
}

fn tried(tried: &[Vec<Tried>; 2], ends: &[EndView; 2], now: UnixTime) -> Vec<TriedView> {
    let mut all: Vec<(UnixTime, TriedView)> = Vec::new();
    for (attempts, end) in tried.iter().zip(ends) {
        for Tried { at, attempt } in attempts {
            all.push((*at, TriedView::new(attempt, end, Moment::new(*at, now))));
        }
    }
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    all.into_iter().map(|(_, view)| view).collect()
}

impl TriedView {
    fn new(attempt: &Attempt, end: &EndView, at: Moment) -> Self {
        Self {
            at,
            by: end.name.clone(),
            technique: technique(&attempt.technique).to_owned(),
            remote: attempt.remote.map(|remote| remote.to_string()).unwrap_or_default(),
            probes: attempt.probes,
            heard: attempt.heard,
            result: result(&attempt.result).to_owned(),
            worked: attempt.result == "answered",
        }
    }
}

/// A technique in words; a newer agent's is shown as it is.
fn technique(word: &str) -> &str {
    match word {
        "birthday" => "search among random ports",
        "direct" => "direct",
        "peer-reflexive" => "asked back where a probe came from",
        "prediction" => "search along counted ports",
        "punch" => "hole punch",
        "recheck" => "asked again",
        "relay" => "relay",
        other => other,
    }
}

fn result(word: &str) -> &str {
    match word {
        "answered" => "answered",
        "answered-elsewhere" => "answered from elsewhere",
        "forbidden" => "turned away by a firewall",
        "lost" => "worked, then went silent",
        "no-answer" => "no answer",
        "no-route" => "no way there",
        "over-budget" => "not tried further: enough was sent there",
        "pending" => "under way",
        "too-narrow" => "only small packets pass",
        other => other,
    }
}

fn pings(shown: &ShownPair, ends: &[EndView; 2]) -> Option<PingsView> {
    let run = shown.pings.as_ref()?;
    let lines = run.ends.iter().zip(ends).filter(|(pings, _)| !pings.is_empty());
    Some(PingsView { ends: lines.map(|(pings, end)| PingLine::new(pings, &end.name)).collect() })
}

impl PingLine {
    fn new(pings: &[Ping], name: &str) -> Self {
        let text = |ping: &Ping| match ping {
            Ping::Answered(answer) => Rtt(Duration::from_micros(answer.rtt_us)).to_string(),
            Ping::Lost => "no answer".to_owned(),
            Ping::Waiting => "waiting".to_owned(),
        };
        let answers: Vec<u64> = pings
            .iter()
            .filter_map(|ping| if let Ping::Answered(answer) = ping { Some(answer.rtt_us) } else { None })
            .collect();
        let path = pings.iter().rev().find_map(|ping| match ping {
            Ping::Answered(answer) => via(&answer.via),
            Ping::Lost | Ping::Waiting => None,
        });
        let mean = answers.iter().sum::<u64>().checked_div(answers.len() as u64);
        let summary = match mean {
            Some(mean) => format!(
                "{} of {} answered, mean {}{}",
                answers.len(),
                pings.len(),
                Rtt(Duration::from_micros(mean)),
                path.map(|path| format!(", {path}")).unwrap_or_default()
            ),
            None if pings.contains(&Ping::Waiting) => "under way".to_owned(),
            None => "nothing was answered".to_owned(),
        };
        Self { name: name.to_owned(), pings: pings.iter().map(text).collect(), summary }
    }
}

/// A screen of them; the plot has the rest.
const CHANGES_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use warren_proto::control::PingAnswer;

    use super::*;

    #[test]
    fn loss_reads_as_a_share_and_little_is_not_nothing() {
        let texts = [loss(0, 0), loss(0, 5), loss(1, 5000), loss(3, 200)];

        assert_eq!(texts.map(Option::unwrap_or_default), ["", "0 %", "< 0.1 %", "1.5 %"].map(str::to_owned));
    }

    #[test]
    fn pings_are_summed_up() {
        let answer = |rtt_us| Ping::Answered(PingAnswer { rtt_us, via: "ipv4".to_owned(), remote: None });

        let line = PingLine::new(&[answer(12_000), Ping::Lost, answer(14_000)], "nas");
        let silent = PingLine::new(&[Ping::Lost], "nas");

        assert_eq!(line.pings, ["12 ms", "no answer", "14 ms"]);
        assert_eq!(line.summary, "2 of 3 answered, mean 13 ms, over IPv4");
        assert_eq!(silent.summary, "nothing was answered");
        assert_eq!(PingLine::new(&[Ping::Waiting], "nas").summary, "under way");
    }
}
