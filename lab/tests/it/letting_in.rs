//! `warren up https://server`: a device that was told an address only, and the person who lets it in.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::agent::{Agent, Options};
use warren_lab::dashboard::Dashboard;
use warren_lab::nat::NatKind;
use warren_lab::server::Server;
use warren_lab::topology::{Internet, RENDEZVOUS};
use warren_lab::wait;

#[test]
fn a_device_that_knows_the_address_only_is_let_in_by_a_person_and_reaches_the_others() -> Result<()> {
    let internet = internet("letting-in")?;
    let server = Server::start(&internet)?;
    let dashboard = Dashboard::set_up(&server, internet.directory().join("cookies"))?;
    let desktop = Agent::start(&internet, "desktop", Options::default())?;
    desktop.up(&server.invite(&[])?)?;
    let laptop = Agent::start(&internet, "laptop", Options::default())?;
    let key = server_key(&dashboard)?;

    let mut waiting = Waiting::start(&internet, &laptop, &["--server-key", &key])?;
    let code = waiting.code()?;
    dashboard.let_in(&code)?;
    let said = waiting.end()?;

    println!("{said}");
    ensure!(said.contains("laptop is up: 100."), "{said}");
    laptop.wait_direct("desktop", Duration::from_secs(20))?;
    let again = laptop.run(&["up", &url(), "--server-key", &key])?;
    ensure!(again.code == 0, "a device that is in stays in: {again:?}");
    Ok(())
}

#[test]
fn one_that_is_kept_out_says_so_in_the_words_of_the_dashboard() -> Result<()> {
    let internet = internet("keeping-out")?;
    let server = Server::start(&internet)?;
    let dashboard = Dashboard::set_up(&server, internet.directory().join("cookies"))?;
    let laptop = Agent::start(&internet, "laptop", Options::default())?;
    let key = server_key(&dashboard)?;

    let mut waiting = Waiting::start(&internet, &laptop, &["--server-key", &key])?;
    let code = waiting.code()?;
    dashboard.keep_out(&code)?;
    let said = waiting.end()?;

    println!("{said}");
    ensure!(said.contains("somebody who runs this network did not let the device in"), "{said}");
    ensure!(said.contains("[exit code 9]"), "{said}");
    Ok(())
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_believed_unasked() -> Result<()> {
    let internet = internet("vouching")?;
    let server = Server::start(&internet)?;
    let laptop = Agent::start(&internet, "laptop", Options::default())?;

    let unasked = laptop.run(&["up", &url(), "--timeout", "5s"])?;
    let other = laptop.run(&["up", &url(), "--server-key", &"00".repeat(32), "--timeout", "5s"])?;
    let nowhere = laptop.run(&["up", "https://192.0.2.99", "--timeout", "5s"])?;

    println!("{unasked:?}\n{other:?}\n{nowhere:?}");
    ensure!(unasked.code == 2 && unasked.stderr.contains("TLS does not vouch for this server"), "{unasked:?}");
    ensure!(other.code == 9 && other.stderr.contains("its key is not the one you named"), "{other:?}");
    ensure!(nowhere.code == 6 && nowhere.stderr.contains("cannot reach 192.0.2.99"), "{nowhere:?}");
    drop(server);
    Ok(())
}

/// A `warren up` that waits for a person.
struct Waiting {
    child: std::process::Child,
    output: std::path::PathBuf,
}

impl Waiting {
    fn start(internet: &Internet, agent: &Agent, flags: &[&str]) -> Result<Self> {
        let output = internet.directory().join("waiting");
        let file = File::create(&output)?;
        let url = url();
        // its namespace is one of networks only: the machine's own name is the same for all hosts
        let words = [&["up", &url, "--hostname", &agent.host().label, "--timeout", "60s"], flags].concat();
        let mut command = agent.command(&words);
        // nobody sits at a terminal here
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
        Ok(Self { child, output })
    }

    /// The code that it shows.
    fn code(&mut self) -> Result<String> {
        wait::until("a code", Duration::from_secs(15), || {
            let said = std::fs::read_to_string(&self.output).ok()?;
            let (_, rest) = said.split_once("?code=")?;
            rest.split_once('\n').map(|(code, _)| code.to_owned())
        })
    }

    /// What it said until its end, and how that was.
    fn end(mut self) -> Result<String> {
        let status =
            wait::until("the command's end", Duration::from_secs(30), || self.child.try_wait().ok().flatten())?;
        let said = std::fs::read_to_string(&self.output)?;
        Ok(format!("{said}[exit code {}]", status.code().context("an exit code")?))
    }
}

/// The server's key, as the dashboard shows it for comparison.
fn server_key(dashboard: &Dashboard<'_>) -> Result<String> {
    let page = dashboard.page("/activate")?;
    let key = page.split("<p class=\"address server-key\">").nth(1).and_then(|rest| rest.split('<').next());
    Ok(key.context("the server's key")?.to_owned())
}

fn url() -> String {
    format!("https://{RENDEZVOUS}")
}

fn internet(title: &str) -> Result<Internet> {
    Internet::figure_one(title, NatKind::PortRestricted, NatKind::PortRestricted)
}
