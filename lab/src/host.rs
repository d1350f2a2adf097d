//! A process that stays: started, watched through its log, killed politely or not.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait;

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
    /// Where in the log this process began: a restarted one continues the file.
    began_at: usize,
}

impl Daemon {
    /// Starts it with both outputs appended to the log. It gets a process group of its own, so that the Ctrl-C which
    /// ends the lab reaches the lab alone.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log).context("open the process's log")?;
        let began_at = usize::try_from(file.metadata()?.len())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        Ok(Self { child, log: log.to_owned(), began_at })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.began_at..).unwrap_or_default()).into_owned()
    }

    /// Waits until it writes a line that contains the text, and gives that line.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<String> {
        let found = wait::until(&format!("{text:?} in {}", self.log.display()), limit, || {
            if let Some(line) = self.output().lines().find(|line| line.contains(text)) {
                return Some(Ok(line.to_owned()));
            }
            self.ended().map(Err)
        });
        match found? {
            Ok(line) => Ok(line),
            Err(status) => bail!("it ended with {status} before it wrote {text:?}:\n{}", self.output()),
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for it to end by itself.
    pub fn wait_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        wait::until("the process to end", limit, || self.ended())
    }

    /// Asks it to end (SIGTERM) and waits.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait_end(limit)
    }

    /// Kills it where it stands (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("kill the process")?;
        self.child.wait().context("reap the process")?;
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).context("signal the process")
    }

    /// Its resident memory in bytes.
    pub fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).context("read its status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("find its memory")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("read its memory")?;
        Ok(kib * 1024)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command that ran to its end left behind.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exit code; 128 and the signal's number when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// Runs the command to its end.
    pub fn run(command: &mut Command) -> Result<Self> {
        let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {command:?}"))?;
        let code = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Self { code, stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    /// Standard output, if the exit code was 0.
    pub fn success(self) -> Result<String> {
        if self.code != 0 {
            bail!("exit code {}: {}{}", self.code, self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }
}
