//! The demo tells what it promises, and leaves what it says it leaves.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use warren_lab::host::Finished;
use warren_lab::namespace;

#[test]
fn told_once_it_ends_by_itself_and_everything_happened() -> Result<()> {
    let story = Finished::run(Command::new(env!("CARGO_BIN_EXE_lab")).args(["demo", "--once"]))?.success()?;

    for told in [
        "rendezvous is ready",
        "laptop is enrolled",
        "desktop is enrolled",
        "Direct after",
        "sends the UDP message \"I like kittens\"",
        "sequence number",
        "from its NAT to the desktop",
        "program received \"I like kittens\"",
    ] {
        ensure!(story.contains(told), "{told:?} is not told:\n{story}");
    }
    let ways = ["First packet: by the relay", "the relay was not needed"];
    ensure!(ways.iter().any(|way| story.contains(way)), "how the first packet went is not told:\n{story}");
    Ok(())
}

#[test]
fn left_running_it_shows_a_dashboard_and_a_way_to_each_host_until_ctrl_c() -> Result<()> {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_lab")).arg("demo").stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(demo.stdout.take().context("read the story")?).lines().map_while(Result::ok);
    let link =
        lines.find_map(|line| line.split_whitespace().find(|word| word.starts_with("https://")).map(str::to_owned));
    let link = link.context("no link to the dashboard")?;
    let ways = lines.by_ref().filter(|line| line.contains("ip netns exec")).take(2).count();

    let page = Finished::run(Command::new("curl").args(["--silent", "--insecure", "--fail", &link]))?;
    kill(Pid::from_raw(demo.id().cast_signed()), Signal::SIGINT)?;
    let ended = demo.wait()?;

    ensure!(page.stdout.contains("Set up your Warren"), "{link} leads to {page:?}");
    ensure!(ways == 2, "{ways} hosts can be entered");
    ensure!(ended.code() == Some(130), "it ended with {ended}");
    let left = namespace::all()?.into_iter().find(|name| name.contains(&format!("-{}-", demo.id())));
    ensure!(left.is_none(), "{left:?} is left");
    Ok(())
}
