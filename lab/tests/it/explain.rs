//! Why a pair uses the path it uses: the reason that both ends state, against the NATs that stand between them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use warren_lab::agent::{Agent, Options};
use warren_lab::mesh::Mesh;
use warren_lab::nat::NatKind;
use warren_lab::server::Server;
use warren_lab::shell;
use warren_lab::topology::{Internet, Place};
use warren_lab::wait;

#[test]
fn two_random_nats_are_named_by_both_ends_in_the_same_words() -> Result<()> {
    let internet = Internet::figure_one("explain-symmetric", NatKind::Symmetric, NatKind::Symmetric)?;
    let mesh = Mesh::enrol(internet, &Options::default())?;

    let reports = agreed(&mesh, "both-symmetric", true)?;

    let remedy = reports[0]["reason"]["remedy"].as_str().context("there is a remedy")?;
    for name in ["laptop", "desktop"] {
        ensure!(remedy.contains(&format!("`{name}`")), "{remedy}");
    }
    for report in &reports {
        let tried = |field: &str| report[field].as_array().map(Vec::as_slice).unwrap_or_default().to_vec();
        let punched = |attempts: &[Value]| attempts.iter().any(|attempt| attempt["technique"] == "punch");
        ensure!(punched(&tried("attempts")) && punched(&tried("peer_attempts")), "{report:#}");
    }
    let shown = mesh.laptop.run(&["path", "desktop"])?.success()?;
    ensure!(shown.contains("(both-symmetric)") && shown.contains("desktop may be reached at"), "{shown}");
    let netcheck = mesh.laptop.run(&["netcheck"])?.success()?;
    ensure!(netcheck.starts_with("Direct paths  Direct to devices with a public address"), "{netcheck}");
    Ok(())
}

#[test]
fn what_is_direct_says_so_at_both_ends_and_shows_what_the_other_tried() -> Result<()> {
    let mesh = Mesh::direct("explain-direct", &Options::default())?;

    let reports = agreed(&mesh, "direct", false)?;

    for report in reports {
        ensure!(report["reason"]["remedy"].is_null() && report["path"]["kind"] == "direct", "{report:#}");
    }
    Ok(())
}

#[test]
fn two_hosts_of_one_network_talk_inside_it() -> Result<()> {
    let place = Place { nat: NatKind::PortRestricted, hosts: &["laptop", "desktop"] };
    let mesh = Mesh::enrol(Internet::build("explain-lan", &[place])?, &Options::default())?;

    agreed(&mesh, "same-lan", false)?;
    Ok(())
}

#[test]
fn a_device_whose_owner_wants_the_relay_only_is_relayed_and_nothing_goes_straight() -> Result<()> {
    let internet = Internet::figure_one("explain-relay-only", NatKind::None, NatKind::None)?;
    let server = Server::start(&internet)?;
    let flags = vec!["--relay-only".to_owned()];
    let laptop = Agent::start(&internet, "laptop", Options { flags, ..Options::default() })?;
    let desktop = Agent::start(&internet, "desktop", Options::default())?;
    laptop.up(&server.invite(&[])?)?;
    desktop.up(&server.invite(&[])?)?;
    let mesh = Mesh { laptop, desktop, server, internet };

    mesh.desktop.run(&["ping", "laptop", "-c", "3"])?.success()?;
    let reports = agreed(&mesh, "relay-only-policy", false)?;

    for report in &reports {
        ensure!(report["path"]["kind"] == "relay" && report["relay_only"] == true, "{report:#}");
        let attempts = report["attempts"].as_array().context("attempts are listed")?;
        ensure!(attempts.iter().all(|attempt| attempt["technique"] == "relay"), "{report:#}");
    }
    ensure!(reports[1]["candidates"]["peer"] == serde_json::json!([]), "{:#}", reports[1]);
    let netcheck = mesh.laptop.run(&["netcheck"])?.success()?;
    ensure!(netcheck.starts_with("Direct paths  This device is set to use the relay only."), "{netcheck}");
    Ok(())
}

#[test]
fn a_network_that_forbids_udp_to_all_but_the_server_and_says_so_is_named() -> Result<()> {
    let internet = Internet::figure_one("explain-forbidden", NatKind::PortRestricted, NatKind::PortRestricted)?;
    let office = internet.sites[0].gateway.as_ref().context("the office has a gateway")?;
    shell::run(office.command("nft").args(ONLY_THE_SERVER))?;
    let mesh = Mesh::enrol(internet, &Options::default())?;

    let reports = agreed(&mesh, "udp-forbidden", true)?;

    let tried = reports[0]["attempts"].as_array().context("attempts are listed")?;
    // how many probes that takes is the firewall's matter: its kernel says so only so often
    ensure!(tried.iter().any(|attempt| attempt["result"] == "forbidden"), "{:#}", reports[0]);
    let text = reports[1]["reason"]["text"].as_str().context("there is a reason")?;
    ensure!(text.starts_with("What `laptop` sends"), "{text}");
    // what the firewall says of these probes must not end up with anything else that is sent
    mesh.laptop.run(&["ping", "desktop", "-c", "3"])?.success()?;
    Ok(())
}

#[test]
fn without_the_rendezvous_each_end_says_what_it_makes_of_its_own_half() -> Result<()> {
    let internet = Internet::figure_one("explain-alone", NatKind::Symmetric, NatKind::Symmetric)?;
    let mut mesh = Mesh::enrol(internet, &Options::default())?;
    agreed(&mesh, "both-symmetric", true)?;

    mesh.server.kill()?;

    wait::until("the end's own guess", UNNOTICED, || {
        let report = path(&mesh.laptop, "desktop").ok()?;
        (report["reason"]["joined"] == false).then_some(())
    })
}

/// Both ends' reports, once both state this reason, made from both ends' attempts or not, in the same words.
fn agreed(mesh: &Mesh, code: &str, joined: bool) -> Result<[Value; 2]> {
    let reports = || Some([path(&mesh.laptop, "desktop").ok()?, path(&mesh.desktop, "laptop").ok()?]);
    let agrees = |reports: &[Value; 2]| {
        let [one, other] = reports.each_ref().map(|report| &report["reason"]);
        one["code"] == code && other["code"] == code && (one["joined"] == joined && one == other || !joined)
    };
    wait::until(&format!("both ends to say {code}"), PATIENCE, || reports().filter(agrees))
        .with_context(|| format!("{:#?}", reports()))
}

fn path(agent: &Agent, peer: &str) -> Result<Value> {
    Ok(serde_json::from_str(&agent.run(&["path", peer, "--json"])?.success()?)?)
}

/// As the firewalls of offices do, those that answer.
const ONLY_THE_SERVER: [&str; 18] = [
    "insert",
    "rule",
    "ip",
    "warren_lab",
    "c_forward",
    "iifname",
    "lan0",
    "ip",
    "daddr",
    "!=",
    "192.0.2.0/24",
    "meta",
    "l4proto",
    "udp",
    "reject",
    "with",
    "icmp",
    "admin-prohibited",
];
/// A round of four seconds, a search beside it, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
/// A connection at rest is asked every 20 s, and is given up some seconds after that; twice that on a busy machine.
const UNNOTICED: Duration = Duration::from_secs(80);
