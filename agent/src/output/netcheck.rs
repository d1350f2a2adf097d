//! `warren netcheck`: what this network does with UDP, and what that means for direct paths.

use super::{Colour, or_dash, table, wrapped};
use crate::report::Netcheck;

/// The report for a person: the judgement first, then what it is made from.
pub fn netcheck(report: &Netcheck) -> String {
    let mut text = wrapped("Direct paths", &report.judgement.text);
    if let Some(remedy) = &report.judgement.remedy {
        text.push_str(&wrapped("Fix         ", remedy));
    }
    text.push('\n');
    let rows = facts(report).into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    text.push_str(&table(&rows.collect::<Vec<_>>(), Colour::None));
    let servers = report.rendezvous.iter().map(|server| {
        let distance = server.rtt_ms.map_or_else(|| "no answer".to_owned(), |rtt| format!("{rtt} ms"));
        vec![format!("  {}", server.addr), distance]
    });
    text.push_str("\nServers asked\n");
    text.push_str(&table(&servers.collect::<Vec<_>>(), Colour::None));
    text
}

fn facts(report: &Netcheck) -> Vec<(&'static str, String)> {
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let observed: Vec<String> = report.observed.iter().map(ToString::to_string).collect();
    let mut facts = vec![
        ("UDP", yes_no(report.udp)),
        ("IPv4", yes_no(report.ipv4)),
        ("IPv6", yes_no(report.ipv6)),
        ("Seen from outside as", or_dash(observed.join(", "))),
        ("Port of the NAT", mapping_words(&report.mapping).to_owned()),
    ];
    if report.mapping != "none" && report.mapping != "unknown" {
        facts.push(("NAT keeps the port", yes_no(report.preserves_port)));
    }
    if let Some(delta) = report.sequential_delta {
        facts.push(("NAT counts ports", format!("by {delta}")));
    }
    facts.push(("Port mapping by", or_dash(report.port_mapping.join(", "))));
    if let Some(mapped) = report.mapped {
        facts.push(("Port mapped", mapped.to_string()));
    }
    facts
}

fn mapping_words(mapping: &str) -> &str {
    match mapping {
        "none" => "no NAT",
        "endpoint-independent" => "the same for every destination",
        "endpoint-dependent" => "another for every destination",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::WIDTH;
    use super::*;
    use crate::report::{Judgement, ServerDistance};

    #[test]
    fn the_judgement_comes_first_and_the_facts_after_it() {
        let report = Netcheck {
            schema: 1,
            udp: true,
            ipv4: true,
            ipv6: false,
            mapping: "endpoint-dependent".to_owned(),
            preserves_port: false,
            sequential_delta: Some(1),
            port_mapping: Vec::new(),
            mapped: None,
            observed: vec!["198.51.100.1:40000".parse().unwrap()],
            rendezvous: vec![
                ServerDistance { addr: "192.0.2.10:443".parse().unwrap(), rtt_ms: Some(3.1) },
                ServerDistance { addr: "192.0.2.10:3478".parse().unwrap(), rtt_ms: None },
            ],
            judgement: Judgement {
                direct: "most".to_owned(),
                text: "Direct to most devices: this NAT counts its ports up.".to_owned(),
                remedy: Some(
                    "On the router: enable UPnP, NAT-PMP or PCP, or forward UDP port 41641 to this device.".to_owned(),
                ),
            },
        };

        let text = netcheck(&report);

        assert_eq!(text, STORY);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    }

    const STORY: &str = "\
Direct paths  Direct to most devices: this NAT counts its ports up.
Fix           On the router: enable UPnP, NAT-PMP or PCP, or forward UDP port
              41641 to this device.

UDP                   yes
IPv4                  yes
IPv6                  no
Seen from outside as  198.51.100.1:40000
Port of the NAT       another for every destination
NAT keeps the port    no
NAT counts ports      by 1
Port mapping by       -

Servers asked
  192.0.2.10:443   3.1 ms
  192.0.2.10:3478  no answer
";
}
