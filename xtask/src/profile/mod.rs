//! `cargo xtask profile`: where the time of the data plane goes, as a flame graph and a list.
//!
//! The agent is built once more, with frame pointers, beside the release build; the lab runs a flow through it under
//! perf; the samples are drawn here.

mod flame;
mod stacks;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cargo::{Workspace, cargo, run as expect};
use crate::system::{self, Profile};
use stacks::Frame;

/// What may be asked of the profile.
#[derive(Args)]
pub(crate) struct ProfileArgs {
    /// For how long samples are taken
    #[arg(long, value_name = "S", default_value_t = 5)]
    seconds: u32,
    /// Which end of the flow: sender or receiver
    #[arg(long, default_value = "sender")]
    side: String,
    /// Where profile-SIDE.svg and profile-SIDE.txt go [default: bench below the target directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(workspace: &Workspace, arguments: &ProfileArgs) -> Result<()> {
    system::build_programs(Profile::Release)?;
    let agent = build_agent(workspace)?;
    let out = arguments.out.clone().unwrap_or_else(|| workspace.target.join("bench"));
    fs::create_dir_all(&out).with_context(|| format!("make {}", out.display()))?;
    let data = workspace.target.join("profile/perf.data");
    let mut command = system::lab_with_agent(workspace, Profile::Release, &agent)?;
    command.arg("profile").arg("--seconds").arg(arguments.seconds.to_string());
    command.arg("--side").arg(&arguments.side).arg("--data").arg(&data);
    let said = said(&mut command)?;

    let title = format!("warren, {}: {}", arguments.side, said.trim());
    let root = stacks::parse(&script(&data)?);
    ensure!(root.samples > 0, "perf took no samples");
    let list = list(&title, &root);
    for (ending, text) in [("svg", flame::draw(&title, &root)), ("txt", list.clone())] {
        let file = out.join(format!("profile-{}.{ending}", arguments.side));
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    }
    println!("{list}");
    eprintln!("written to {}", out.display());
    Ok(())
}

/// The agent as it is released, but for the frame pointers by which perf finds callers.
fn build_agent(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.target.join("profile");
    let mut command = cargo(&["build", "--locked", "--release", "-p", "warren-agent", "--bins", "--target-dir"]);
    expect(command.arg(&directory).env("RUSTFLAGS", "-C force-frame-pointers=yes"))?;
    Ok(directory.join("release/warren"))
}

/// The samples as text.
fn script(data: &Path) -> Result<String> {
    let mut command = Command::new("perf");
    // Inlined functions would be looked up one by one, for minutes.
    command.args(["script", "--no-inline", "--force", "-F", "comm,ip,sym", "-i"]).arg(data);
    said(&mut command)
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The functions that the samples were taken in, the most frequent first.
fn list(title: &str, root: &Frame) -> String {
    let mut text = format!("{title}\n{} samples\n\n  self  with callees\n", root.samples);
    let mut functions: Vec<_> = stacks::functions(root).into_iter().collect();
    functions.sort_by_key(|(name, count)| (std::cmp::Reverse(count.own), name.clone()));
    let percent = |count: u64| count as f64 * 100.0 / root.samples as f64;
    for (name, count) in functions.iter().take(LISTED) {
        text += &format!("{:5.1}%  {:11.1}%  {name}\n", percent(count.own), percent(count.total));
    }
    text
}

/// What fits a screen.
const LISTED: usize = 40;
