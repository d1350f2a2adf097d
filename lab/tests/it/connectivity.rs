//! Ordinary IP traffic between two hosts behind two NATs: every protocol, both families, all sizes, both directions.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::agent::{Agent, Options};
use warren_lab::host::Finished;
use warren_lab::mesh::Mesh;
use warren_lab::nat::NatKind;
use warren_lab::stream::Stream;
use warren_lab::topology::{Internet, Place, RENDEZVOUS_SECOND};
use warren_lab::{server::Server, transfer};

#[test]
fn icmp_udp_and_tcp_arrive_intact_in_both_families_and_directions() -> Result<()> {
    let mesh = Mesh::direct("connectivity", &Options::default())?;

    for (from, to) in [(&mesh.laptop, &mesh.desktop), (&mesh.desktop, &mesh.laptop)] {
        let (v4, v6) = to.status()?.addresses()?;
        for address in [IpAddr::from(v4), IpAddr::from(v6)] {
            for size in [0, 56, 1000, 1392, 3000] {
                ping(from, address, size)?;
            }
            for size in [0, 1, 36, 512, 1200, 1392, 1400, 3000, 8000] {
                echo(from, to, address, size)?;
            }
            transfer::tcp(&from.host().namespace, &to.host().namespace, SocketAddr::new(address, 5001), 2_000_000)
                .with_context(|| format!("TCP to {address}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_hundred_megabytes_over_tcp_arrive_as_sent_each_way() -> Result<()> {
    let mesh = Mesh::direct("transfer", &Options::default())?;

    for (from, to) in [(&mesh.laptop, &mesh.desktop), (&mesh.desktop, &mesh.laptop)] {
        let target = SocketAddr::new(to.status()?.addresses()?.0.into(), 5001);
        let took = transfer::tcp(&from.host().namespace, &to.host().namespace, target, 100_000_000)?;
        println!("100 MB to the {} in {took:?}", to.host().label);
    }
    Ok(())
}

/// The kernel answers from the first, unless it is told otherwise.
#[test]
fn a_server_known_by_its_second_address_gives_agents_their_mapping_and_a_relay() -> Result<()> {
    let internet = Internet::figure_one("second-address", NatKind::PortRestricted, NatKind::PortRestricted)?;
    let server = Server::start_at(&internet, RENDEZVOUS_SECOND)?;
    let start = |label: &str| -> Result<Agent> {
        let agent = Agent::start(&internet, label, Options::default())?;
        agent.up(&server.invite(&[])?)?;
        Ok(agent)
    };
    let (laptop, desktop) = (start("laptop")?, start("desktop")?);
    let limit = Duration::from_secs(20);

    // behind these NATs nobody is reached at an address of its own
    laptop.wait_direct("desktop", limit)?;
    desktop.wait_direct("laptop", limit)?;

    internet.block_direct()?;
    let address = desktop.status()?.addresses()?.0;
    let flow = Stream::start(&laptop.host().namespace, &desktop.host().namespace, (address, 5002).into(), 100, 200)?;
    laptop.wait_status("a relayed path", limit, |status| {
        status.peer("desktop").is_some_and(|peer| peer.path.kind == "relay")
    })?;
    flow.finish()?;
    echo(&laptop, &desktop, address.into(), 1000).context("by the relay")
}

#[test]
fn every_suite_carries_traffic() -> Result<()> {
    for suite in ["aes256gcm", "chacha20poly1305-iiv"] {
        let mesh = Mesh::direct(&format!("suite-{suite}"), &Options::suite(suite))?;

        let session = mesh.laptop.status()?.peer("desktop").and_then(|peer| peer.session.clone());
        ensure!(session.as_ref().is_some_and(|session| session.suite == suite), "{session:?}");
        let [_, (v4, v6)] = mesh.addresses()?;
        for address in [IpAddr::from(v4), IpAddr::from(v6)] {
            echo(&mesh.laptop, &mesh.desktop, address, 1000)?;
        }
    }
    Ok(())
}

#[test]
fn warren_ping_answers_over_the_direct_path() -> Result<()> {
    let mesh = Mesh::direct("warren-ping", &Options::default())?;

    let output = mesh.laptop.run(&["ping", "desktop", "-c", "2", "--until-direct", "--timeout", "10s", "--json"])?;

    let line = output.clone().success()?;
    let reply: serde_json::Value = serde_json::from_str(line.lines().last().context("a reply")?)?;
    ensure!(reply["schema"] == 1 && reply["path"]["kind"] == "direct", "{output:?}");
    Ok(())
}

#[test]
fn full_cone_and_no_nat_are_direct_too() -> Result<()> {
    for (coffee_shop, home) in [(NatKind::FullCone, NatKind::PortRestricted), (NatKind::None, NatKind::PortRestricted)]
    {
        let internet = Internet::figure_one("direct-kinds", coffee_shop, home)?;
        let mesh = Mesh::enrol(internet, &Options::default())?;

        mesh.wait_direct(Duration::from_secs(20)).with_context(|| format!("{coffee_shop:?} x {home:?}"))?;
        echo(&mesh.laptop, &mesh.desktop, mesh.addresses()?[1].0.into(), 1000)?;
    }
    Ok(())
}

#[test]
fn two_hosts_behind_one_nat_talk_over_their_own_network() -> Result<()> {
    let internet = Internet::build("one-nat", &[Place { nat: NatKind::PortRestricted, hosts: &["laptop", "tablet"] }])?;
    let server = Server::start(&internet)?;
    let laptop = Agent::start(&internet, "laptop", Options::default())?;
    let tablet = Agent::start(&internet, "tablet", Options::default())?;
    laptop.up(&server.invite(&[])?)?;
    tablet.up(&server.invite(&[])?)?;

    let status = laptop.wait_direct("tablet", Duration::from_secs(20))?;

    let path = status.peer("tablet").context("the tablet is a peer")?.path.clone();
    ensure!(path.via.as_deref() == Some("lan"), "{path:?}");
    ensure!(path.remote.as_deref().is_some_and(|remote| remote.starts_with("192.168.1.")), "{path:?}");
    echo(&laptop, &tablet, tablet.status()?.addresses()?.0.into(), 1000)
}

fn ping(from: &Agent, to: IpAddr, size: u32) -> Result<()> {
    let size = size.to_string();
    let words = ["-n", "-c", "3", "-i", "0.05", "-W", "2", "-s", &size, &to.to_string()];
    let finished = Finished::run(from.host().namespace.command("ping").args(words))?;
    finished.success().with_context(|| format!("ping -s {size} {to} from the {}", from.host().label))?;
    Ok(())
}

/// A datagram there and back, byte for byte.
fn echo(from: &Agent, to: &Agent, address: IpAddr, size: usize) -> Result<()> {
    let place = || format!("{size} bytes of UDP from the {} to {address}", from.host().label);
    let any = SocketAddr::new(if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() }, 0);
    let near = from.host().namespace.inside(|| UdpSocket::bind(any))??;
    let far = to.host().namespace.inside(|| UdpSocket::bind((address, 7)))??;
    for socket in [&near, &far] {
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    }
    let sent: Vec<u8> = (0..size).map(|index| (index * 7 % 251) as u8).collect();
    let mut buffer = vec![0; 65_536];

    near.send_to(&sent, (address, 7)).with_context(place)?;
    let (length, source) = far.recv_from(&mut buffer).with_context(place)?;
    ensure!(buffer[..length] == sent, "{} arrived changed", place());
    far.send_to(&buffer[..length], source).with_context(place)?;
    let (length, _) = near.recv_from(&mut buffer).with_context(place)?;
    ensure!(buffer[..length] == sent, "{} came back changed", place());
    Ok(())
}
