//! The server in a container, as the README has it: one command, one link, a line per device; then a restart, an upgrade
//! and the end.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use warren_lab::agent::{Agent, Options};
use warren_lab::engine::{self, Engine};
use warren_lab::host::Finished;
use warren_lab::namespace::Namespace;
use warren_lab::nat::NatKind;
use warren_lab::topology::{Internet, RENDEZVOUS};
use warren_lab::wait;

#[test]
#[ignore = "builds the image, which takes minutes: `cargo xtask compose`"]
fn one_command_hosts_a_mesh_that_outlives_a_restart_and_an_upgrade() -> Result<()> {
    if engine::must_skip()? {
        return Ok(());
    }
    let internet = Internet::figure_one("compose", NatKind::PortRestricted, NatKind::PortRestricted)?;
    let engine = Engine::start(&internet.rendezvous, &internet.directory(), internet.records())?;
    engine.make_bases()?;
    engine.compose(BUILD, &["build"])?;
    let laptop = Agent::start(&internet, "laptop", Options::default())?;
    let desktop = Agent::start(&internet, "desktop", Options::default())?;

    let begun = Instant::now();
    engine.compose(BUILD, &["up", "-d"])?;
    let token = setup_token(&engine)?;
    let mut browser = Browser { machine: &internet.host("laptop")?.namespace, jar: internet.directory().join("jar") };
    laptop.up(&browser.set_up(&token)?)?;
    desktop.up(&browser.add_device()?)?;
    ping(&laptop, &desktop)?;
    let took = begun.elapsed();

    println!("from `docker-compose up` to the first ping: {took:.1?}");
    ensure!(took < Duration::from_secs(120), "it took {took:?}");
    laptop.wait_direct("desktop", DIRECT_LIMIT)?;
    let observed = laptop.status()?.nat.observed;
    let public = internet.sites[0].public;
    ensure!(observed.iter().any(|address| address.ip() == public), "the bridge hides {public}: {observed:?}");
    is_confined(&engine)?;

    let (before, container) = (id(&laptop)?, container(&engine)?);
    engine.compose(BUILD, &["restart"])?;
    is_served_again(&laptop, &desktop)?;
    engine.run(&["commit", "--change", "LABEL next=1", &container, "warren-rendezvous:next"])?;
    engine.compose(NEXT, &["up", "-d"])?;
    is_served_again(&laptop, &desktop)?;
    ensure!(self::container(&engine)? != container, "the container was not replaced");
    ensure!(id(&laptop)? == before, "the laptop had to enrol again");

    engine.compose(NEXT, &["down", "-v"])?;
    ensure!(engine.run(&["ps", "-aq"])?.is_empty() && engine.run(&["volume", "ls", "-q"])?.is_empty());
    ping(&laptop, &desktop).context("tunnels need no server")
}

/// The token of the link that a first start prints.
fn setup_token(engine: &Engine) -> Result<String> {
    wait::until("the setup link", START_LIMIT, || {
        let log = engine.compose(BUILD, &["logs", "--no-color"]).ok()?;
        let (_, rest) = log.split_once("https://localhost/setup#")?;
        Some(rest.split_whitespace().next()?.to_owned())
    })
}

fn id(agent: &Agent) -> Result<String> {
    Ok(agent.status()?.device.context("it is enrolled")?.id)
}

fn container(engine: &Engine) -> Result<String> {
    Ok(engine.compose(BUILD, &["ps", "-q", "rendezvous"])?.trim().to_owned())
}

/// Healthy, as nobody, with no capability and nothing to write to but its volume.
fn is_confined(engine: &Engine) -> Result<()> {
    let container = container(engine)?;
    wait::until("the container to be healthy", Duration::from_secs(60), || {
        engine
            .run(&["inspect", "--format", "{{.State.Health.Status}}", &container])
            .ok()
            .filter(|health| health.trim() == "healthy")
    })?;
    let status = engine.run(&["exec", &container, "cat", "/proc/1/status"])?;
    for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Uid:\t65532\t65532"] {
        ensure!(status.contains(line), "{line:?} is not in {status}");
    }
    ensure!(engine.run(&["exec", &container, "touch", "/usr/x"]).is_err(), "its root can be written");
    Ok(())
}

/// The agents are connected again, and had their tunnel all the time.
fn is_served_again(laptop: &Agent, desktop: &Agent) -> Result<()> {
    for agent in [laptop, desktop] {
        agent.wait_status("the rendezvous", RETURN_LIMIT, |status| {
            status.rendezvous.as_ref().is_some_and(|server| server.connected)
        })?;
    }
    ping(laptop, desktop)
}

fn ping(from: &Agent, to: &Agent) -> Result<()> {
    let target = wait::until("its address", START_LIMIT, || to.status().ok()?.addresses().ok())?.0.to_string();
    wait::until("an answer", START_LIMIT, || {
        let ping = from.host().namespace.command("ping").args(["-n", "-c", "1", "-W", "1", &target]).output();
        ping.is_ok_and(|ping| ping.status.success()).then_some(())
    })
}

/// What a person does in the dashboard, from one of the devices.
struct Browser<'a> {
    machine: &'a Namespace,
    jar: std::path::PathBuf,
}

impl Browser<'_> {
    /// Opens the link, makes the first account, and lands on the line for the first device.
    fn set_up(&mut self, token: &str) -> Result<String> {
        let form = ["link", "name", "password"].into_iter().zip([token, "ada", "blue kettle of rain"]);
        let form: Vec<_> = form.map(|(name, value)| format!("{name}={value}")).collect();
        self.post("/setup", &form)
    }

    fn add_device(&mut self) -> Result<String> {
        self.post("/devices/new", &[])
    }

    /// Sends the form of a page, follows where that leads, and finds the invite there.
    fn post(&mut self, path: &str, fields: &[String]) -> Result<String> {
        let page = self.curl(path, &[])?;
        let token = page.split("name=\"form_token\"").nth(1).and_then(|rest| rest.split("value=\"").nth(1));
        let token = token.and_then(|rest| rest.split('"').next()).with_context(|| format!("a form in {page}"))?;
        let mut words = vec!["--location".to_owned(), "--data-urlencode".to_owned(), format!("form_token={token}")];
        words.extend(fields.iter().flat_map(|field| ["--data-urlencode".to_owned(), field.clone()]));
        let page = self.curl(path, &words)?;
        let invite = page.split("warren_inv_").nth(1).with_context(|| format!("an invite in {page}"))?;
        let end = invite.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter)));
        Ok(format!("warren_inv_{}", &invite[..end.unwrap_or(invite.len())]))
    }

    fn curl(&self, path: &str, words: &[String]) -> Result<String> {
        let mut command: Command = self.machine.command("curl");
        command.args(["--silent", "--show-error", "--insecure", "--fail", "--cookie"]).arg(&self.jar);
        command.arg("--cookie-jar").arg(&self.jar).args(words).arg(format!("https://{RENDEZVOUS}{path}"));
        Finished::run(&mut command)?.success().with_context(|| format!("open {path}"))
    }
}

/// The profile that builds soonest.
const BUILD: &[(&str, &str)] = &[("WARREN_BUILD_PROFILE", "dev")];
const NEXT: &[(&str, &str)] = &[("WARREN_BUILD_PROFILE", "dev"), ("WARREN_VERSION", "next")];
/// A first start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);
const DIRECT_LIMIT: Duration = Duration::from_secs(20);
/// An agent that finds its server gone asks again within a minute.
const RETURN_LIMIT: Duration = Duration::from_secs(90);
