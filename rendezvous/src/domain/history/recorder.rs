//! From reports to points: what counters gained since the report before, put into the slots of the time between.
//!
//! Counters of an agent begin with it, so one that went back began anew; the first report of a way only sets the mark. A
//! device may lie: no gain is more than a line of 100 Gb/s carries, and no way has more than `MAX_PENDING` slots and
//! `MAX_CHANGES` changes waiting, the oldest of which are forgotten. 400 bytes a way, while the database answers; a way is
//! forgotten after an hour of silence. How many ways a device can have is the coordinator's limit.

use std::collections::BTreeMap;
use std::time::Duration;

use warren_proto::control::PathReport;
use warren_proto::keys::UnixTime;

use super::{Kind, Kinds, PathChange, PathName, Point, Rtts, Sample, Span, Way, slot};

/// What waits to be written, and what the next report is compared with.
#[derive(Debug, Default)]
pub struct Recorder {
    gauges: BTreeMap<Way, Gauge>,
}

/// What is to be written at once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// Of the finest span.
    pub points: Vec<(Way, Point)>,
    /// By time, for each way.
    pub changes: Vec<(Way, PathChange)>,
    /// Ways of which it is time to delete what is too old.
    pub overdue: Vec<Way>,
}

#[derive(Debug)]
struct Gauge {
    reported_at: UnixTime,
    counters: Counters,
    path: PathName,
    remote: String,
    /// Bytes a second, received and sent, between the last two reports.
    rates: [u64; 2],
    pending: BTreeMap<UnixTime, Sample>,
    changes: Vec<PathChange>,
    trimmed_at: Option<UnixTime>,
}

#[derive(Clone, Copy, Debug)]
struct Counters {
    rx_bytes: u64,
    tx_bytes: u64,
    probes: u64,
    lost: u64,
}

impl Counters {
    fn of(report: &PathReport) -> Self {
        let PathReport { rx_bytes, tx_bytes, probes, probes_lost, .. } = report;
        Self { rx_bytes: *rx_bytes, tx_bytes: *tx_bytes, probes: *probes, lost: *probes_lost }
    }
}

impl Recorder {
    /// Takes a report that came at `at`.
    pub fn note(&mut self, way: Way, report: &PathReport, at: UnixTime) {
        let path = PathName { kind: Kind::parse(&report.kind), via: report.via.clone() };
        let remote = report.remote.map(|remote| remote.to_string()).unwrap_or_default();
        let counters = Counters::of(report);
        let gauge = self.gauges.entry(way).or_insert_with(|| Gauge {
            reported_at: at,
            counters,
            path: path.clone(),
            remote: remote.clone(),
            rates: [0; 2],
            pending: BTreeMap::new(),
            changes: Vec::new(),
            trimmed_at: None,
        });
        gauge.measure(report, &path, at);
        gauge.count(counters, at);
        if (&gauge.path, &gauge.remote) != (&path, &remote) {
            gauge.change(path, remote, &report.reason_code, at);
        }
        gauge.reported_at = at;
        gauge.bound();
    }

    /// What is to be written now; nothing of it is kept, and ways that have been silent for long are forgotten.
    pub fn take(&mut self, now: UnixTime) -> Batch {
        let mut batch = Batch::default();
        for (way, gauge) in &mut self.gauges {
            let pending = std::mem::take(&mut gauge.pending);
            batch.points.extend(pending.into_iter().map(|(at, sample)| (*way, Point { at, sample })));
            batch.changes.extend(gauge.changes.drain(..).map(|change| (*way, change)));
            if gauge.trimmed_at.is_none_or(|at| since(at, now) >= TRIM_EVERY) {
                gauge.trimmed_at = Some(now);
                batch.overdue.push(*way);
            }
        }
        self.gauges.retain(|_, gauge| since(gauge.reported_at, now) < FORGET_AFTER);
        batch
    }

    /// Takes back what could not be written.
    pub fn put_back(&mut self, batch: Batch) {
        for (way, point) in batch.points {
            if let Some(gauge) = self.gauges.get_mut(&way) {
                gauge.pending.entry(point.at).or_default().merge(&point.sample);
            }
        }
        for (way, change) in batch.changes {
            if let Some(gauge) = self.gauges.get_mut(&way) {
                gauge.changes.push(change);
            }
        }
        for gauge in self.gauges.values_mut() {
            gauge.changes.sort_by_key(|change| change.at);
            gauge.bound();
        }
    }

    /// What is not written yet, of one way.
    pub fn pending(&self, way: Way) -> Vec<Point> {
        let pending = self.gauges.get(&way).into_iter().flat_map(|gauge| &gauge.pending);
        pending.map(|(at, sample)| Point { at: *at, sample: *sample }).collect()
    }

