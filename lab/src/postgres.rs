//! A PostgreSQL for the lab's servers, reached by a socket in the file system: namespaces have no network in common.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A database server of a run; stopped when dropped.
#[derive(Debug)]
pub struct Postgres {
    directory: PathBuf,
}

impl Postgres {
    /// Makes an empty database in the run's directory and starts its server.
    pub fn start(directory: &Path) -> Result<Self> {
        let directory = directory.join("postgres");
        fs::create_dir(&directory).context("make the database's directory")?;
        let [user, group] = ["-u", "-g"].map(|flag| output(Command::new("id").args([flag, "postgres"])));
        chown(&directory, Some(user?.parse()?), Some(group?.parse()?)).context("hand it to the server's user")?;
        let postgres = Self { directory };
        output(postgres.program("initdb").args(["-U", "warren", "-A", "trust", "-N", "-D"]).arg(postgres.data()))?;
        postgres.resume()?;
        Ok(postgres)
    }

    /// Where servers reach it.
    pub fn url(&self) -> String {
        format!("postgres://warren@localhost/postgres?host={}", self.directory.display())
    }

    /// Ends it as at a crash.
    pub fn stop(&self) -> Result<()> {
        output(self.program("pg_ctl").args(["-m", "immediate", "stop", "-D"]).arg(self.data())).map(drop)
    }

    /// Starts it on the data it had.
    pub fn resume(&self) -> Result<()> {
        let options = format!("-h '' -k {} -c fsync=off", self.directory.display());
        let mut start = self.program("pg_ctl");
        start
            .arg("-D")
            .arg(self.data())
            .args(["-w", "-o", &options, "-l"])
            .arg(self.directory.join("log"))
            .arg("start");
        // its output goes nowhere: the server would hold a pipe open for as long as it runs
        let started = start.stdout(Stdio::null()).status().context("start pg_ctl")?;
        ensure!(started.success(), "PostgreSQL does not start: see {}", self.directory.join("log").display());
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// One of its programs, as a user that is not root: it refuses to run as that.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--", name]);
        command.current_dir(&self.directory);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // it may be stopped already
        let _ = self.stop();
    }
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
