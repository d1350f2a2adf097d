//! Round trips, as ping measures them.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Course, Figure, throughput};
use crate::bench::contender::Tunnel;
use crate::bench::pair::Pair;
use crate::shell;
use crate::wait;

/// Waits until the receiver answers: some tunnels agree on keys when the first packet asks for it.
pub(in crate::bench) fn reach(pair: &Pair, tunnel: &Tunnel) -> Result<()> {
    let target = tunnel.addresses[1].to_string();
    wait::until("an answer through the tunnel", REACH_LIMIT, || {
        let mut command = pair.sender.namespace.command("ping");
        shell::run(command.args(["-n", "-q", "-c", "1", "-W", "1", &target])).ok()
    })?;
    Ok(())
}

pub(super) fn idle(course: &Course<'_>) -> Result<Vec<(Figure, f64)>> {
    ping(course, WARM_UP)?;
    let trips = ping(course, count(course.seconds))?;
    Ok(vec![(Figure::PingIdleP50Ms, percentile(&trips, 50)), (Figure::PingIdleP99Ms, percentile(&trips, 99))])
}

pub(super) fn loaded(course: &Course<'_>) -> Result<Vec<(Figure, f64)>> {
    let flow = throughput::start(course, course.seconds + 2, &[])?;
    // Its end comes a second after the last ping.
    thread::sleep(RAMP);
    let sent = count(course.seconds);
    let trips = ping(course, sent)?;
    flow.finish().context("the flow beside the pings")?;
    Ok(vec![
        (Figure::PingLoadedP50Ms, percentile(&trips, 50)),
        (Figure::PingLoadedP99Ms, percentile(&trips, 99)),
        (Figure::PingLoadedLostPermille, (sent as usize - trips.len()) as f64 * 1e3 / f64::from(sent)),
    ])
}

/// How many pings fill the time.
fn count(seconds: u32) -> u32 {
    seconds * PER_SECOND
}

/// Round trips in milliseconds, sorted; those that got lost are missing.
fn ping(course: &Course<'_>, count: u32) -> Result<Vec<f64>> {
    let mut command = course.pair.sender.namespace.command("ping");
    let interval = (1.0 / f64::from(PER_SECOND)).to_string();
    command.args(["-n", "-i", &interval, "-W", "1", "-c", &count.to_string(), &course.target().to_string()]);
    let mut trips = parse(&shell::run(&mut command)?);
    trips.truncate(count as usize);
    ensure!(!trips.is_empty(), "no ping was answered");
    trips.sort_by(f64::total_cmp);
    Ok(trips)
}

/// The times in what ping prints, one a line; a duplicate is no second trip.
fn parse(output: &str) -> Vec<f64> {
    let lines = output.lines().filter(|line| !line.contains("(DUP!)"));
    lines.filter_map(|line| line.split_once("time=")?.1.split(' ').next()?.parse().ok()).collect()
}

/// By the nearest rank; the values are sorted and at least one.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted[rank.saturating_sub(1)]
}

/// Five milliseconds apart: often enough for a 99th percentile in a second, rare enough to leave the CPUs idle.
const PER_SECOND: u32 = 200;
const WARM_UP: u32 = 40;
/// Past a flow's slow start.
pub(in crate::bench) const RAMP: Duration = Duration::from_millis(700);
/// WireGuard repeats a lost handshake after five seconds.
const REACH_LIMIT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_read_from_pings_lines() {
        let output = "PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.\n\
            64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.125 ms\n\
            64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.175 ms (DUP!)\n\
            64 bytes from 10.0.0.2: icmp_seq=3 ttl=64 time=12.5 ms\n\n\
            --- 10.0.0.2 ping statistics ---\n\
            3 packets transmitted, 2 received, 33% packet loss, time 10ms\n\
            rtt min/avg/max/mdev = 0.125/6.312/12.500/0.010 ms\n";

        assert_eq!(parse(output), [0.125, 12.5]);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();

        assert_eq!(percentile(&values, 50), 100.0);
        assert_eq!(percentile(&values, 99), 198.0);
        assert_eq!(percentile(&[7.0], 99), 7.0);
    }
}
