//! Debian packages of both programs: what `packaging/` holds, the programs, and what the programs say of themselves
//! (manual pages, completions), put where Debian wants it.
//!
//! Assembled by `dpkg-deb` from a directory, so that nothing needs to be installed but what every Debian has. What happens
//! on a host is in the maintainer scripts beside the units.

mod stage;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cargo::{Workspace, cargo, run as expect};
use stage::Stage;

/// `cargo xtask package`.
#[derive(Args)]
pub(crate) struct PackageArgs {
    /// Build without optimisation: for trying the packages, not for using them.
    #[arg(long)]
    dev: bool,
}

/// Builds both programs and their packages; prints where those are.
pub(crate) fn run(workspace: &Workspace, arguments: &PackageArgs) -> Result<()> {
    let mut build = cargo(&["build", "--locked", "--bins", "-p", "warren-agent", "-p", "warren-rendezvous"]);
    if !arguments.dev {
        build.arg("--release");
    }
    expect(&mut build)?;
    let profile = if arguments.dev { "debug" } else { "release" };
    for package in assemble(workspace, &workspace.target.join(profile), &workspace.target.join("package"))? {
        println!("{}", package.display());
    }
    Ok(())
}

/// Makes the packages of the programs in one directory in another.
fn assemble(workspace: &Workspace, programs: &Path, output: &Path) -> Result<Vec<PathBuf>> {
    let version = version(workspace)?;
    let architecture = said(Command::new("dpkg").arg("--print-architecture"))?;
    let libc = said(Command::new("dpkg-query").args(["--show", "--showformat=${source:Upstream-Version}", "libc6"]))?;
    let machine = said(Command::new("uname").arg("--machine"))?;
    let mut packages = Vec::new();
    for package in [&AGENT, &RENDEZVOUS] {
        let stage = Stage::new(&output.join(package.name))?;
        stage.program(&programs.join(package.name))?;
        for other in package.carries {
            let to = format!("usr/share/warren/agents/{other}-linux-{machine}");
            stage.stripped(&programs.join(other), &to)?;
        }
        stage.manual(&programs.join(package.name))?;
        stage.completions(&programs.join(package.name), package.name)?;
        stage.packaging(&workspace.root, package.name, package.settings)?;
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: The Warren developers <warren@localhost>\n\
             Depends: libc6 (>= {libc}), libgcc-s1\nRecommends: {recommends}\nSection: net\nPriority: optional\n\
             Installed-Size: {size}\nDescription: {description}\n",
            name = package.name,
            recommends = package.recommends,
            size = stage.kibibytes()?,
            description = package.description,
        );
        stage.control(&control)?;
        let file = output.join(format!("{}_{version}_{architecture}.deb", package.name));
        let mut build = Command::new("dpkg-deb");
        build.args(["--root-owner-group", "-Zgzip", "--build"]).arg(stage.root()).arg(&file);
        let built = build.output().context("start dpkg-deb")?;
        ensure!(built.status.success(), "dpkg-deb: {}", String::from_utf8_lossy(&built.stderr));
        packages.push(file);
    }
    Ok(packages)
}

fn version(workspace: &Workspace) -> Result<String> {
    let agent = workspace.members().find(|package| package.name == "warren-agent");
    Ok(agent.context("find the agent among our crates")?.version.clone())
}

/// What a program prints, on one line.
fn said(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("start {name}"))?;
    ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout).with_context(|| format!("read what {name} says"))?.trim().to_owned())
}

/// What differs between the packages.
struct Package {
    name: &'static str,
    /// Other programs that it hands out.
    carries: &'static [&'static str],
    /// Files of `packaging/etc` that are the administrator's, by name, with who but root may read them.
    settings: &'static [&'static str],
    recommends: &'static str,
    description: &'static str,
}

const AGENT: Package = Package {
    name: "warren",
    carries: &[],
    settings: &["agent.env"],
    recommends: "systemd",
    description: "mesh VPN agent: devices reach each other directly\n Connects this device to the other devices of its mesh, \
                  through whatever NATs lie\n between, with transport-mode ESP in UDP. The mesh is run by a rendezvous of one's \
                  own\n (package warren-rendezvous).",
};
const RENDEZVOUS: Package = Package {
    name: "warren-rendezvous",
    carries: &["warren"],
    settings: &["rendezvous.toml"],
    recommends: "systemd",
    description: "mesh VPN rendezvous: dashboard, control plane, relay\n Where the devices of a Warren mesh enrol, find each \
                  other and fall back to a relay,\n with a dashboard to run it by.",
};