    /// What is not written yet, of all ways of a device together.
    pub fn pending_of(&self, device: warren_proto::keys::NodeId) -> Vec<Point> {
        let own = self.gauges.iter().filter(|(way, _)| way.from == device);
        own.flat_map(|(_, gauge)| &gauge.pending).map(|(at, sample)| Point { at: *at, sample: *sample }).collect()
    }

    /// Changes that are not written yet, of one way.
    pub fn pending_changes(&self, way: Way) -> Vec<PathChange> {
        self.gauges.get(&way).map(|gauge| gauge.changes.clone()).unwrap_or_default()
    }

    /// Bytes a second, received and sent; nothing when the last report is old.
    pub fn rates(&self, way: Way, now: UnixTime) -> [u64; 2] {
        let fresh = self.gauges.get(&way).filter(|gauge| since(gauge.reported_at, now) < RATE_HOLDS);
        fresh.map_or([0; 2], |gauge| gauge.rates)
    }
}

impl Gauge {
    fn measure(&mut self, report: &PathReport, path: &PathName, at: UnixTime) {
        let measured = path.kind != Kind::None && report.rtt_us > 0;
        let sample = Sample {
            kinds: Kinds::of(path.kind),
            rtts: measured.then(|| Rtts::of(report.rtt_us)),
            ..Sample::default()
        };
        self.pending.entry(slot(at, Span::Fine.length())).or_default().merge(&sample);
    }

    /// Puts what the counters gained where it belongs: probes into this slot, bytes evenly into all since the last report.
    fn count(&mut self, counters: Counters, at: UnixTime) {
        let before = std::mem::replace(&mut self.counters, counters);
        let elapsed = since(self.reported_at, at);
        let most = MAX_BYTES_PER_SECOND.saturating_mul(elapsed.as_secs().max(1));
        let rx = gain(before.rx_bytes, counters.rx_bytes).min(most);
        let tx = gain(before.tx_bytes, counters.tx_bytes).min(most);
        let probes = gain(before.probes, counters.probes).min(MAX_PROBES);
        let lost = gain(before.lost, counters.lost).min(probes);
        let now = self.pending.entry(slot(at, Span::Fine.length())).or_default();
        now.merge(&Sample { probes, lost, ..Sample::default() });
        let millis = elapsed.as_millis().max(1);
        self.rates = [rx, tx].map(|bytes| u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX));
        self.spread(rx, tx, elapsed, at);
    }

    fn spread(&mut self, rx: u64, tx: u64, elapsed: Duration, at: UnixTime) {
        if rx == 0 && tx == 0 {
            return;
        }
        let length = Span::Fine.length();
        let last = slot(at, length);
        let back = elapsed.min(Span::Fine.kept() - length);
        let first = slot(UnixTime::new(at.since_epoch().saturating_sub(back)), length);
        let slots = u64::try_from(since(first, last).as_millis() / length.as_millis()).unwrap_or(0);
        let begins = at.since_epoch().saturating_sub(back);
        let total = back.as_millis().max(1);
        let (mut rx_left, mut tx_left) = (rx, tx);
        for index in 0..slots {
            let from = first.plus(length * u32::try_from(index).unwrap_or(u32::MAX));
            let covered = (from.since_epoch() + length).saturating_sub(from.since_epoch().max(begins)).as_millis();
            let share = |bytes: u64| u64::try_from(u128::from(bytes) * covered / total).unwrap_or(0);
            let (rx, tx) = (share(rx).min(rx_left), share(tx).min(tx_left));
            (rx_left, tx_left) = (rx_left - rx, tx_left - tx);
            let sample = Sample { rx_bytes: rx, tx_bytes: tx, ..Sample::default() };
            self.pending.entry(from).or_default().merge(&sample);
        }
        let rest = Sample { rx_bytes: rx_left, tx_bytes: tx_left, ..Sample::default() };
        self.pending.entry(last).or_default().merge(&rest);
    }

    fn change(&mut self, path: PathName, remote: String, reason: &str, at: UnixTime) {
        let from = std::mem::replace(&mut self.path, path.clone());
        self.remote.clone_from(&remote);
        self.changes.push(PathChange { at, from, to: path, remote, reason: reason.to_owned() });
    }

    fn bound(&mut self) {
        while self.pending.len() > MAX_PENDING {
            self.pending.pop_first();
        }
        let excess = self.changes.len().saturating_sub(MAX_CHANGES);
        self.changes.drain(..excess);
    }
}

fn gain(before: u64, after: u64) -> u64 {
    after.checked_sub(before).unwrap_or(after)
}

fn since(earlier: UnixTime, later: UnixTime) -> Duration {
    later.since_epoch().saturating_sub(earlier.since_epoch())
}

