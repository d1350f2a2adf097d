//! A host firewall that lets nothing in that was not asked for. Direct paths mostly work behind one, because both sides
//! send first; a port that is open makes them certain.

use std::process::Command;

use super::Finding;

pub(super) fn look(port: Option<u16>) -> Finding {
    // only where distributions put it: this may run as root
    let output = ["/usr/sbin/nft", "/sbin/nft"]
        .iter()
        .find_map(|program| Command::new(program).args(["list", "ruleset"]).env_clear().output().ok());
    let Some(output) = output else {
        return Finding::ok("firewall", "no nftables here; other firewalls are not looked at");
    };
    if !output.status.success() {
        return Finding::warn(
            "firewall",
            "the host's firewall may be read by root alone",
            "Run `warren doctor` as root to have it looked at.",
        );
    }
    judge(&String::from_utf8_lossy(&output.stdout), port)
}

fn judge(ruleset: &str, port: Option<u16>) -> Finding {
    if !drops_input(ruleset) {
        return Finding::ok("firewall", "the host's firewall lets packets in by default");
    }
    let Some(port) = port else {
        return Finding::warn(
            "firewall",
            "the host's firewall drops what was not asked for",
            "Direct paths need the agent's UDP port or hole punching: start the daemon to learn the port.",
        );
    };
    if ruleset.lines().any(|line| accepts(line, port)) {
        return Finding::ok("firewall", format!("the host's firewall lets UDP port {port} in"));
    }
    Finding::warn(
        "firewall",
        format!("the host's firewall drops what was not asked for, and names no rule for UDP port {port}"),
        format!(
            "Most direct paths work all the same; to be sure, let UDP port {port} in, and keep it with `--port {port}`."
        ),
    )
}

/// Whether a chain at the input hook ends in `drop`, or rejects by policy.
fn drops_input(ruleset: &str) -> bool {
    ruleset.lines().any(|line| line.contains("hook input") && line.contains("policy drop"))
}

fn accepts(line: &str, port: u16) -> bool {
    let Some((_, ports)) = line.split_once("udp dport ") else { return false };
    let named = ports.split("accept").next().unwrap_or_default();
    let mut words = named.split(|c: char| !c.is_ascii_digit() && c != '-').filter(|word| !word.is_empty());
    line.contains("accept") && words.any(|word| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn ruleset(rule: &str) -> String {
        format!(
            "table inet filter {{\n\tchain input {{\n\t\ttype filter hook input priority 0; policy drop;\n\t\t{rule}\n\t}}\n}}"
        )
    }

    #[test]
    fn a_firewall_that_drops_is_told_unless_it_names_the_port() {
        for (rule, verdict) in [
            ("ct state established accept", Verdict::Warn),
            ("udp dport 40000 accept", Verdict::Ok),
            ("udp dport { 53, 39000-41000 } accept", Verdict::Ok),
            ("udp dport 40000 drop", Verdict::Warn),
            ("udp dport 4000 accept", Verdict::Warn),
            ("tcp dport 40000 accept", Verdict::Warn),
        ] {
            assert_eq!(judge(&ruleset(rule), Some(40_000)).verdict, verdict, "{rule}");
        }
        assert_eq!(judge("", Some(40_000)).verdict, Verdict::Ok);
        assert_eq!(judge(&ruleset("").replace("drop", "accept"), None).verdict, Verdict::Ok);
    }
}
