//! The tests, and the programs that need root: the system tests and the demo.
//!
//! Tests and demo run the development profile: its dependencies are optimised (see Cargo.toml), the lab's rates are far
//! below what it carries, and the programs that the lab starts are those that the tests have already built. Whatever is
//! timed runs the release profile.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::cargo::{Workspace, cargo, run as expect};
use crate::postgres::Server;
use crate::setup;

/// How the programs are built.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    Debug,
    Release,
}

/// All tests that need no privilege, and the examples in the documentation; the store's on both engines.
pub(crate) fn unit_tests() -> Result<()> {
    let postgres = Server::start()?;
    let mut tests = if has_nextest() {
        cargo(&["nextest", "run", "--locked", "--workspace", "--exclude", "warren-lab", "--no-tests", "pass"])
    } else {
        cargo(&["test", "--locked", "--workspace", "--exclude", "warren-lab", "--all-targets"])
    };
    expect(tests.env("WARREN_TEST_POSTGRES", postgres.url()))?;
    expect(&mut cargo(&["test", "--locked", "--workspace", "--doc"]))
}

/// The lab's tests, one at a time, on the programs as built.
pub(crate) fn system_tests(workspace: &Workspace) -> Result<()> {
    build_programs(Profile::Debug)?;
    let command = if has_nextest() {
        cargo(&["nextest", "run", "--locked", "-p", "warren-lab"])
    } else {
        cargo(&["test", "--locked", "-p", "warren-lab", "--all-targets", "--", "--test-threads=1"])
    };
    in_lab(workspace, command)
}

/// The image as its Dockerfile builds it, hosting a mesh in an engine of the lab's.
pub(crate) fn compose_test(workspace: &Workspace) -> Result<()> {
    build_programs(Profile::Debug)?;
    let words = ["test", "--locked", "-p", "warren-lab", "--test", "it", "--", "compose", "--ignored", "--nocapture"];
    in_lab(workspace, cargo(&words))
}

fn in_lab(workspace: &Workspace, mut command: Command) -> Result<()> {
    if !setup::is_root()? {
        eprintln!("\nThe system tests make network namespaces: sudo may ask for your password.");
        command.env(runner_variable()?, "sudo --preserve-env");
    }
    expect(command.envs(programs(workspace, Profile::Debug)))
}

/// Replaces this process by the demo, so that Ctrl-C reaches it and nothing else.
pub(crate) fn demo(workspace: &Workspace, once: bool) -> Result<()> {
    build_programs(Profile::Debug)?;
    let mut command = lab(workspace, Profile::Debug)?;
    command.arg("demo").args(once.then_some("--once"));
    Err(command.exec()).context("start the demo")
}

/// The lab as root, ready for its words, and told where the programs are.
pub(crate) fn lab(workspace: &Workspace, profile: Profile) -> Result<Command> {
    lab_on(workspace, profile, programs(workspace, profile))
}

/// The lab with an agent of one's own.
pub(crate) fn lab_with_agent(workspace: &Workspace, profile: Profile, agent: &Path) -> Result<Command> {
    let mut programs = programs(workspace, profile);
    programs[0].1 = agent.display().to_string();
    lab_on(workspace, profile, programs)
}

fn lab_on(workspace: &Workspace, profile: Profile, programs: [(&'static str, String); 3]) -> Result<Command> {
    let program = workspace.target.join(profile.directory()).join("lab");
    if setup::is_root()? {
        let mut command = Command::new(program);
        command.envs(programs);
        return Ok(command);
    }
    eprintln!("\nThe lab makes network namespaces: sudo may ask for your password.");
    let mut command = Command::new("sudo");
    command.arg("env").args(programs.map(|(name, value)| format!("{name}={value}"))).arg(program);
    Ok(command)
}

/// The programs and the lab that starts them.
pub(crate) fn build_programs(profile: Profile) -> Result<()> {
    let mut command =
        cargo(&["build", "--locked", "-p", "warren-agent", "-p", "warren-rendezvous", "-p", "warren-lab"]);
    command.arg("--bins");
    if matches!(profile, Profile::Release) {
        command.arg("--release");
    }
    expect(&mut command)
}

/// Where the lab finds what it starts.
fn programs(workspace: &Workspace, profile: Profile) -> [(&'static str, String); 3] {
    let path = |name: &str| workspace.target.join(profile.directory()).join(name).display().to_string();
    [
        ("WARREN_BIN", path("warren")),
        ("WARREN_RENDEZVOUS_BIN", path("warren-rendezvous")),
        ("WARREN_LAB_PYTHON", setup::python_directory(workspace).join("bin/python").display().to_string()),
    ]
}

impl Profile {
    fn directory(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

fn has_nextest() -> bool {
    cargo(&["nextest", "--version"]).output().is_ok_and(|output| output.status.success())
}

/// Cargo's variable for the program that starts test programs on this kind of machine.
fn runner_variable() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host =
        text.lines().find_map(|line| line.strip_prefix("host: ")).ok_or_else(|| anyhow!("rustc names no host"))?;
    Ok(format!("CARGO_TARGET_{}_RUNNER", host.to_uppercase().replace('-', "_")))
}
