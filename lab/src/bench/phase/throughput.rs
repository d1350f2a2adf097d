//! TCP flows, as iperf3 makes and counts them.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Course;
use crate::host::Daemon;

/// What flows delivered together.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::bench) struct Flow {
    pub(in crate::bench) gbps: f64,
    pub(in crate::bench) bytes: f64,
    pub(in crate::bench) retransmits: f64,
}

/// Flows that are under way.
pub(in crate::bench) struct Running {
    client: Daemon,
    // Ends by itself after its one client.
    _server: Daemon,
    limit: Duration,
}

/// One measurement of the course's length; `words` for iperf3 say which flows.
pub(in crate::bench) fn run(course: &Course<'_>, words: &[&str]) -> Result<Flow> {
    start(course, course.seconds, words)?.finish()
}

/// Sends from the sender for that many seconds, unless the words say otherwise.
pub(in crate::bench) fn start(course: &Course<'_>, seconds: u32, words: &[&str]) -> Result<Running> {
    let (sender, receiver) = (&course.pair.sender.namespace, &course.pair.receiver.namespace);
    let target = course.target().to_string();
    let log = |role: &str| course.pair.records().join(format!("iperf3-{role}.log"));
    let mut command = receiver.command("iperf3");
    command.args(["-s", "-1", "--forceflush", "-B", &target]);
    let mut server = Daemon::start(&mut command, &log("server"))?;
    server.wait_for("Server listening", LISTEN_LIMIT)?;
    let mut command = sender.command("iperf3");
    command.args(["-c", &target, "-J", "--connect-timeout", "3000", "-t", &seconds.to_string()]).args(words);
    let client = Daemon::start(&mut command, &log("client"))?;
    Ok(Running { client, _server: server, limit: Duration::from_secs(seconds.into()) + END_LIMIT })
}

impl Running {
    /// Waits for the end and reads what iperf3 says of it.
    pub(in crate::bench) fn finish(mut self) -> Result<Flow> {
        self.client.wait_end(self.limit).context("the flow hangs")?;
        parse(&self.client.output())
    }
}

#[derive(Deserialize)]
struct Report {
    error: Option<String>,
    #[serde(default)]
    end: End,
}

#[derive(Default, Deserialize)]
struct End {
    sum_sent: Option<Sum>,
    sum_received: Option<Sum>,
    sum_received_bidir_reverse: Option<Sum>,
}

#[derive(Deserialize)]
struct Sum {
    bytes: f64,
    bits_per_second: f64,
    #[serde(default)]
    retransmits: f64,
}

fn parse(output: &str) -> Result<Flow> {
    // Warnings may come first.
    let start = output.find('{').with_context(|| format!("iperf3 says {:?}", output.trim()))?;
    let report: Report = serde_json::from_str(&output[start..]).context("read what iperf3 says")?;
    if let Some(error) = report.error {
        bail!("iperf3: {error}");
    }
    let (sent, received) = report.end.sum_sent.zip(report.end.sum_received).context("iperf3 gives no sum")?;
    let back = report.end.sum_received_bidir_reverse;
    let back = back.map_or((0.0, 0.0), |sum| (sum.bytes, sum.bits_per_second));
    Ok(Flow {
        gbps: (received.bits_per_second + back.1) / 1e9,
        bytes: received.bytes + back.0,
        retransmits: sent.retransmits,
    })
}

const LISTEN_LIMIT: Duration = Duration::from_secs(5);
/// A tunnel with long queues takes a while to empty them.
const END_LIMIT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_received_counts_and_not_what_was_sent() {
        let output = r#"{"start": {}, "intervals": [], "end": {"streams": [],
            "sum_sent": {"bytes": 1300000000, "bits_per_second": 10.4e9, "retransmits": 12, "sender": true},
            "sum_received": {"bytes": 1250000000, "bits_per_second": 10e9, "sender": true}}}"#;

        let flow = parse(output).unwrap();

        assert_eq!(flow, Flow { gbps: 10.0, bytes: 1.25e9, retransmits: 12.0 });
    }

    #[test]
    fn both_directions_are_summed() {
        let output = r#"{"end": {
            "sum_sent": {"bytes": 100, "bits_per_second": 3e9, "retransmits": 1},
            "sum_received": {"bytes": 90, "bits_per_second": 2e9},
            "sum_sent_bidir_reverse": {"bytes": 80, "bits_per_second": 5e9, "retransmits": 2},
            "sum_received_bidir_reverse": {"bytes": 70, "bits_per_second": 1e9}}}"#;

        let flow = parse(output).unwrap();

        assert_eq!(flow, Flow { gbps: 3.0, bytes: 160.0, retransmits: 1.0 });
    }

    #[test]
    fn an_error_of_iperf3_is_the_reason_given() {
        let error =
            parse(r#"{"start": {}, "end": {}, "error": "unable to connect to server: timed out"}"#).unwrap_err();

        assert_eq!(error.to_string(), "iperf3: unable to connect to server: timed out");
    }
}