/// A line of 100 Gb/s.
const MAX_BYTES_PER_SECOND: u64 = 12_500_000_000;
/// Far more than an agent sends between two reports.
const MAX_PROBES: u64 = 10_000;
/// An hour without a database: what comes after it has no slot to go to.
const MAX_PENDING: usize = 240;
/// More changes between two writes are a path that flaps, and look the same.
const MAX_CHANGES: usize = 20;
/// A way is looked through for what is too old this often, so it holds a quarter of an hour more than it should.
const TRIM_EVERY: Duration = Duration::from_secs(900);
/// As long as fine points are kept; an idle pair is heard of every five minutes.
const FORGET_AFTER: Duration = Duration::from_secs(3600);
/// Reports of a pair that moves come every 15 s.
const RATE_HOLDS: Duration = Duration::from_secs(40);

#[cfg(test)]
mod tests {
    use warren_proto::keys::NodeId;

    use super::*;

    const WAY: Way = Way { from: NodeId::new([1; 16]), to: NodeId::new([2; 16]) };

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(1_000_000 * 15 + secs)
    }

    fn report(rx_bytes: u64, probes: u64, lost: u64) -> PathReport {
        PathReport {
            peer: WAY.to,
            kind: "direct".to_owned(),
            via: "ipv4".to_owned(),
            remote: None,
            rtt_us: 12_000,
            mtu: 1466,
            since_unix_ms: 1,
            rx_bytes,
            tx_bytes: 0,
            reason_code: "direct".to_owned(),
            rx_packets: 0,
            tx_packets: 0,
            probes,
            probes_lost: lost,
        }
    }

    fn received(batch: &Batch) -> Vec<(u64, u64)> {
        batch.points.iter().map(|(_, point)| (point.at.as_secs() - at(0).as_secs(), point.sample.rx_bytes)).collect()
    }

    #[test]
    fn bytes_lie_evenly_in_the_slots_since_the_last_report() {
        let mut recorder = Recorder::default();
        recorder.note(WAY, &report(500, 0, 0), at(10));
        recorder.take(at(10));

        recorder.note(WAY, &report(500 + 4000, 0, 0), at(50));

        assert_eq!(recorder.rates(WAY, at(60)), [100, 0]);
        assert_eq!(recorder.rates(WAY, at(100)), [0, 0], "too old to say");
        assert_eq!(received(&recorder.take(at(50))), [(0, 500), (15, 1500), (30, 1500), (45, 500)]);
    }

    #[test]
    fn an_agent_that_began_anew_counts_from_zero_and_the_first_report_only_sets_the_mark() {
        let mut recorder = Recorder::default();

        recorder.note(WAY, &report(1_000_000, 50, 5), at(1));
        recorder.note(WAY, &report(700, 3, 1), at(6));

        let batch = recorder.take(at(6));
        assert_eq!(received(&batch), [(0, 700)]);
        let sample = batch.points[0].1.sample;
        assert_eq!((sample.probes, sample.lost), (3, 1));
        assert_eq!(sample.rtts, Some(Rtts { min: 12_000, max: 12_000, sum: 24_000, count: 2 }));
    }

    #[test]
    fn a_lie_is_no_more_than_a_fast_line_could_carry() {
        let mut recorder = Recorder::default();

        recorder.note(WAY, &report(0, 0, 0), at(0));
        recorder.note(WAY, &report(u64::MAX, u64::MAX, u64::MAX), at(2));

        let sample = recorder.take(at(2)).points[0].1.sample;
        assert_eq!((sample.rx_bytes, sample.probes, sample.lost), (25_000_000_000, 10_000, 10_000));
    }

    #[test]
    fn a_change_of_kind_or_place_is_noted_with_its_reason() {
        let mut recorder = Recorder::default();
        recorder.note(WAY, &report(0, 0, 0), at(0));
        let relayed = PathReport { kind: "relay".to_owned(), via: "udp-relay".to_owned(), ..report(0, 0, 0) };

        recorder.note(WAY, &PathReport { reason_code: "no-answer".to_owned(), ..relayed.clone() }, at(5));
        recorder.note(WAY, &relayed, at(10));

        let changes = recorder.take(at(10)).changes;
        assert_eq!(changes.len(), 1);
        let (_, change) = &changes[0];
        assert_eq!((change.from.kind, change.to.kind, change.at), (Kind::Direct, Kind::Relay, at(5)));
        assert_eq!((change.to.via.as_str(), change.reason.as_str()), ("udp-relay", "no-answer"));
    }

    #[test]
    fn what_could_not_be_written_waits_within_bounds_and_a_silent_way_is_forgotten() {
        let mut recorder = Recorder::default();
        for round in 0..1000 {
            let kind = if round % 2 == 0 { "direct" } else { "relay" };
            recorder.note(WAY, &PathReport { kind: kind.to_owned(), ..report(round, 0, 0) }, at(round * 15));
            let batch = recorder.take(at(round * 15));
            recorder.put_back(batch);
        }

        let batch = recorder.take(at(15_000));
        assert_eq!((batch.points.len(), batch.changes.len()), (MAX_PENDING, MAX_CHANGES));
        assert!(recorder.gauges.len() == 1);
        recorder.take(at(20_000));
        assert!(recorder.gauges.is_empty());
    }
}
