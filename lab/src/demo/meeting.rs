//! The two devices meet: the first packet goes by the relay at once, and the pair moves to a direct path.
//!
//! A stream of small packets runs all the while, as a user's would; what becomes of it and what passes the cables is
//! all that is told.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::agent::Agent;
use crate::capture::{Capture, Packet};
use crate::stream::Stream;
use crate::topology::Internet;
use crate::wait;

use super::story::{Story, ms};

/// Lets the second device join, and tells how the first packets fare.
pub(super) fn watch(
    story: &Story,
    internet: &Internet,
    laptop: &Agent,
    desktop: &Agent,
    join: impl FnOnce() -> Result<()> + Send,
) -> Result<()> {
    let relay = Capture::start(&internet.core, "srv0", &internet.records().join("relay.pcap"))?;
    let between = Capture::start(&internet.core, "isp0", &internet.records().join("between-the-nats.pcap"))?;

    // The laptop starts to send the moment it hears of the desktop, while the desktop is still joining.
    let (known, stream) = std::thread::scope(|scope| {
        let joining = scope.spawn(join);
        let address = first_heard(laptop)?;
        let known = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let to = SocketAddr::new(address.into(), PORT);
        let stream = Stream::start(&laptop.host().namespace, &desktop.host().namespace, to, RATE, SIZE)?;
        joining.join().map_err(|_| anyhow::anyhow!("the enrolment panicked"))??;
        anyhow::Ok((known, stream))
    })?;
    story.say("The laptop has heard of the desktop and sends it packets at once.");

    let [coffee_shop, home] = [0, 1].map(|site| internet.sites[site].public);
    laptop.wait_direct("desktop", DIRECT_LIMIT)?;
    desktop.wait_direct("laptop", DIRECT_LIMIT)?;
    let report = stream.finish()?;

    let relayed =
        relay.stop()?.into_iter().find(|packet| *packet.source().ip() == coffee_shop && is_relayed_data(packet));
    let is_data = |packet: &Packet| packet.esp().is_some() && packet.payload().len() == SEALED_SIZE;
    let direct = between.stop()?.into_iter().find(|packet| *packet.destination().ip() == home && is_data(packet));
    let direct = direct.context("no packet went straight from NAT to NAT")?;
    match relayed.filter(|relayed| relayed.at < direct.at) {
        Some(relayed) => story.say(&format!(
            "First packet: by the relay, {} after the laptop knew where to send it.",
            after(relayed.at, known)
        )),
        // on a busy machine the first packet may be later than the punching
        None => story.say("The direct path was there before the first packet: the relay was not needed."),
    }
    story.say(&format!("Direct after {}: {} to {}.", after(direct.at, known), direct.source(), direct.destination()));
    story.say(&format!(
        "Of {} packets sent meanwhile {} were lost; the longest wait for one was {}.",
        report.sent,
        report.lost,
        ms(report.longest_silence)
    ));
    ensure!(report.lost == 0, "packets were lost on the way from the relay to the direct path");
    Ok(())
}

/// The desktop's address, as soon as the laptop's map has it.
fn first_heard(laptop: &Agent) -> Result<std::net::Ipv4Addr> {
    let address = wait::until("the laptop to hear of the desktop", HEARD_LIMIT, || {
        let status = laptop.status().ok()?;
        status.peer("desktop")?.addresses.first().cloned()
    })?;
    address.parse().context("read the desktop's address")
}

/// A sealed packet of the stream inside a relay frame (eight bytes, then the datagram).
fn is_relayed_data(packet: &Packet) -> bool {
    let datagram = packet.payload().get(8..).unwrap_or_default();
    packet.destination().port() == RELAY_PORT && datagram.len() == SEALED_SIZE && datagram[0] >> 6 == 0b10
}

fn after(at: Duration, start: Duration) -> String {
    ms(at.saturating_sub(start))
}

const RELAY_PORT: u16 = 3480;
/// Discard (RFC 863), for want of a better name for what nobody reads.
const PORT: u16 = 9;
/// A lively conversation.
const RATE: u32 = 200;
/// A size that no probe has, so that the packets can be told on the wire.
const SIZE: usize = 100;
/// SPI and sequence number 8, UDP header 8, the datagram, trailer 2 padded to 4, ICV 16.
const SEALED_SIZE: usize = 8 + (8 + SIZE + 2).next_multiple_of(4) + 16;
const HEARD_LIMIT: Duration = Duration::from_secs(30);
const DIRECT_LIMIT: Duration = Duration::from_secs(20);
