//! The path from one device to another, in words: what kind it is, where it goes, and why it is not better.

use std::time::Duration;

use warren_coordinator::Verdict;
use warren_proto::control::PathReport;
use warren_proto::keys::UnixTime;

use super::super::format::{Bytes, Moment, Rtt};
use super::device::Names;
use super::pair::loss;
use crate::actions::DeviceView;
use crate::domain::history::Kind;

/// One device's path to one peer.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct PathView {
    pub(in crate::web) peer_id: String,
    pub(in crate::web) peer_name: String,
    pub(in crate::web) kind: PathKind,
    pub(in crate::web) via: Option<&'static str>,
    pub(in crate::web) remote: Option<String>,
    pub(in crate::web) rtt: Option<Rtt>,
    pub(in crate::web) loss: Option<String>,
    pub(in crate::web) since: Option<Moment>,
    pub(in crate::web) received: Bytes,
    pub(in crate::web) sent: Bytes,
    pub(in crate::web) explanation: String,
    pub(in crate::web) remedy: Option<String>,
}

impl PathView {
    /// A path as its device reported it; `None` when the peer is no device of ours any more.
    pub(super) fn new(report: &PathReport, names: &Names<'_>, now: UnixTime) -> Option<Self> {
        let kind = PathKind::parse(&report.kind);
        let since = UnixTime::new(Duration::from_millis(report.since_unix_ms));
        let is_path = kind != PathKind::None;
        Some(Self {
            peer_id: report.peer.to_string(),
            peer_name: (*names.get(&report.peer)?).to_owned(),
            kind,
            via: via(&report.via),
            remote: report.remote.filter(|_| is_path).map(|remote| remote.to_string()),
            rtt: (is_path && report.rtt_us > 0).then_some(Rtt(Duration::from_micros(report.rtt_us))),
            loss: loss(report.probes_lost, report.probes).filter(|_| is_path),
            since: (is_path && report.since_unix_ms > 0).then(|| Moment::new(since, now)),
            received: Bytes(report.rx_bytes),
            sent: Bytes(report.tx_bytes),
            explanation: explanation(&report.reason_code).to_owned(),
            remedy: remedy(&report.reason_code).map(str::to_owned),
        })
    }

    /// No path from a device to an online peer, with the reason if the device gave one.
    pub(super) fn none(device: &DeviceView, peer: &DeviceView, names: &Names<'_>, now: UnixTime) -> Self {
        let reported = device.paths.iter().find(|path| path.report.peer == peer.device.id);
        reported.and_then(|path| Self::new(&path.report, names, now)).unwrap_or_else(|| Self {
            peer_id: peer.device.id.to_string(),
            peer_name: peer.device.name.to_string(),
            kind: PathKind::None,
            via: None,
            remote: None,
            rtt: None,
            loss: None,
            since: None,
            received: Bytes(0),
            sent: Bytes(0),
            explanation: "connects with the first packet".to_owned(),
            remedy: None,
        })
    }

    /// Says what both ends' reports say together, unless the path is direct or nothing was reported.
    pub(super) fn explain(&mut self, verdict: &Verdict) {
        if self.kind == PathKind::Direct || UNEXPLAINED.contains(&verdict.code) {
            return;
        }
        // names stand in backticks where there is no other type to set them in
        let plain = |text: &str| text.replace('`', "");
        self.explanation = plain(&verdict.text);
        self.remedy = Some(plain(&verdict.remedy)).filter(|remedy| !remedy.is_empty());
    }
}

/// The kinds of path, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::web) enum PathKind {
    /// From socket to socket.
    Direct,
    /// Through the relay.
    Relay,
    /// Not connected.
    None,
}

impl PathKind {
    /// The kind of an agent's report; an unknown word is no path.
    pub(in crate::web) fn parse(word: &str) -> Self {
        match word {
            "direct" => Self::Direct,
            "relay" => Self::Relay,
            _ => Self::None,
        }
    }

    /// The word a person reads.
    pub(in crate::web) const fn word(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::None => "not connected",
        }
    }

    /// Its class in the style sheet.
    pub(in crate::web) const fn class(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::None => "none",
        }
    }

    /// Its glyph in `_icons.html`.
    pub(in crate::web) const fn icon(&self) -> &'static str {
        self.class()
    }
}

