//! What is done to a contender, one question a file; each phase brings back figures.

mod latency;
mod packets;
pub(super) mod throughput;
mod wire;

use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::contender::Tunnel;
use super::figure::Figure;
use super::pair::Pair;
use super::usage::Usage;
use crate::usage::tcp_counter;

pub(super) use latency::{RAMP, reach};

/// A part of the measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Phase {
    /// Pings with nothing else to do.
    PingIdle,
    /// One TCP flow, with what it costs.
    OneFlow,
    /// Eight TCP flows.
    EightFlows,
    /// One TCP flow in each direction.
    BothDirections,
    /// UDP datagrams of 64 bytes, as many as arrive.
    SmallPackets,
    /// Pings under one TCP flow.
    PingLoaded,
    /// One TCP flow, every byte on the cable counted.
    Wire,
    /// Memory, after what came before.
    Memory,
}

/// Where a phase runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course<'a> {
    pub(super) pair: &'a Pair,
    pub(super) tunnel: &'a Tunnel,
    pub(super) seconds: u32,
}

impl Course<'_> {
    /// The receiver's address through the tunnel.
    fn target(&self) -> Ipv4Addr {
        self.tunnel.addresses[1]
    }
}

impl Phase {
    /// Its name, on the command line and in reports.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Takes its figures.
    pub(super) fn measure(self, course: &Course<'_>) -> Result<Vec<(Figure, f64)>> {
        match self {
            Self::PingIdle => latency::idle(course),
            Self::OneFlow => one_flow(course),
            Self::EightFlows => Ok(vec![(Figure::EightFlowsGbps, throughput::run(course, &["-P", "8"])?.gbps)]),
            Self::BothDirections => Ok(vec![(Figure::BothDirectionsGbps, throughput::run(course, &["--bidir"])?.gbps)]),
            Self::SmallPackets => packets::measure(course),
            Self::PingLoaded => latency::loaded(course),
            Self::Wire => Ok(vec![(Figure::WireBytesPerByte, wire::bytes_per_byte(course)?)]),
            Self::Memory => memory(course.tunnel),
        }
    }
}

fn one_flow(course: &Course<'_>) -> Result<Vec<(Figure, f64)>> {
    let receiver = &course.pair.receiver.namespace;
    let processes = [course.tunnel.ends.as_slice(), &course.tunnel.between].concat();
    let (before, disorder) = (Usage::of(&processes)?, tcp_counter(receiver, DISORDER)?);
    let flow = throughput::run(course, &[])?;
    let after = Usage::of(&processes)?;
    let disorder = tcp_counter(receiver, DISORDER)? - disorder;
    let gigabytes = flow.bytes / 1e9;
    Ok(vec![
        (Figure::OneFlowGbps, flow.gbps),
        (Figure::CpuSecondsPerGb, (after.machine - before.machine) / gigabytes),
        (Figure::TunnelCpuSecondsPerGb, (after.processes - before.processes) / gigabytes),
        (Figure::Retransmits, flow.retransmits),
        (Figure::OutOfOrder, disorder as f64),
    ])
}

/// Nothing without a tunnel.
fn memory(tunnel: &Tunnel) -> Result<Vec<(Figure, f64)>> {
    let resident = |pid: &u32| -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read a process's memory")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("find its memory")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("read its memory")?;
        Ok(kib * 1024)
    };
    let sizes: Vec<_> = tunnel.ends.iter().map(resident).collect::<Result<_>>()?;
    Ok(sizes.into_iter().max().map(|largest| (Figure::ResidentBytes, largest as f64)).into_iter().collect())
}

/// The kernel's name for segments that it had to put aside because those before them were missing.
const DISORDER: &str = "TCPOFOQueue";
