//! nftables inside a namespace: loading rules, reading counters. What the rules say is the caller's business.

use anyhow::{Context, Result, bail};

use crate::namespace::Namespace;
use crate::shell;

/// Loads a script.
pub(crate) fn load(namespace: &Namespace, script: &str) -> Result<()> {
    shell::run_with_input(namespace.command("nft").args(["-f", "-"]), script)
        .with_context(|| format!("load rules into {}", namespace.name()))?;
    Ok(())
}

/// The packets that a named counter has counted.
pub(crate) fn counted(namespace: &Namespace, family: &str, table: &str, name: &str) -> Result<u64> {
    let text = shell::run(namespace.command("nft").args(["list", "counter", family, table, name]))
        .with_context(|| format!("read a counter of {}", namespace.name()))?;
    let mut words = text.split_whitespace().skip_while(|word| *word != "packets");
    let Some(count) = words.nth(1) else { bail!("the counter {name} says {text:?}") };
    count.parse().with_context(|| format!("read {count:?}"))
}
