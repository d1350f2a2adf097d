//! What the daemon has found out: whether it runs, whether it is connected, what its network allows, who is relayed.

use super::{Finding, Told};
use crate::report::{PathKind, State};

pub(super) fn standing(daemon: &Result<Told, String>) -> Vec<Finding> {
    let told = match daemon {
        Ok(told) => told,
        Err(why) => {
            let remedy = "Start it: `systemctl start warren`, or `warren daemon` as root.";
            return vec![Finding::fail("daemon", why.clone(), remedy)];
        }
    };
    let status = &told.counters.status;
    let problem = status.problem.as_ref().map(|problem| format!(": {}", problem.text)).unwrap_or_default();
    let enrolled = match status.state {
        State::Connected => Finding::ok("connection", "connected to the rendezvous"),
        State::Connecting => Finding::fail(
            "connection",
            format!("the rendezvous is not reached{problem}"),
            "See what is said of the server below; tunnels that are up stay up meanwhile.",
        ),
        State::NeedsEnrolment => Finding::warn(
            "connection",
            format!("this device is in no mesh{problem}"),
            "Get an invite from the dashboard and run `warren up INVITE`.",
        ),
        State::Stopped => Finding::warn("connection", "this device was taken down", "Run `warren up`."),
    };
    vec![Finding::ok("daemon", "the daemon answers"), enrolled]
}

pub(super) fn look(told: &Told) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(netcheck) = &told.netcheck {
        findings.push(if netcheck.udp {
            Finding::ok("nat", format!("UDP gets out; mapping {}", netcheck.mapping))
        } else {
            Finding::warn(
                "nat",
                "UDP does not get out of this network",
                "Allow outgoing UDP; until then all goes by TCP 443.",
            )
        });
        findings.push(match (&netcheck.judgement.remedy, netcheck.mapped) {
            (_, Some(mapped)) => Finding::ok("port-mapping", format!("the router forwards {mapped} to this device")),
            (None, None) => Finding::ok("port-mapping", netcheck.judgement.text.clone()),
            (Some(remedy), None) => Finding::warn("port-mapping", netcheck.judgement.text.clone(), remedy.clone()),
        });
    }
    let peers = &told.counters.status.peers;
    let relayed: Vec<&str> =
        peers.iter().filter(|peer| peer.path.kind == PathKind::Relay).map(|peer| peer.name.as_str()).collect();
    if let Some(first) = relayed.first() {
        let count = relayed.len();
        let which = if count == 1 { format!("{first} is") } else { format!("{count} peers are") };
        findings.push(Finding::warn(
            "paths",
            format!("{which} reached through the relay"),
            format!("`warren path {first}` says why."),
        ));
    } else if !peers.is_empty() {
        findings.push(Finding::ok("paths", "no peer is relayed"));
    }
    findings
}
