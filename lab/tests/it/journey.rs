//! The dashboard shown true: a person sets up a server, adds two devices by the lines it gives out, and watches the path
//! between them be cut and mended, in a browser on one of the two, with real agents behind real NATs.
//!
//! `journey.mjs` drives and looks; this is the world around it. Needs chromium, node and the packages that the journeys of
//! the rendezvous need. Where one is missing the test says so and passes, but not in CI.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use warren_lab::nat::NatKind;
use warren_lab::paste;
use warren_lab::server::Server;
use warren_lab::topology::{Internet, RENDEZVOUS};

#[test]
fn a_person_adds_two_devices_and_watches_their_path_be_cut_and_mended() -> Result<()> {
    let Some(chromium) = chromium()? else { return Ok(()) };
    let internet = Internet::figure_one("journey", NatKind::PortRestricted, NatKind::PortRestricted)?;
    let server = Server::start(&internet)?;

    let mut node = internet.host("laptop")?.namespace.command("node");
    node.arg("journey.mjs").current_dir(here()).env("CHROMIUM", chromium);
    node.env("BASE", format!("https://{RENDEZVOUS}")).env("SETUP", server.setup_link()?);
    node.env("SHOTS", internet.records().join("pages"));
    let mut journey = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start node")?;
    let mut replies = journey.stdin.take().context("its input")?;
    for line in BufReader::new(journey.stdout.take().context("its output")?).lines() {
        let line = line?;
        match line.strip_prefix("@stage ") {
            Some(order) => play(&internet, &serde_json::from_str(order)?, &mut replies)?,
            None => println!("{line}"),
        }
    }

    ensure!(journey.wait()?.success(), "the journey failed; its words are above");
    Ok(())
}

/// Does what the journey asks of the world, and says when it is done.
fn play(internet: &Internet, order: &Value, replies: &mut ChildStdin) -> Result<()> {
    let word = |name: &str| order[name].as_str().unwrap_or_default();
    match word("action") {
        "cut" => internet.block_direct()?,
        "mend" => internet.unblock_direct()?,
        "paste" => {
            let line = paste::without_sudo(word("line"));
            let said = paste::as_root(internet.host(word("host"))?, internet.records(), &line)?.success()?;
            println!("{said}");
        }
        other => bail!("the journey asks for {other}"),
    }
    writeln!(replies, "null")?;
    Ok(())
}

/// The browser, if all that a journey needs is here.
fn chromium() -> Result<Option<PathBuf>> {
    let chromium = PathBuf::from("/usr/bin/chromium");
    let packages = here().join("../../../rendezvous/tests/it/browser/node_modules");
    if chromium.exists() && packages.exists() {
        return Ok(Some(chromium));
    }
    let missing = "chromium is not installed, or `npm ci` was not run in rendezvous/tests/it/browser";
    ensure!(std::env::var("CI").as_deref() != Ok("true"), "CI must not skip: {missing}");
    println!("skipped: {missing}");
    Ok(None)
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")
}