impl From<Kind> for PathKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Direct => Self::Direct,
            Kind::Relay => Self::Relay,
            Kind::None => Self::None,
        }
    }
}

/// How a path gets there, in words; `None` for what says nothing more.
pub(in crate::web) fn via(word: &str) -> Option<&'static str> {
    Some(match word {
        "lan" => "in the same local network",
        "ipv6" => "over IPv6",
        "ipv4" => "over IPv4",
        "udp-relay" => "UDP relay",
        "websocket-relay" => "WebSocket relay",
        _ => return None,
    })
}

/// What a reason code means, to somebody who may want to change it. The codes are stable; a newer agent may send one
/// that this server has no words for.
pub(in crate::web) fn explanation(code: &str) -> &'static str {
    match code {
        "direct" => "nothing in between",
        "same-lan" => "both are in one local network",
        "udp-blocked" => "a firewall blocks UDP on one side",
        "udp-forbidden" => "a firewall says that it forbids the direct path",
        "both-symmetric" => "both NATs use a new port for every destination",
        "symmetric-vs-port-restricted" => {
            "one NAT uses a new port for every destination, the other admits known ports only"
        }
        "peer-offline" => "the peer is offline",
        "policy-denied" => "the access policy forbids it",
        "probing" => "looking for a direct path",
        "relay-only-policy" => "one of the two is set to use the relay only",
        "no-answer" => "the direct path was tried and nothing answered",
        "firewall-inbound" => "a firewall lets nothing in",
        "no-common-family" => "one has IPv6 only, the other IPv4 only",
        "no-hairpin" => "both are behind one NAT that does not let them meet",
        "mtu" => "only small packets pass straight",
        "one-sided" => "packets pass straight in one direction only",
        "search-budget" => "the search for the right port was paused",
        "search-disabled" => "one of the two is set not to take part in the search for the right port",
        _ => "",
    }
}

/// What somebody can do to get a direct path, for the reasons that somebody can do something about.
pub(in crate::web) fn remedy(code: &str) -> Option<&'static str> {
    Some(match code {
        "both-symmetric" | "symmetric-vs-port-restricted" => {
            "To get a direct path, enable port mapping on either router, forward the agent's UDP port, or use IPv6."
        }
        "udp-blocked" => "To get a direct path, allow outgoing UDP there; warren netcheck shows whether it works.",
        "udp-forbidden" => {
            "To get a direct path, let the firewalls of both devices and networks pass outgoing UDP to any address."
        }
        "firewall-inbound" => {
            "To get a direct path, let the firewall of the other device pass UDP to its agent's port."
        }
        "mtu" => {
            "To get a direct path, let the firewalls pass fragments and the ICMP message \"fragmentation needed\"."
        }
        "no-common-family" => "To get a direct path, give one of them both IPv4 and IPv6.",
        "no-hairpin" => {
            "To get a direct path, let the devices reach each other inside their network, or enable port mapping on the router."
        }
        "one-sided" => "To get a direct path, let the firewalls of both networks pass UDP in both directions.",
        "peer-offline" => "Check that it is switched on, has a network, and that its agent runs.",
        "relay-only-policy" => "To get a direct path, take the setting back on the page of that device.",
        "search-budget" => "It goes on by itself after a pause.",
        "search-disabled" => "To get a direct path, start that device's daemon without --no-port-search.",
        "no-answer" => {
            "To get a direct path, let the firewalls of both devices and networks pass the agent's UDP port."
        }
        _ => return None,
    })
}

/// Codes that a page has better words for: the path itself shows it, or there is nothing to say yet.
const UNEXPLAINED: [&str; 3] = ["direct", "probing", "same-lan"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_that_this_release_states_has_words_and_every_fault_a_remedy() {
        for code in warren_coordinator::verdict_codes() {
            assert_ne!(explanation(code), "", "{code}");
            assert!(remedy(code).is_some() || UNEXPLAINED.contains(&code), "{code}");
        }
    }

    #[test]
    fn words_of_a_newer_agent_do_no_harm() {
        assert_eq!(PathKind::parse("teleport"), PathKind::None);
        assert_eq!(via("teleport"), None);
        assert_eq!(explanation("teleport"), "");
    }
}
