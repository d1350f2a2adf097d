//! Networks that let no UDP out: control and relay go through the web port, and come back when UDP does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use warren_lab::agent::{Agent, Options};
use warren_lab::host::Finished;
use warren_lab::mesh::Mesh;
use warren_lab::namespace::Namespace;
use warren_lab::nat::NatKind;
use warren_lab::server::Server;
use warren_lab::shell;
use warren_lab::stream::Stream;
use warren_lab::topology::Internet;
use warren_lab::transfer;

#[test]
fn one_side_without_udp_is_relayed_over_the_web_port_and_back_on_udp_within_a_minute() -> Result<()> {
    for how in ["drop", "reject with icmpx admin-prohibited"] {
        let internet = figure_one("udp-blocked-here")?;
        filter(&internet, 0, &format!("meta l4proto udp {how}"))?;
        let mesh = Mesh::enrol(internet, &Options::default())?;

        wait_via(&mesh.laptop, "desktop", "websocket-relay")?;
        wait_via(&mesh.desktop, "laptop", "udp-relay")?;
        ensure!(transport(&mesh.laptop)? == "websocket" && transport(&mesh.desktop)? == "quic");
        let rtt = ping_both(&mesh)?;
        let netcheck = json(&mesh.laptop, &["netcheck", "--json"])?;
        ensure!(netcheck["udp"] == false, "{netcheck}");
        for (agent, peer) in [(&mesh.laptop, "desktop"), (&mesh.desktop, "laptop")] {
            wait_reason(agent, peer, "udp-blocked")?;
        }
        unfilter(&mesh.internet, 0)?;
        let back = wait_transport(&mesh.laptop, "quic")?;
        let direct = Instant::now();
        mesh.wait_direct(Duration::from_secs(30))?;

        println!("{how}: {rtt}; back on UDP after {back:?}, direct {:?} later", direct.elapsed());
    }
    Ok(())
}

#[test]
fn both_sides_without_udp_exchange_everything_over_the_web_port() -> Result<()> {
    let internet = figure_one("udp-blocked-twice")?;
    for site in [0, 1] {
        filter(&internet, site, "meta l4proto udp drop")?;
    }
    let mesh = Mesh::enrol(internet, &Options::default())?;

    for (from, to, peer) in [(&mesh.laptop, &mesh.desktop, "desktop"), (&mesh.desktop, &mesh.laptop, "laptop")] {
        wait_via(from, peer, "websocket-relay")?;
        let target = SocketAddr::new(to.status()?.addresses()?.0.into(), 5001);
        let took = transfer::tcp(&from.host().namespace, &to.host().namespace, target, 20_000_000)?;
        println!("20 MB to the {peer} in {took:?}");
    }
    println!("{}", ping_both(&mesh)?);
    Ok(())
}

#[test]
fn udp_that_is_cut_under_a_direct_path_is_replaced_in_seconds() -> Result<()> {
    let mesh = Mesh::direct("udp-cut-direct", &Options::default())?;

    survive_a_cut(&mesh)?;

    mesh.wait_direct(Duration::from_secs(30))
}

#[test]
fn udp_that_is_cut_under_a_relayed_path_is_replaced_in_seconds() -> Result<()> {
    let internet = figure_one("udp-cut-relay")?;
    internet.block_direct()?;
    let mesh = Mesh::enrol(internet, &Options::default())?;
    wait_via(&mesh.laptop, "desktop", "udp-relay")?;
    wait_via(&mesh.desktop, "laptop", "udp-relay")?;

    survive_a_cut(&mesh)
}

