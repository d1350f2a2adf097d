//! A Docker engine of our own on one of the lab's machines: what it publishes is on that machine's addresses, and nothing
//! of it is on the real one.
//!
//! The base images are made here under the names that the Dockerfile uses, from Debian's packages and this machine's
//! toolchain and crates, so that a build fetches nothing. Images and layers are kept below the target directory: a second
//! run builds only what has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::binaries;
use crate::host::{Daemon, Finished};
use crate::namespace::Namespace;
use crate::shell;
use crate::wait;

/// A running engine; its containers and volumes go when it is dropped.
#[derive(Debug)]
pub struct Engine {
    socket: String,
    /// An empty `.env`: a developer's own must not matter.
    settings: PathBuf,
    daemon: Daemon,
}

impl Engine {
    /// What a machine lacks that cannot run one.
    pub fn missing() -> Option<&'static str> {
        let has = |program: &str| Command::new("which").arg(program).stdout(Stdio::null()).status();
        ["dockerd", "docker-compose", "debootstrap", "iptables"]
            .into_iter()
            .find(|program| !has(program).is_ok_and(|status| status.success()))
    }

    /// Starts it on a machine of the lab; `directory` is the run's, `records` get its log.
    pub fn start(machine: &Namespace, directory: &Path, records: &Path) -> Result<Self> {
        let directory = directory.join("docker");
        fs::create_dir_all(&directory)?;
        let settings = directory.join("env");
        fs::write(&settings, "")?;
        let socket = format!("unix://{}", directory.join("socket").display());
        let mut command = Command::new("dockerd");
        command.args(["--host", &socket, "--log-level", "warn"]);
        command.arg("--data-root").arg(binaries::target_directory()?.join("docker"));
        command.arg("--exec-root").arg(directory.join("exec")).arg("--pidfile").arg(directory.join("pid"));
        let log = records.join("dockerd.log");
        // in the machine's network alone: its mounts must be seen by the containers' keepers
        let daemon = machine.inside(|| Daemon::start(&mut command, &log))??;
        let mut engine = Self { socket, settings, daemon };
        wait::until("the engine to answer", START_LIMIT, || match engine.daemon.ended() {
            Some(status) => Some(Err(status)),
            None => engine.run(&["info"]).is_ok().then_some(Ok(())),
        })?
        .map_err(|status| anyhow::anyhow!("dockerd ended with {status}:\n{}", engine.daemon.output()))?;
        engine.clear();
        Ok(engine)
    }

    /// `docker` with these words, run to its end.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        Finished::run(Command::new("docker").args(["--host", &self.socket]).args(words))?.success()
    }

    /// `docker-compose` with these words in the source tree, with these settings and no file `.env` of anybody's.
    pub fn compose(&self, settings: &[(&str, &str)], words: &[&str]) -> Result<String> {
        let mut command = Command::new("docker-compose");
        command.current_dir(sources()).args(["--project-name", "warren", "--env-file"]).arg(&self.settings).args(words);
        command.env("DOCKER_HOST", &self.socket).envs(settings.iter().copied());
        Finished::run(&mut command)?.success().with_context(|| format!("docker-compose {}", words.join(" ")))
    }

    /// Makes the base images that are not there yet.
    pub fn make_bases(&self) -> Result<()> {
        let work = binaries::target_directory()?.join("docker-bases");
        if !self.has(RUNTIME) {
            let root = work.join("runtime");
            bootstrap(&root, &[])?;
            self.import(&root, &[], RUNTIME)?;
        }
        if !self.has(TOOLCHAIN) {
            let root = work.join("toolchain");
            bootstrap(&root, &["gcc", "libc6-dev"])?;
            add_toolchain(&root)?;
            let paths = "ENV CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true PATH=/usr/local/bin:/usr/bin:/bin";
            self.import(&root, &["--change", paths], TOOLCHAIN)?;
        }
        if work.exists() {
            fs::remove_dir_all(&work).context("remove what the base images were made from")?;
        }
        Ok(())
    }

    fn has(&self, image: &str) -> bool {
        self.run(&["image", "inspect", image]).is_ok()
    }

    fn import(&self, root: &Path, changes: &[&str], name: &str) -> Result<()> {
        let archive = root.with_extension("tar");
        shell::run(Command::new("tar").arg("-C").arg(root).arg("-cf").arg(&archive).arg("."))?;
        let path = archive.to_str().context("a strange path")?;
        self.run(&[&["import"], changes, &[path, name]].concat())?;
        fs::remove_file(archive)?;
        Ok(())
    }

    /// Ends all containers and forgets all volumes; images stay.
    fn clear(&self) {
        for (list, remove) in
            [(["ps", "-aq"].as_slice(), ["rm", "-fv"].as_slice()), (&["volume", "ls", "-q"], &["volume", "rm"])]
        {
            let names = self.run(list).unwrap_or_default();
            for name in names.split_whitespace() {
                // one that is gone by now is as good as removed
                let _ = self.run(&[remove, &[name]].concat());
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.clear();
        // it unmounts what it has mounted
        let _ = self.daemon.terminate(STOP_LIMIT);
    }
}

/// A small Debian with these packages.
fn bootstrap(root: &Path, packages: &[&str]) -> Result<()> {
    fs::create_dir_all(root)?;
    let mut command = Command::new("debootstrap");
    command.arg("--variant=minbase");
    if !packages.is_empty() {
        command.arg(format!("--include={}", packages.join(",")));
    }
    shell::run(command.arg("bookworm").arg(root)).context("make a base image")?;
    for leftover in ["var/cache/apt/archives", "var/lib/apt/lists"] {
        let _ = fs::remove_dir_all(root.join(leftover));
    }
    Ok(())
}

/// This machine's compiler, and the crates that cargo has fetched here.
fn add_toolchain(root: &Path) -> Result<()> {
    shell::run(Command::new("cargo").args(["fetch", "--locked"]).current_dir(sources()))?;
    let system = shell::run(Command::new("rustc").args(["--print", "sysroot"]).current_dir(sources()))?;
    let system = PathBuf::from(system.trim());
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let registry = home.context("find cargo's home")?.join("registry");
    let crates = root.join("usr/local/cargo/registry");
    fs::create_dir_all(&crates)?;
    let copies = [
        (system.join("bin/cargo"), root.join("usr/local/bin/")),
        (system.join("bin/rustc"), root.join("usr/local/bin/")),
        (system.join("lib/."), root.join("usr/local/lib/")),
        (registry.join("cache"), crates.clone()),
        (registry.join("index"), crates),
    ];
    for (from, to) in copies {
        shell::run(Command::new("cp").arg("-a").arg(from).arg(to))?;
    }
    Ok(())
}

fn sources() -> &'static Path {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    lab.parent().unwrap_or(lab)
}

/// Fails loudly where it must not be skipped, else says what is missing and why nothing is tested.
pub fn must_skip() -> Result<bool> {
    let Some(missing) = Engine::missing() else { return Ok(false) };
    let text = format!("{missing} is missing: run `cargo xtask setup`");
    ensure!(std::env::var("CI").as_deref() != Ok("true"), "CI must not skip: {text}");
    println!("SKIPPED, nothing was tested: {text}");
    Ok(true)
}

/// What the Dockerfile builds on and ships on.
const TOOLCHAIN: &str = "rust:1.95-slim-bookworm";
const RUNTIME: &str = "debian:bookworm-slim";
/// It reads all its layers first.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
