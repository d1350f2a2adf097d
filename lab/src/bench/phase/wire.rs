//! How many bytes leave the sender for each byte of payload that arrives.
//!
//! A veth counts a super-packet of 64 kB once, with one set of headers, as it is handed over; on a real wire it is cut
//! into packets with headers each. The kernel counts those in a queueing discipline, so this phase, and no other, puts
//! one on the sender's cables.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Course, throughput};
use crate::bench::pair::{CABLE, UPLINK};
use crate::namespace::Namespace;
use crate::shell;

pub(super) fn bytes_per_byte(course: &Course<'_>) -> Result<f64> {
    let sender = &course.pair.sender.namespace;
    for cable in [CABLE, UPLINK] {
        // Longer than anything the hosts may have in flight.
        tc(sender, &["qdisc", "replace", "dev", cable, "root", "pfifo", "limit", "10000"])?;
    }
    let flow = throughput::start(course, SECONDS.min(course.seconds), &[])?.finish();
    let sent = [CABLE, UPLINK].into_iter().map(|cable| sent(sender, cable)).sum::<Result<u64>>();
    for cable in [CABLE, UPLINK] {
        tc(sender, &["qdisc", "delete", "dev", cable, "root"])?;
    }
    Ok(sent? as f64 / flow?.bytes)
}

fn sent(namespace: &Namespace, cable: &str) -> Result<u64> {
    parse(&tc(namespace, &["-json", "-s", "qdisc", "show", "dev", cable, "root"])?)
}

fn parse(json: &str) -> Result<u64> {
    #[derive(Deserialize)]
    struct Discipline {
        bytes: u64,
    }
    let disciplines: Vec<Discipline> = serde_json::from_str(json).context("read what tc says")?;
    Ok(disciplines.iter().map(|discipline| discipline.bytes).sum())
}

fn tc(namespace: &Namespace, words: &[&str]) -> Result<String> {
    shell::run(namespace.command("tc").args(words))
}

/// Enough for a ratio that does not depend on the rate.
const SECONDS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_the_discipline_are_read() {
        let json =
            r#"[{"kind":"pfifo","handle":"8001:","root":true,"options":{"limit":10000},"bytes":1514,"packets":1}]"#;

        assert_eq!(parse(json).unwrap(), 1514);
    }
}