#[test]
fn a_relay_that_is_blocked_alone_is_reached_over_the_web_port_and_named() -> Result<()> {
    let internet = figure_one("relay-blocked")?;
    internet.block_direct()?;
    filter(&internet, 0, "udp dport 3480 drop")?;
    let mesh = Mesh::enrol(internet, &Options::default())?;

    wait_via(&mesh.laptop, "desktop", "websocket-relay")?;
    wait_via(&mesh.desktop, "laptop", "udp-relay")?;
    println!("{}", ping_both(&mesh)?);
    let status = json(&mesh.laptop, &["status", "--json"])?;
    ensure!(status["problem"]["code"] == "relay-blocked", "{status}");
    let netcheck = json(&mesh.laptop, &["netcheck", "--json"])?;
    ensure!(netcheck["udp"] == true, "{netcheck}");
    wait_reason(&mesh.laptop, "desktop", "no-answer")?;

    mesh.internet.unblock_direct()?;
    mesh.laptop.run(&["ping", "desktop", "--count", "1"])?;
    mesh.wait_direct(Duration::from_secs(90))
}

#[test]
fn a_device_whose_only_way_out_is_a_proxy_with_a_password_is_connected() -> Result<()> {
    let internet = figure_one("proxy")?;
    // nothing at all is forwarded for the laptop's network
    filter(&internet, 0, "iifname lan0 drop")?;
    let gateway = internet.sites[0].gateway.clone().context("the coffee shop has a gateway")?;
    proxy(gateway, "Basic YWRhOnNlc2FtZQ==");
    let server = Server::start(&internet)?;
    let options = Options::default().env("HTTPS_PROXY", "http://ada:sesame@192.168.1.1:3128");
    let laptop = Agent::start(&internet, "laptop", options)?;
    let desktop = Agent::start(&internet, "desktop", Options::default())?;

    laptop.up(&server.invite(&[])?)?;
    desktop.up(&server.invite(&[])?)?;

    let mesh = Mesh { laptop, desktop, server, internet };
    wait_via(&mesh.laptop, "desktop", "websocket-relay")?;
    println!("{}", ping_both(&mesh)?);
    Ok(())
}

/// Cuts UDP at the laptop's gateway under a stream each way, gives it back, and looks for how long nothing came through.
fn survive_a_cut(mesh: &Mesh) -> Result<()> {
    let [(laptop, _), (desktop, _)] = mesh.addresses()?;
    let (near, far) = (&mesh.laptop.host().namespace, &mesh.desktop.host().namespace);
    let streams = || -> Result<[Stream; 2]> {
        Ok([
            Stream::start(near, far, (desktop, 9000).into(), 100, 200)?,
            Stream::start(far, near, (laptop, 9000).into(), 100, 200)?,
        ])
    };

    let running = streams()?;
    thread::sleep(Duration::from_secs(2));
    filter(&mesh.internet, 0, "meta l4proto udp drop")?;
    let over = wait_transport(&mesh.laptop, "websocket")?;
    wait_via(&mesh.laptop, "desktop", "websocket-relay")?;
    thread::sleep(Duration::from_secs(3));
    let cut = running.map(Stream::finish).into_iter().collect::<Result<Vec<_>>>()?;
    let running = streams()?;
    unfilter(&mesh.internet, 0)?;
    let back = wait_transport(&mesh.laptop, "quic")?;
    thread::sleep(Duration::from_secs(3));
    let returned = running.map(Stream::finish).into_iter().collect::<Result<Vec<_>>>()?;

    println!("control over the web port after {over:?}, back after {back:?}");
    for (what, reports) in [("cut", &cut), ("returned", &returned)] {
        for report in reports {
            println!("{what}: {report:?}");
        }
    }
    ensure!(cut.iter().all(|report| report.longest_silence < Duration::from_secs(12)), "silent for too long");
    ensure!(returned.iter().all(|report| report.longest_silence < Duration::from_secs(1)), "the return was noticed");
    Ok(())
}

fn figure_one(title: &str) -> Result<Internet> {
    Internet::figure_one(title, NatKind::PortRestricted, NatKind::PortRestricted)
}

