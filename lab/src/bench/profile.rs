//! `cargo xtask profile`: one TCP flow over Warren's direct path, and a sampler on the agent that carries it.
//!
//! Only the samples are taken here; what they show is drawn by whoever asked for them.

use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::contender::{Contender, Programs};
use super::pair::Pair;
use super::phase::{Course, RAMP, reach, throughput};
use crate::host::Finished;

/// Which end of the flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Side {
    /// The agent that seals.
    Sender,
    /// The agent that opens.
    Receiver,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Recording {
    /// For how long samples are taken.
    pub seconds: u32,
    /// Of which agent.
    pub side: Side,
    /// Where perf writes them.
    pub data: PathBuf,
}

/// Takes the samples; the rate of the flow meanwhile, in Gb/s.
pub fn record(recording: &Recording) -> Result<f64> {
    let pair = Pair::build("profile")?;
    let mut tunnel = Contender::Warren.start(&pair, &Programs::default())?;
    reach(&pair, &tunnel)?;
    let (host, process) = match recording.side {
        Side::Sender => (&pair.sender, tunnel.ends[0]),
        Side::Receiver => (&pair.receiver, tunnel.ends[1]),
    };

    let course = Course { pair: &pair, tunnel: &tunnel, seconds: recording.seconds };
    let flow = throughput::start(&course, recording.seconds + 2, &[])?;
    thread::sleep(RAMP);
    // Inside the host's namespace, so that it ends with it whatever happens.
    let mut command = host.namespace.command("perf");
    command.args(["record", "-q", "-F", FREQUENCY, "-g", "-p", &process.to_string(), "-o"]).arg(&recording.data);
    command.args(["--", "sleep", &recording.seconds.to_string()]);
    Finished::run(&mut command)?.success().context("take samples (perf)")?;
    let flow = flow.finish().context("the flow that was sampled")?;
    tunnel.check()?;
    Ok(flow.gbps)
}

/// Samples a second on each CPU; not a divisor of any timer's rate, so that no timer hides between them.
const FREQUENCY: &str = "1999";
