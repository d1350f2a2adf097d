//! Nothing of a run outlives it, however it ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use warren_lab::nat::NatKind;
use warren_lab::topology::Internet;
use warren_lab::{namespace, run};

#[test]
fn a_dropped_internet_leaves_nothing() -> Result<()> {
    // With IPv6 there are files for single namespaces, too.
    let internet = Internet::figure_one("cleanup-drop", NatKind::DualStack, NatKind::PortRestricted)?;
    let directory = internet.directory();
    let provided = Path::new("/etc/netns").join(internet.host("laptop")?.namespace.name());
    ensure!(!made_by(std::process::id())?.is_empty() && provided.exists(), "the internet exists");
    let sleeper = internet.host("laptop")?.namespace.command("sleep").arg("1000").spawn()?;

    drop(internet);

    ensure!(made_by(std::process::id())?.is_empty(), "namespaces are left");
    ensure!(!directory.exists(), "its directory is left");
    ensure!(!provided.exists(), "a file below /etc is left");
    ensure!(!sleeper.wait_with_output()?.status.success(), "its process was killed");
    Ok(())
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next() -> Result<()> {
    let mut holder = hold()?;
    holder.kill()?;
    holder.wait()?;
    ensure!(!made_by(holder.id())?.is_empty(), "a killed run leaves its namespaces");

    run::remove_stale()?;

    ensure!(made_by(holder.id())?.is_empty(), "namespaces are left");
    Ok(())
}

#[test]
fn a_living_run_is_left_alone() -> Result<()> {
    let mut holder = hold()?;

    run::remove_stale()?;

    ensure!(!made_by(holder.id())?.is_empty(), "somebody else's namespaces are gone");
    kill(Pid::from_raw(holder.id().cast_signed()), Signal::SIGTERM)?;
    holder.wait()?;
    Ok(())
}

#[test]
fn a_run_that_is_asked_to_end_cleans_up() -> Result<()> {
    let mut holder = hold()?;

    kill(Pid::from_raw(holder.id().cast_signed()), Signal::SIGINT)?;

    ensure!(holder.wait()?.code() == Some(130), "it ends as if the signal had ended it");
    ensure!(made_by(holder.id())?.is_empty(), "namespaces are left");
    Ok(())
}

/// Another process with an internet that stands.
fn hold() -> Result<Child> {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_lab")).arg("hold").stdout(Stdio::piped()).spawn()?;
    let output = BufReader::new(holder.stdout.take().context("read what it prints")?);
    let mut lines = output.lines().map_while(Result::ok);
    ensure!(lines.any(|line| line.contains("holding")), "it did not build its internet");
    Ok(holder)
}

fn made_by(pid: u32) -> Result<Vec<String>> {
    Ok(namespace::all()?.into_iter().filter(|name| name.contains(&format!("-{pid}-"))).collect())
}
