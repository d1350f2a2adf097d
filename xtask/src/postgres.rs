//! A PostgreSQL server for the tests of the store: made for one run in a directory of its own, and gone afterwards.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::setup;

/// A running server; stopped and removed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    directory: PathBuf,
    port: u16,
}

impl Server {
    /// Makes a cluster in the system's temporary directory and starts it on a free port of the loopback address.
    pub(crate) fn start() -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("warren-postgres-{}", std::process::id()));
        fs::create_dir(&directory).with_context(|| format!("make {}", directory.display()))?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).context("find a port")?.port();
        let server = Self { directory, port };
        server.prepare()?;
        Ok(server)
    }

    /// Where tests reach it; they may make databases there.
    pub(crate) fn url(&self) -> String {
        format!("postgres://warren@127.0.0.1:{}/postgres", self.port)
    }

    fn prepare(&self) -> Result<()> {
        if setup::is_root()? {
            let id = |flag| text(Command::new("id").args([flag, "postgres"]));
            let (user, group) = (id("-u")?.parse()?, id("-g")?.parse()?);
            chown(&self.directory, Some(user), Some(group)).context("hand the directory to the server's user")?;
        }
        let data = self.data();
        let data = data.to_str().context("the temporary directory has a strange name")?;
        text(self.program("initdb")?.args(["-D", data, "-U", "warren", "-A", "trust", "-N"]))?;
        let directory = self.directory.display();
        // what a crash would lose is of no use after it
        let options = format!("-p {} -h 127.0.0.1 -k {directory} -c fsync=off", self.port);
        let log = self.directory.join("log");
        let mut start = self.program("pg_ctl")?;
        start.args(["-D", data, "-w", "-o", &options, "-l"]).arg(&log).arg("start");
        // its output goes nowhere: the server would hold a pipe open for as long as it runs
        let started = start.stdout(std::process::Stdio::null()).status().context("start pg_ctl")?;
        ensure!(started.success(), "PostgreSQL does not start: {}", fs::read_to_string(log).unwrap_or_default());
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// One of PostgreSQL's programs, as a user that is not root: it refuses to run as that.
    fn program(&self, name: &str) -> Result<Command> {
        let path = setup::find(name).with_context(|| format!("{name} is missing: run `cargo xtask setup`"))?;
        let mut command = if setup::is_root()? {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(&self.directory);
        Ok(command)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.data();
        if let Ok(mut stop) = self.program("pg_ctl") {
            // a server that never came up is stopped already
            let _ = stop.arg("-D").arg(&data).args(["-m", "immediate", "stop"]).output();
        }
        let _ = remove(&self.directory);
    }
}

fn remove(directory: &Path) -> Result<()> {
    fs::remove_dir_all(directory).with_context(|| format!("remove {}", directory.display()))
}

/// What a program prints, if it ends well.
fn text(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {}", command.get_program().display()))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_server_answers_while_it_lives_and_leaves_nothing_behind() {
        let server = Server::start().unwrap();
        let (directory, port) = (server.directory.clone(), server.port);

        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        drop(server);

        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        assert!(!directory.exists());
    }
}
