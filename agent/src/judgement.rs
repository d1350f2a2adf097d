//! What a network means for direct paths, in words: a judgement of what `warren netcheck` measured.
//!
//! Only a forecast: whether two devices reach each other depends on both networks, and only trying tells. Trying is left
//! to `warren_proto::path`, which never gates on any of this.

use crate::report::Judgement;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// Whether an answer came over UDP.
    pub udp: bool,
    /// As in `Netcheck`.
    pub mapping: &'a str,
    /// Whether the NAT counts ports up.
    pub sequential: bool,
    /// Whether the gateway forwards a port that the outside can reach.
    pub forwarded: bool,
    /// Whether the owner or an administrator holds the device to the relay.
    pub relay_only: bool,
    /// Whether it takes part in searches for a port.
    pub searches: bool,
    /// Our own UDP port.
    pub port: u16,
}

/// Judges.
pub fn judge(measured: &Measured<'_>) -> Judgement {
    let (direct, text, remedy) = match *measured {
        Measured { relay_only: true, .. } => ("none", "This device is set to use the relay only.", ""),
        Measured { udp: false, .. } => (
            "none",
            "No answer came over UDP: every connection goes through the relay.",
            "Allow outgoing UDP on this network, to any address and port.",
        ),
        Measured { forwarded: true, .. } => {
            ("all", "Direct to every device whose network lets UDP out: the router forwards a port to this one.", "")
        }
        Measured { mapping: "none", .. } => (
            "all",
            "Direct to every device whose network lets UDP out: there is no NAT before this one.",
            "If devices do not reach it, let its firewall pass incoming UDP to port {port}.",
        ),
        Measured { mapping: "endpoint-independent", searches: false, .. } => (
            "most",
            "Direct to most devices: this NAT uses one port for all destinations. Devices behind NATs that use another for \
             every destination are relayed: this device is set to take no part in searches for a port.",
            SEARCH_REMEDY,
        ),
        Measured { mapping: "address-dependent" | "endpoint-dependent", searches: false, .. } => (
            "some",
            "Direct to devices with a public address, a forwarded port or a permissive NAT: this NAT uses another port for \
             every destination, and this device is set to take no part in searches for a port. Others are relayed.",
            SEARCH_REMEDY,
        ),
        Measured { mapping: "endpoint-independent", .. } => (
            "most",
            "Direct to most devices: this NAT uses one port for all destinations. Devices behind NATs that use another for \
             every destination are searched for, which takes some seconds.",
            "",
        ),
        Measured { mapping: "address-dependent" | "endpoint-dependent", sequential: true, .. } => (
            "most",
            "Direct to most devices: this NAT uses another port for every destination, but counts them up, so that the next \
             ones can be foretold.",
            PORT_REMEDY,
        ),
        Measured { mapping: "address-dependent" | "endpoint-dependent", .. } => (
            "some",
            "Direct to devices with a public address, a forwarded port or a permissive NAT at once, to others after a search: \
             this NAT uses another port for every destination. Two devices behind such NATs are relayed.",
            PORT_REMEDY,
        ),
        Measured { .. } => (
            "unknown",
            "Too few servers answered to tell what the NAT before this device does.",
            "Check that UDP ports 3478 and 3479 of the rendezvous can be reached from here.",
        ),
    };
    let remedy = remedy.replace("{port}", &measured.port.to_string());
    Judgement { direct: direct.to_owned(), text: text.to_owned(), remedy: Some(remedy).filter(|text| !text.is_empty()) }
}

const PORT_REMEDY: &str =
    "On the router: enable UPnP, NAT-PMP or PCP, or forward UDP port {port} to this device. IPv6 helps as well.";

const SEARCH_REMEDY: &str = "Start the daemon without --no-port-search.";

#[cfg(test)]
mod tests {
    use super::*;

    const NAT: Measured<'_> = Measured {
        udp: true,
        mapping: "endpoint-dependent",
        sequential: false,
        forwarded: false,
        relay_only: false,
        searches: true,
        port: 41_641,
    };

    #[test]
    fn each_network_gets_its_forecast() {
        let cases = [
            (Measured { relay_only: true, ..NAT }, "none"),
            (Measured { udp: false, mapping: "unknown", ..NAT }, "none"),
            (Measured { forwarded: true, ..NAT }, "all"),
            (Measured { mapping: "none", ..NAT }, "all"),
            (Measured { mapping: "endpoint-independent", ..NAT }, "most"),
            (Measured { sequential: true, ..NAT }, "most"),
            (NAT, "some"),
            (Measured { mapping: "address-dependent", ..NAT }, "some"),
            (Measured { mapping: "unknown", ..NAT }, "unknown"),
        ];
        for (measured, direct) in cases {
            assert_eq!(judge(&measured).direct, direct, "{measured:?}");
        }
    }

    #[test]
    fn who_takes_no_part_in_searches_is_promised_none() {
        for mapping in ["address-dependent", "endpoint-dependent", "endpoint-independent"] {
            let judgement = judge(&Measured { mapping, sequential: true, searches: false, ..NAT });

            assert!(judgement.text.contains("no part in searches"), "{}", judgement.text);
            assert_eq!(judgement.remedy.as_deref(), Some(SEARCH_REMEDY));
        }
    }

    #[test]
    fn the_remedy_names_the_port_to_forward() {
        let remedy = judge(&NAT).remedy.unwrap();

        assert!(remedy.contains("forward UDP port 41641"), "{remedy}");
    }
}
