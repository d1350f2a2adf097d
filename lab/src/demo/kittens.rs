//! The paper's own case (its Figures 7 and 8): a UDP message about kittens, from port 80 to the desktop's port 8080.
//!
//! One datagram is followed over three cables: the laptop's, the one between the two NATs, and the desktop's.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::agent::Agent;
use crate::capture::{Capture, Packet};
use crate::hex;
use crate::nat;
use crate::topology::Internet;
use crate::wait;

use super::story::Story;

pub(super) fn send(story: &Story, internet: &Internet, laptop: &Agent, desktop: &Agent) -> Result<()> {
    let records = internet.records();
    let [coffee_shop, home] = [0, 1].map(|site| internet.sites[site].gateway.as_ref());
    let (coffee_shop, home) = (coffee_shop.context("the coffee shop's NAT")?, home.context("the home's NAT")?);
    let (from, to) = (laptop.status()?.addresses()?.0, desktop.status()?.addresses()?.0);
    let sender =
        laptop.host().namespace.inside(|| UdpSocket::bind((from, 80)))?.context("open the laptop's port 80")?;
    let receiver =
        desktop.host().namespace.inside(|| UdpSocket::bind((to, 8080)))?.context("open the desktop's 8080")?;
    receiver.set_read_timeout(Some(Duration::from_secs(5)))?;

    let cables = [
        ("from the laptop to its NAT", Capture::start(coffee_shop, "lan0", &records.join("laptop.pcap"))?),
        ("between the two NATs", Capture::start(&internet.core, "isp0", &records.join("kittens.pcap"))?),
        ("from its NAT to the desktop", Capture::start(home, "lan0", &records.join("desktop.pcap"))?),
    ];
    story.say(&format!("The laptop sends the UDP message {MESSAGE:?} from {from}:80 to {to}:8080."));
    sender.send_to(MESSAGE.as_bytes(), (to, 8080)).context("send the message")?;
    let mut buffer = [0; 1500];
    let (length, source) = receiver.recv_from(&mut buffer).context("the message did not arrive")?;

    let seen = cables.map(|(place, capture)| find(&capture, place));
    let seen: Vec<_> = seen.into_iter().collect::<Result<_>>()?;
    let [(_, before), (_, middle), (_, behind)] = seen.as_slice() else { anyhow::bail!("three cables") };
    story.say("The ESP datagram that carried it, as captured between the NATs:");
    story.show(&describe(middle));
    story.say("The same datagram on the three cables; the NATs rewrote the outer addresses and touched nothing else:");
    for (place, packet) in &seen {
        story.show(&format!("  {place:<28} {:>21} -> {}", packet.source().to_string(), packet.destination()));
    }
    ensure!(before.payload() == middle.payload() && middle.payload() == behind.payload(), "the payload was changed");
    ensure!(before.source() != middle.source(), "the coffee shop's NAT did not rewrite the source");
    ensure!(middle.destination() != behind.destination(), "the home's NAT did not rewrite the destination");

    story.say("What the NATs remember of it (conntrack: as sent, and as answers will come):");
    for (name, gateway, peer) in [("coffee shop", coffee_shop, middle.destination()), ("home", home, middle.source())] {
        let lines = nat::mappings(gateway)?.into_iter().filter(|line| line.contains(&format!("={} ", peer.ip())));
        let lines: Vec<_> = lines.map(|line| format!("  {name}: {}", line.trim())).collect();
        ensure!(!lines.is_empty(), "the {name}'s NAT has no mapping");
        story.show(&lines.join("\n"));
    }

    let received = String::from_utf8_lossy(&buffer[..length]);
    ensure!(received == MESSAGE, "another message arrived: {received:?}");
    ensure!(!middle.ip.windows(MESSAGE.len()).any(|window| window == MESSAGE.as_bytes()), "the message was in clear");
    story.say(&format!(
        "The desktop's program received {received:?} from {source}. Nothing of it was in clear on the way."
    ));
    Ok(())
}

/// The datagram of the message: nothing else of the lab has that size and that direction.
fn find<'a>(capture: &Capture, place: &'a str) -> Result<(&'a str, Packet)> {
    let is_it = |packet: &Packet| packet.esp().is_some() && packet.payload().len() == SEALED_SIZE;
    let packet = wait::until(&format!("the datagram {place}"), Duration::from_secs(2), || {
        capture.packets().ok()?.into_iter().rfind(is_it)
    })?;
    Ok((place, packet))
}

/// All that can be read without the keys.
fn describe(packet: &Packet) -> String {
    let (spi, sequence) = packet.esp().unwrap_or_default();
    let esp = packet.payload();
    format!(
        "{}\n  IPv4   {} -> {}, TTL {}, {} bytes\n  UDP    port {} -> port {}\n  ESP    SPI 0x{spi:08x}, sequence number {sequence}\n  \
         then {} bytes of ciphertext (the UDP message, padding, next header) and 16 bytes of integrity check value\n  \
         overhead: {} bytes over the inner packet of {} bytes\n",
        hex::dump(&packet.ip).lines().map(|line| format!("  {line}\n")).collect::<String>(),
        packet.source().ip(),
        packet.destination().ip(),
        packet.ttl(),
        packet.ip.len(),
        packet.source().port(),
        packet.destination().port(),
        esp.len() - 8 - 16,
        packet.ip.len() - INNER_SIZE,
        INNER_SIZE,
    )
}

const MESSAGE: &str = "I like kittens";
/// What the laptop's kernel made of it: IPv4 and UDP headers and the message.
const INNER_SIZE: usize = 20 + 8 + MESSAGE.len();
/// SPI and sequence number 8, UDP header 8, the message, trailer 2 padded to 4, ICV 16.
const SEALED_SIZE: usize = 8 + (8 + MESSAGE.len() + 2).next_multiple_of(4) + 16;
