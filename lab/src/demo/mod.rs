//! `cargo xtask demo`: the paper's Figure 1 comes up before the reader's eyes.
//!
//! Everything told is measured as it happens, on the cables and in the programs; whatever does not happen ends the demo
//! with an error. What is seen of one datagram on its way is `kittens`'s part.

mod kittens;
mod meeting;
mod story;
mod window;

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::agent::{Agent, Options};
use crate::binaries;
use crate::interrupt;
use crate::nat::NatKind;
use crate::server::Server;
use crate::topology::Internet;

use story::Story;

/// Tells the story; then keeps the mesh up until Ctrl-C, or with `once` returns.
pub fn run(once: bool) -> Result<()> {
    interrupt::clean_up_on_signals()?;
    let story = Story::begin();
    story.say("Building the internet of Figure 1 in network namespaces of this machine.");
    let internet = Internet::figure_one("demo", NatKind::PortRestricted, NatKind::PortRestricted)?;
    story.show(PICTURE);

    let server = Server::start(&internet)?;
    story.say("The rendezvous is ready at 192.0.2.10: dashboard, control plane, STUN and relay.");
    let laptop = Agent::start(&internet, "laptop", Options::default())?;
    let desktop = Agent::start(&internet, "desktop", Options::default())?;
    story.say("An agent runs on the laptop and one on the desktop; neither is enrolled, and neither knows the other.");

    enrol(&story, &server, &laptop)?;
    meeting::watch(&story, &internet, &laptop, &desktop, || enrol(&story, &server, &desktop))?;
    kittens::send(&story, &internet, &laptop, &desktop)?;

    server.run(&["healthcheck"])?.success().context("ask the rendezvous for its health")?;
    let link = server.setup_link()?;
    story.say("All of it happened.");
    if once {
        return Ok(());
    }
    let port = window::open(&internet)?;
    invite_in(&story, &internet, &link, port)?;
    interrupt::wait_forever()
}

/// One device joins, with an invite of its own.
fn enrol(story: &Story, server: &Server, agent: &Agent) -> Result<()> {
    let invite = server.invite(&[])?;
    agent.up(&invite)?;
    let (v4, v6) = agent.status()?.addresses()?;
    story.say(&format!("The {} is enrolled: its addresses in the mesh are {v4} and {v6}.", agent.host().label));
    ensure!(agent.status()?.state == "connected", "the {} is not connected", agent.host().label);
    Ok(())
}

/// What is left running, and how to get at it.
fn invite_in(story: &Story, internet: &Internet, link: &str, port: u16) -> Result<()> {
    let path = link.splitn(4, '/').nth(3).unwrap_or_default();
    let programs = binaries::agent()?;
    let programs = programs.parent().unwrap_or_else(|| Path::new("."));
    story.say("The mesh and its dashboard stay up until Ctrl-C.");
    let mut text = format!("  dashboard   https://127.0.0.1:{port}/{path}\n");
    text += "              (the link makes the first admin; the certificate is the rendezvous's own)\n";
    for host in internet.sites.iter().flat_map(|site| &site.hosts) {
        let socket = internet.directory().join(&host.label).join("warren.sock");
        text += &format!(
            "  {:<11} sudo ip netns exec {} env WARREN_SOCKET={} \\\n",
            host.label,
            host.namespace.name(),
            socket.display()
        );
        text += &format!(
            "                PATH={}:\"$PATH\" bash      # then: warren status, ping, ..\n",
            programs.display()
        );
    }
    text += &format!("  logs        {}", internet.records().display());
    story.show(&text);
    Ok(())
}

const PICTURE: &str = "
      coffee shop                        the internet                           home

   laptop ───── NAT ─────────── isp ───── core ───── isp ─────────── NAT ───── desktop
 192.168.1.10   198.51.100.2               │              203.0.113.2     192.168.2.10
                                       rendezvous
                                       192.0.2.10
";
