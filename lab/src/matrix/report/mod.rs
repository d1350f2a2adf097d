//! How people see a matrix: tables, and a square of colours.

mod heat;
mod table;

pub(super) use heat::draw as heat;
pub(super) use table::draw as table;

/// Invented results that have one of everything: direct, relayed, wrong, failed, and a pair that nobody tried.
#[cfg(test)]
pub(super) fn sample() -> super::Results {
    use super::{Cell, Kind, Results, Scene, Try, expected};
    use crate::classify::Class;
    use crate::machine::Machine;
    use crate::nat::NatKind;

    let kinds = [NatKind::None, NatKind::PortRestricted, NatKind::Symmetric, NatKind::Blocked];
    let kind = |kind: &NatKind| Kind {
        name: kind.name().to_owned(),
        description: kind.describe().to_owned(),
        class: Class::expected(*kind),
        firewall_v6: None,
    };
    let direct = |technique: &str, direct_ms| Try {
        via: Some("ipv4".to_owned()),
        far_via: Some("ipv4".to_owned()),
        techniques: vec![technique.to_owned()],
        reasons: vec!["direct".to_owned(); 2],
        connected_ms: Some(80.0),
        first_byte_ms: Some(95.0),
        direct_ms: Some(direct_ms),
        probes: vec![3, 4],
        mappings: vec![5],
        failure: None,
    };
    let relayed = |via: &str, reason: &str| Try {
        via: Some(via.to_owned()),
        far_via: Some(via.to_owned()),
        techniques: Vec::new(),
        reasons: vec![reason.to_owned(); 2],
        direct_ms: None,
        ..direct("", 0.0)
    };
    let cell =
        |left: NatKind, right: NatKind, tries| Cell::new(left.name(), right.name(), expected(left, right), tries);
    let failed = Try { failure: Some("blocked-left up: exit code 6: timed out".to_owned()), ..Try::default() };
    let [none, restricted, symmetric, blocked] = kinds;
    Results {
        schema: 1,
        date: "2026-01-31".to_owned(),
        machine: Machine {
            cpu: "Example & Sons CPU".to_owned(),
            cores: 2,
            memory_bytes: 24 << 30,
            kernel: "6.18.0".to_owned(),
            tcp_congestion_control: "cubic".to_owned(),
        },
        tries: 2,
        kinds: kinds.iter().map(kind).collect(),
        cells: vec![
            cell(none, none, vec![direct("direct", 120.0), direct("direct", 180.0)]),
            cell(none, restricted, vec![direct("punch", 250.0), direct("peer-reflexive", 310.0)]),
            cell(restricted, restricted, vec![direct("punch", 260.0), direct("punch", 1450.0)]),
            cell(restricted, symmetric, vec![direct("birthday", 6400.0), relayed("udp-relay", "probing")]),
            cell(symmetric, symmetric, vec![relayed("udp-relay", "both-symmetric"); 2]),
            cell(none, blocked, vec![relayed("websocket-relay", "udp-blocked"), failed]),
        ],
        scenes: vec![Cell::new(
            Scene::OneNat.name(),
            "",
            Scene::OneNat.expected(),
            vec![Try {
                via: Some("lan".to_owned()),
                far_via: Some("lan".to_owned()),
                reasons: vec!["same-lan".to_owned(); 2],
                ..direct("direct", 130.0)
            }],
        )],
    }
}
