//! A machine for one test: a network namespace, a directory, and the `warren` binary in them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::Value;
use tempfile::TempDir;

/// Runs `test` on a machine of its own, in a runtime whose threads are all on that machine.
pub(crate) fn on_a_host<F: Future<Output = ()>>(test: impl FnOnce(Host) -> F + Send + 'static) {
    if !Uid::effective().is_root() {
        println!("skipped: needs root");
        return;
    }
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        run("mount", &["--make-rprivate", "/"]);
        run("ip", &["link", "set", "lo", "up"]);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(test(Host::new()));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The machine.
pub(crate) struct Host {
    dir: TempDir,
}

impl Host {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts a daemon and waits until it listens.
    pub(crate) fn daemon(&self, more: &[&str]) -> Daemon {
        let mut daemon = Daemon { child: self.start("state", more) };
        let since = Instant::now();
        while !self.path("warren.sock").exists() || self.warren(&["status"]).code != 0 {
            assert!(daemon.child.try_wait().unwrap().is_none(), "the daemon ended: {}", daemon.log());
            assert!(since.elapsed() < PATIENCE, "the daemon does not listen");
            std::thread::sleep(TICK);
        }
        daemon
    }

    /// Runs a daemon that is expected to end by itself.
    pub(crate) fn failing_daemon(&self, state: &str, more: &[&str]) -> Outcome {
        Outcome::of(self.start(state, more).wait_with_output().unwrap())
    }

    fn start(&self, state: &str, more: &[&str]) -> Child {
        Command::new(BINARY)
            .args(["daemon", "--state-dir", self.path(state).to_str().unwrap()])
            .args(["--socket", self.path("warren.sock").to_str().unwrap()])
            .args(more)
            .env("WARREN_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs a command against the daemon.
    pub(crate) fn warren(&self, args: &[&str]) -> Outcome {
        warren(&[&["--socket", self.path("warren.sock").to_str().unwrap()], args].concat())
    }

    pub(crate) fn status(&self) -> Value {
        self.warren(&["status", "--json"]).json()
    }

    /// Waits until `status` satisfies `condition`.
    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            let status = self.status();
            if condition(&status) {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "{what} did not happen: {status:#}");
            std::thread::sleep(TICK);
        }
    }
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) fn ended(mut self) -> Outcome {
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Outcome { code: self.child.wait().unwrap().code().unwrap_or(-1), stdout: String::new(), stderr }
    }

    /// Asks it to end; returns its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().code()
    }

    fn log(&mut self) -> String {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a command ended.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON: {} {}", self.stdout, self.stderr))
    }

    /// Holds the exit code, and that the message says what is wrong in these words.
    pub(crate) fn expect(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(words), "expected \"{words}\" in: {}", self.stderr);
    }
}

/// Runs the binary.
pub(crate) fn warren(args: &[&str]) -> Outcome {
    Outcome::of(Command::new(BINARY).args(args).stdin(Stdio::null()).output().unwrap())
}

pub(crate) fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().unwrap();
    assert!(status.success(), "{program} {args:?}");
}

pub(crate) fn interface_exists(name: &str) -> bool {
    // Of the calling thread's namespace, unlike /sys.
    Command::new("ip").args(["link", "show", name]).output().unwrap().status.success()
}

pub(crate) fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
}

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_warren");
const PATIENCE: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(50);
