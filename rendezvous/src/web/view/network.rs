//! The network around a device, as the device tells of it and as this server sees it.

use std::net::SocketAddr;

use warren_proto::candidate::{CandidateKind, NatMapping};
use warren_proto::control::CandidateSet;

use super::pair::{learnt, nat};

/// What is known of a device's network while it is online.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct NetworkView {
    pub(in crate::web) udp: &'static str,
    pub(in crate::web) nat: &'static str,
    pub(in crate::web) ports: Option<&'static str>,
    pub(in crate::web) port_mapping: String,
    /// Addresses and how each was learnt.
    pub(in crate::web) addresses: Vec<(String, &'static str)>,
}

impl NetworkView {
    /// Of a device that this server sees at `observed`.
    pub(in crate::web) fn new(observed: SocketAddr, set: Option<&CandidateSet>) -> Self {
        // what comes by WebSocket has no port of interest
        let by_websocket = observed.port() == 0;
        let candidates = || set.iter().flat_map(|set| &set.candidates);
        let mapped = candidates().find(|candidate| candidate.kind == CandidateKind::Mapped);
        let keeps = set.map(|set| set.nat).filter(|nat| !matches!(nat.mapping, NatMapping::None | NatMapping::Unknown));
        Self {
            udp: if by_websocket { "blocked: it is connected through a WebSocket" } else { "gets through" },
            nat: nat(set),
            ports: keeps.map(|nat| if nat.preserves_port { "kept" } else { "changed" }),
            port_mapping: match mapped {
                Some(candidate) => format!("granted by its router: {}", candidate.addr),
                None => "none: no router grants one by PCP, NAT-PMP or UPnP".to_owned(),
            },
            addresses: candidates().map(|candidate| (candidate.addr.to_string(), learnt(candidate.kind))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use warren_proto::candidate::Candidate;
    use warren_proto::control::NatReport;

    use super::*;

    #[test]
    fn a_network_is_told_in_words() {
        let mapped = Candidate { addr: "198.51.100.7:41641".parse().unwrap(), kind: CandidateKind::Mapped };
        let nat = NatReport { mapping: NatMapping::EndpointIndependent, preserves_port: true, ..NatReport::default() };
        let set = CandidateSet { epoch: 1, candidates: vec![mapped], nat };

        let open = NetworkView::new("198.51.100.7:4000".parse().unwrap(), Some(&set));
        let closed = NetworkView::new("198.51.100.7:0".parse().unwrap(), None);

        assert_eq!((open.udp, open.ports), ("gets through", Some("kept")));
        assert_eq!(open.port_mapping, "granted by its router: 198.51.100.7:41641");
        assert!(closed.udp.starts_with("blocked") && closed.addresses.is_empty());
        assert_eq!((closed.nat, closed.ports), ("not known", None));
    }
}
