//! The one line that a person pastes: it installs the agent from the server, starts it and joins, and takes it all away
//! again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use warren_lab::agent::{Agent, Options};
use warren_lab::dashboard::Dashboard;
use warren_lab::host::Finished;
use warren_lab::nat::NatKind;
use warren_lab::paste;
use warren_lab::server::Server;
use warren_lab::topology::Internet;

#[test]
fn one_pasted_line_installs_joins_and_reaches_a_peer_directly_and_another_removes_it() -> Result<()> {
    let internet = internet("install")?;
    let server = Server::start(&internet)?;
    let dashboard = Dashboard::set_up(&server, internet.directory().join("cookies"))?;
    let desktop = Agent::start(&internet, "desktop", Options::default())?;
    desktop.up(&server.invite(&[])?)?;
    let line = pasted(&dashboard)?;
    ensure!(line.starts_with("curl -fsSk --pinnedpubkey sha256//"), "the server's certificate is pinned: {line}");
    let remove = line.rsplit_once(' ').map(|(line, _)| format!("{line} --uninstall")).context("a line of words")?;
    let began = Instant::now();

    let finished = on_laptop(
        &internet,
        &format!(
            "{line}\necho joined\nwarren ping desktop --until-direct --timeout 20s\necho direct\n{line}\necho again\n\
             {remove}\nls -A /usr/local/bin /var/lib/warren /run/warren /var/log 2>&1 || true\nip link show warren0 2>&1 || true\n"
        ),
    )?;

    println!("{finished:?}\nall of it took {:?}", began.elapsed());
    let said = finished.success()?;
    let at = |words: &str| said.find(words).with_context(|| format!("{words:?} is not in {said}"));
    ensure!(at("installing warren")? < at("joined")? && at("joined")? < at("direct")?, "{said}");
    ensure!(at("is installed already")? < at("again")? && at("again")? < at("removed: ")?, "{said}");
    let after = said.split("removed: ").nth(1).context("what is there afterwards")?;
    ensure!(after.contains("/usr/local/bin:\n\n"), "the program stays: {after}");
    ensure!(after.contains("/var/log:\n") && !after.contains("warren.log"), "the log stays: {after}");
    ensure!(after.contains("'/var/lib/warren'") && after.contains("'/run/warren'"), "the state stays: {after}");
    ensure!(after.contains("does not exist"), "the interface stays: {after}");
    desktop.wait_status("the laptop to be gone", Duration::from_secs(10), |status| status.peer("laptop").is_none())?;
    Ok(())
}

#[test]
fn the_line_runs_nothing_that_another_server_sends() -> Result<()> {
    let internet = internet("install-pinned")?;
    let server = Server::start(&internet)?;
    let dashboard = Dashboard::set_up(&server, internet.directory().join("cookies"))?;
    let line = pasted(&dashboard)?;
    let (_, rest) = line.split_once("sha256//").context("a pin")?;
    let other = line.replace(&rest[..44], "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");

    let finished = on_laptop(&internet, &format!("{other} || true\nls -A /usr/local/bin\necho end\n"))?;

    println!("{finished:?}");
    ensure!(finished.stderr.contains("public key") && finished.success()? == "end\n", "nothing was run");
    Ok(())
}

#[test]
fn what_is_missing_is_said_before_anything_is_changed() -> Result<()> {
    let internet = internet("install-missing")?;
    let server = Server::start(&internet)?;
    let dashboard = Dashboard::set_up(&server, internet.directory().join("cookies"))?;
    let line = pasted(&dashboard)?;
    let nobody = line.replace("| sh ", "| setpriv --reuid 65534 --clear-groups sh ");

    let finished = on_laptop(
        &internet,
        &format!(
            "{nobody} || echo code $?\nmount -t tmpfs none /dev/net\n{line} || echo code $?\nls -A /usr/local/bin\n"
        ),
    )?;

    println!("{finished:?}");
    ensure!(finished.stderr.contains("needs root") && finished.stderr.contains("no /dev/net/tun"), "{finished:?}");
    ensure!(finished.success()? == "code 1\ncode 1\n", "nothing was installed");
    Ok(())
}

fn internet(title: &str) -> Result<Internet> {
    Internet::figure_one(title, NatKind::PortRestricted, NatKind::PortRestricted)
}

/// The line of "Add a device", for somebody who is root.
fn pasted(dashboard: &Dashboard<'_>) -> Result<String> {
    Ok(paste::without_sudo(&dashboard.add_device()?))
}

fn on_laptop(internet: &Internet, lines: &str) -> Result<Finished> {
    paste::as_root(internet.host("laptop")?, internet.records(), lines)
}