/// Has a site's gateway do this to what it forwards.
fn filter(internet: &Internet, site: usize, rule: &str) -> Result<()> {
    let gateway = internet.sites[site].gateway.as_ref().context("the site has a gateway")?;
    let rules = format!(
        "table inet blocker {{ chain c_forward {{ type filter hook forward priority filter - 10; policy accept;\n{rule}\n}}\n}}\n"
    );
    shell::run_with_input(gateway.command("nft").args(["-f", "-"]), &rules)?;
    Ok(())
}

fn unfilter(internet: &Internet, site: usize) -> Result<()> {
    let gateway = internet.sites[site].gateway.as_ref().context("the site has a gateway")?;
    shell::run(gateway.command("nft").args(["delete", "table", "inet", "blocker"]))?;
    Ok(())
}

fn transport(agent: &Agent) -> Result<String> {
    let server = agent.status()?.rendezvous.context("a rendezvous")?;
    server.transport.context("a transport")
}

/// Waits until the control connection goes this way; says how long that took.
fn wait_transport(agent: &Agent, transport: &str) -> Result<Duration> {
    let start = Instant::now();
    agent.wait_status(&format!("control by {transport}"), Duration::from_secs(60), |status| {
        status.rendezvous.as_ref().is_some_and(|server| server.transport.as_deref() == Some(transport))
    })?;
    Ok(start.elapsed())
}

fn wait_via(agent: &Agent, peer: &str, via: &str) -> Result<()> {
    agent.wait_status(&format!("a path by {via}"), Duration::from_secs(30), |status| {
        status.peer(peer).is_some_and(|peer| peer.path.via.as_deref() == Some(via))
    })?;
    Ok(())
}

/// Waits until the search for a direct path is over and this is why there is none.
fn wait_reason(agent: &Agent, peer: &str, code: &str) -> Result<()> {
    let mut last = Value::Null;
    let found = warren_lab::wait::until(&format!("the reason {code}"), Duration::from_secs(30), || {
        last = json(agent, &["path", peer, "--json"]).ok()?["reason"].clone();
        (last["code"] == code).then_some(())
    });
    found.with_context(|| format!("the last reason was {last}"))
}

fn json(agent: &Agent, words: &[&str]) -> Result<Value> {
    let text = agent.run(words)?.success()?;
    serde_json::from_str(&text).with_context(|| format!("read {text}"))
}

/// Pings each from the other; what ping says of the round-trip times.
fn ping_both(mesh: &Mesh) -> Result<String> {
    let [(laptop, _), (desktop, _)] = mesh.addresses()?;
    let mut told = Vec::new();
    for (agent, target) in [(&mesh.laptop, desktop), (&mesh.desktop, laptop)] {
        let words = ["-n", "-c", "20", "-i", "0.05", "-W", "2", &target.to_string()];
        let ping = Finished::run(agent.host().namespace.command("ping").args(words))?.success()?;
        told.push(ping.lines().last().unwrap_or_default().to_owned());
    }
    Ok(told.join("; "))
}

/// An HTTP proxy on the gateway that knows one user; it lives as long as the test.
fn proxy(gateway: Namespace, authorization: &'static str) {
    thread::spawn(move || {
        gateway.inside(|| {
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 3128)).expect("the port is free");
            for client in listener.incoming().flatten() {
                // one after the other until it is connected: what is opened must be opened on this thread
                if let Err(error) = admit(client, authorization) {
                    println!("the proxy refused: {error:#}");
                }
            }
        })
    });
}

fn admit(mut client: TcpStream, authorization: &str) -> Result<()> {
    let mut head = Vec::new();
    let mut reader = BufReader::new(client.try_clone()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    if !head.iter().any(|line| *line == format!("Proxy-Authorization: {authorization}")) {
        client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")?;
        anyhow::bail!("{head:?}");
    }
    let target = head[0].split(' ').nth(1).context("a target")?;
    let server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        thread::spawn(move || pass(from, to));
    }
    Ok(())
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 1 << 16];
    let _ = (from.set_nodelay(true), to.set_nodelay(true));
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
