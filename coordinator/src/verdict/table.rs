//! The rows of the decision table: when each holds, and its words.

use super::side::{any, are_apart, blamed, both, deaf, have_no_family, is_one_address, one, refuse_search};
use super::{Blame, Row, Side};

/// The first that holds decides.
pub(super) const TABLE: &[Row] = &[
    Row {
        code: "peer-offline",
        when: |sides| one(sides, |side| !side.online),
        text: "{a} is not connected to the rendezvous.",
        text_both: "{a} and {b} are not connected to the rendezvous.",
        remedy: "Check that {a} is switched on, has a network, and that `warren status` says connected there.",
        remedy_both: "Check that they are switched on, have a network, and that `warren status` says connected there.",
    },
    Row {
        code: "relay-only-policy",
        when: |sides| one(sides, |side| side.relay_only),
        text: "{a} is set to use the relay only.",
        text_both: "{a} and {b} are set to use the relay only.",
        remedy: "Take the setting back on the page of {a} in the dashboard, or start its daemon without --relay-only.",
        remedy_both: "Take the setting back on the pages of both in the dashboard, or start their daemons without \
                      --relay-only.",
    },
    Row {
        code: "same-lan",
        when: |sides| both(sides, |side| side.via() == "lan"),
        text: "",
        text_both: "{a} and {b} are on one network and talk inside it.",
        remedy: "",
        remedy_both: "",
    },
    Row {
        code: "direct",
        when: |sides| both(sides, Side::is_direct),
        text: "",
        text_both: "Packets go straight from device to device.",
        remedy: "",
        remedy_both: "",
    },
    Row {
        code: "probing",
        when: |sides| both(sides, |side| side.report.is_none()),
        text: "",
        text_both: "A direct path is being looked for; until one is found packets go through the relay.",
        remedy: "",
        remedy_both: "",
    },
    Row {
        code: "no-common-family",
        when: have_no_family,
        text: "",
        text_both: "One of {a} and {b} has IPv6 only and the other IPv4 only.",
        remedy: "",
        remedy_both: "Give one of them both: IPv6 at the one without, or IPv4 at the other.",
    },
    Row {
        code: "udp-blocked",
        when: |sides| one(sides, Side::is_udp_blocked),
        text: "The network of {a} lets no UDP out, so {b} cannot be reached from there but through the relay.",
        text_both: "The networks of {a} and of {b} let no UDP out, so neither can reach the other but through the relay.",
        remedy: "Allow outgoing UDP on the network of {a}; `warren netcheck` there shows whether it works.",
        remedy_both: "Allow outgoing UDP on both networks; `warren netcheck` shows whether it works.",
    },
    Row {
        code: "mtu",
        when: |sides| one(sides, |side| !side.is_direct() && side.any(|attempt| attempt.result == "too-narrow")),
        text: "Small packets pass straight from {a} to {b}, but none that is large enough for data.",
        text_both: "Small packets pass straight between {a} and {b}, but none that is large enough for data.",
        remedy: "Let fragments and the ICMP message \"fragmentation needed\" pass the firewall of {a}, or raise the MTU of the \
                 link that it uses.",
        remedy_both: "Let fragments and the ICMP message \"fragmentation needed\" pass the firewalls, or raise the MTU of \
                      the links that the two use.",
    },
    Row {
        code: "udp-forbidden",
        when: |sides| one(sides, Side::is_turned_away),
        text: "What {a} sends straight to {b} is turned away on the way: a firewall answers that it is forbidden.",
        text_both: "What {a} and {b} send straight to each other is turned away on the way: firewalls answer that it is \
                    forbidden.",
        remedy: "Let the firewalls of {a} and of its network pass outgoing UDP to any address and port; if they do, let those \
                 before {b} pass incoming UDP to {port_b}.",
        remedy_both: "Let the firewalls of both devices and networks pass outgoing UDP to any address and port.",
    },
    Row {
        code: "firewall-inbound",
        when: |sides| deaf(sides).filter(|blame| blamed(sides, *blame).is_some_and(|side| !side.has_nat())),
        text: "What {a} sends reaches {b}, but nothing that {b} sends gets in to {a}, not even answers.",
        text_both: "",
        remedy: "Let the firewall of {a} pass incoming UDP to {port}, from any address.",
        remedy_both: "",
    },
    Row {
        code: "one-sided",
        when: deaf,
        text: "What {a} sends reaches {b}, but nothing that {b} sends reaches {a}: something between them lets UDP pass in one \
               direction only.",
        text_both: "",
        remedy: "Let the firewalls before {b} pass outgoing UDP to any address and port; if they do, let those before {a} pass \
                 incoming UDP to {port}.",
        remedy_both: "",
    },
    Row {
        code: "no-hairpin",
        when: |sides| is_one_address(sides).filter(|_| are_apart(sides)),
        text: "",
        text_both: "{a} and {b} are in different networks behind one public address, most likely a carrier's NAT, and it does \
                    not pass packets from one of its subscribers to another.",
        remedy: "",
        remedy_both: "On the routers of both: enable UPnP, NAT-PMP or PCP, by which they can meet inside the carrier's \
                      network. IPv6 on both sides, or a public IPv4 address for one, helps as well.",
    },
    Row {
        code: "no-hairpin",
        when: is_one_address,
        text: "",
        text_both: "{a} and {b} are behind one public address, but cannot reach each other inside, and the router does not turn \
                    packets around.",
        remedy: "",
        remedy_both: "Let them reach each other inside: switch off the isolation of wireless clients or guests, or allow UDP \
                      between their networks. A router that supports hairpinning (NAT loopback) helps as well.",
    },
    Row {
        code: "search-disabled",
        when: refuse_search,
        text: "The port by which the two would meet can be searched for, but {a} is set not to take part in searches.",
        text_both: "The port by which {a} and {b} would meet can be searched for, but both are set not to take part in searches.",
        remedy: "Start the daemon of {a} without --no-port-search; where it was not set, update {a}.",
        remedy_both: "Start the daemons of both without --no-port-search; where it was not set, update them.",
    },
    Row {
        code: "both-symmetric",
        when: |sides| both(sides, Side::is_symmetric),
        text: "",
        text_both: "The NATs of {a} and of {b} both use another port for every destination, so neither can be told where to reach \
                    the other.",
        remedy: "",
        remedy_both: "On the router of one of them: enable UPnP, NAT-PMP or PCP, or forward a UDP port ({port} to {a}, or \
                      {port_b} to {b}). IPv6 on both sides helps as well.",
    },
    Row {
        code: "search-budget",
        when: |sides| both(sides, |side| side.waits),
        text: "",
        text_both: "The port by which {a} and {b} would meet is to be searched for, and the search waits for its turn: only so many \
                    are made behind one address in a minute.",
        remedy: "",
        remedy_both: "It begins by itself. To need no search: on the router of one of them, enable UPnP, NAT-PMP or PCP, or \
                      forward a UDP port ({port} to {a}, or {port_b} to {b}).",
    },
    Row {
        code: "search-budget",
        when: |sides| one(sides, Side::is_symmetric).filter(|_| any(sides, |attempt| attempt.result == "over-budget")),
        text: "The NAT of {a} uses another port for every destination, and the search for the right one was stopped before it \
               could burden the network.",
        text_both: "",
        remedy: "It goes on by itself after a pause. To need no search: on the router of {a}, enable UPnP, NAT-PMP or PCP, or \
                 forward UDP port {port} to it.",
        remedy_both: "",
    },
    Row {
        code: "symmetric-vs-port-restricted",
        when: |sides| one(sides, Side::is_symmetric),
        text: "The NAT of {a} uses another port for every destination, and the one before {b} only lets in what {b} asked for, \
               port by port.",
        text_both: "",
        remedy: "On the router of {a}: enable UPnP, NAT-PMP or PCP, or forward UDP port {port} to it. The same for {b} (port \
                 {port_b}), or IPv6 on both sides, helps as well.",
        remedy_both: "",
    },
    Row {
        code: "firewall-inbound",
        when: |sides| one(sides, |side| side.report.is_some() && !side.has_nat()),
        text: "{a} has a public address, but nothing that {b} sends gets in to it: a firewall is the likeliest cause.",
        text_both: "{a} and {b} have public addresses, but nothing that one sends gets in to the other: a firewall is the \
                    likeliest cause.",
        remedy: "Let the firewall of {a} pass incoming UDP to {port}, from any address.",
        remedy_both: "Let the firewalls pass incoming UDP, from any address, to {port} at {a} or to {port_b} at {b}.",
    },
    Row {
        code: "probing",
        when: |sides| one(sides, Side::is_trying).map(|_| Blame::Both),
        text: "",
        text_both: "A direct path is being looked for; until one is found packets go through the relay.",
        remedy: "",
        remedy_both: "",
    },
];

/// What is left when nothing more is known.
pub(super) const NO_ANSWER: Row = Row {
    code: "no-answer",
    when: |_| None,
    text: "",
    text_both: "No address of either device answered the other, although both NATs look permissive: a firewall on the way is the \
                likeliest cause.",
    remedy: "",
    remedy_both: "Let the firewalls of both networks pass UDP to and from any address at the agents' ports: {port} at {a}, \
                  {port_b} at {b}.",
};
