//! One try: two agents that were offline go online behind NATs that remember nothing, and are watched until they are
//! direct, or have said why they are not.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::expect::Expectation;
use super::meter;
use super::pulse::Pulse;
use super::results::Try;
use crate::agent::Agent;
use crate::nat;
use crate::status::PathReport;
use crate::topology::Site;
use crate::wait;

/// An enrolled agent, and where it is in the overlay.
#[derive(Debug)]
pub(super) struct End {
    agent: Agent,
    overlay: Ipv4Addr,
}

impl End {
    /// Takes an agent that is enrolled and online offline.
    pub(super) fn offline(agent: Agent) -> Result<Self> {
        let overlay = agent.status()?.addresses()?.0;
        let end = Self { agent, overlay };
        end.go_down()?;
        Ok(end)
    }

    /// Starts it anew, so that it has nothing left over from earlier tries: what an agent may ask of NATs in a minute it
    /// counts for as long as it runs.
    fn begin_anew(&mut self) -> Result<()> {
        self.agent.daemon().kill()?;
        self.agent.restart().with_context(|| format!("start the {} again", self.label()))
    }

    fn label(&self) -> &str {
        &self.agent.host().label
    }

    fn go_up(&self) -> Result<()> {
        let limit = format!("{}s", ONLINE_LIMIT.as_secs());
        self.agent.run(&["up", "--timeout", &limit])?.success().with_context(|| format!("{} up", self.label()))?;
        Ok(())
    }

    fn go_down(&self) -> Result<()> {
        self.agent.run(&["down"])?.success().with_context(|| format!("{} down", self.label()))?;
        Ok(())
    }

    /// Waits until servers have told it how they see it; where UDP is blocked nobody ever will.
    fn settle(&self) {
        let seen = || self.agent.status().ok().filter(|status| !status.nat.observed.is_empty());
        // Whether it was is told by what comes of the try.
        let _ = wait::until("a view from outside", SETTLE_LIMIT, seen);
    }
}

/// Runs the try; that it came to nothing is one of its results.
pub(super) fn run(mut ends: [&mut End; 2], sites: &[&Site], expected: Expectation) -> Result<Try> {
    if expected.is_searched() {
        ends.iter_mut().try_for_each(|end| end.begin_anew())?;
    }
    let ends = ends.map(|end| &*end);
    for site in sites {
        site.reset()?;
    }
    for end in ends {
        meter::reset(&end.agent.host().namespace)?;
    }
    let mut one = Try::default();
    if let Err(failure) = meet(ends, sites, expected, &mut one) {
        one.failure = Some(format!("{failure:#}"));
    }
    ends.into_iter().try_for_each(End::go_down)?;
    Ok(one)
}

fn meet(ends: [&End; 2], sites: &[&Site], expected: Expectation, one: &mut Try) -> Result<()> {
    let [first, second] = ends;
    first.go_up()?;
    first.settle();
    let began = OffsetDateTime::now_utc();
    let namespaces = ends.map(|end| &end.agent.host().namespace);
    let pulse = Pulse::start(namespaces[0], namespaces[1], second.overlay)?;
    let start = Instant::now();
    second.go_up()?;
    one.connected_ms = Some(milliseconds(start.elapsed()));

    let reports = watch(ends, expected, start)?;
    one.probes = namespaces.map(meter::read).into_iter().collect::<Result<_>>()?;
    let gateways = sites.iter().filter(|site| site.nat.has_ipv4()).filter_map(|site| site.gateway.as_ref());
    one.mappings = gateways.map(nat::mappings_made).collect::<Result<_>>()?;
    one.first_byte_ms = pulse.first_after().map(milliseconds);
    [one.via, one.far_via] = reports.each_ref().map(|report| report.path.via.clone());
    one.reasons = reports.iter().map(|report| report.reason.code.clone()).collect();
    if reports.iter().all(is_direct) {
        one.techniques = reports.iter().filter_map(PathReport::technique).map(str::to_owned).collect();
        let moved = reports.iter().map(|report| since(report, began)).collect::<Result<Vec<_>>>()?;
        one.direct_ms = moved.into_iter().reduce(f64::max);
    }
    Ok(())
}

/// Watches until both are direct, or until what they say of it will not change any more.
fn watch(ends: [&End; 2], expected: Expectation, start: Instant) -> Result<[PathReport; 2]> {
    let [first, second] = ends;
    let mut as_expected_since = None;
    loop {
        let reports = [first.agent.path(second.label())?, second.agent.path(first.label())?];
        let elapsed = start.elapsed();
        if reports.iter().all(is_direct) || elapsed > limit(expected) {
            return Ok(reports);
        }
        // An end that is to be relayed may have guessed the reason before it has tried everything.
        let settled = reports.iter().all(|report| report.reason.code == expected.reason());
        match (settled, as_expected_since) {
            (false, _) => as_expected_since = None,
            (true, None) => as_expected_since = Some(elapsed),
            (true, Some(since)) if elapsed > since + STEADY => return Ok(reports),
            (true, Some(_)) => {}
        }
        thread::sleep(if elapsed < BRISK_FOR { BRISK } else { CALM });
    }
}

/// Long enough on a busy machine, and short enough for a matrix in which something is amiss.
const fn limit(expected: Expectation) -> Duration {
    match expected {
        Expectation::Basic | Expectation::Ipv6 | Expectation::Lan => Duration::from_secs(10),
        Expectation::Prediction => Duration::from_secs(20),
        Expectation::Birthday => Duration::from_secs(40),
        Expectation::BothSymmetric | Expectation::NoCommonFamily | Expectation::NoHairpin | Expectation::UdpBlocked => {
            Duration::from_secs(15)
        }
    }
}

fn is_direct(report: &PathReport) -> bool {
    report.path.kind == "direct"
}

/// When data moved to the path in use; not before the try began, whatever the clocks' last digits say.
fn since(report: &PathReport, began: OffsetDateTime) -> Result<f64> {
    let since = report.path.since.as_deref().context("a path that is in use since nobody knows when")?;
    let since = OffsetDateTime::parse(since, &Rfc3339).with_context(|| format!("read the time {since}"))?;
    Ok(milliseconds(Duration::try_from(since - began).unwrap_or_default()))
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

/// For going online, over whatever the network lets through.
const ONLINE_LIMIT: Duration = Duration::from_secs(20);
const SETTLE_LIMIT: Duration = Duration::from_secs(1);
/// How long a reason must stand before it is taken for the last word.
const STEADY: Duration = Duration::from_secs(1);
/// Asking costs two processes: often while easy pairs meet, seldom while hard ones search.
const BRISK: Duration = Duration::from_millis(20);
const CALM: Duration = Duration::from_millis(200);
const BRISK_FOR: Duration = Duration::from_secs(2);
