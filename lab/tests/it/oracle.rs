//! The wire is standard ESP: programs that know nothing of Warren verify and open what was captured between the NATs.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use warren_lab::agent::{Agent, Options};
use warren_lab::capture::{Capture, Packet};
use warren_lab::host::Finished;
use warren_lab::mesh::Mesh;
use warren_lab::{capture, link, transfer, wait};

#[test]
fn tshark_verifies_the_integrity_of_every_packet() -> Result<()> {
    let recording = Recording::make("oracle-tshark", "aes256gcm")?;
    let ours: BTreeSet<_> = recording.esp().map(|packet| packet.esp()).collect();

    let rows = recording.tshark()?;

    let verified: BTreeSet<_> = rows.iter().filter(|row| row.good).map(|row| Some((row.spi, row.sequence))).collect();
    ensure!(verified == ours, "{} of {} packets verified", verified.len(), ours.len());
    let protocols: BTreeSet<_> = rows.iter().filter_map(|row| row.protocol).collect();
    ensure!(protocols.is_superset(&BTreeSet::from([1, 4, 6, 17, 58])), "it read the protocols {protocols:?}");
    Ok(())
}

#[test]
fn scapy_opens_every_packet_of_both_suites() -> Result<()> {
    for suite in ["aes256gcm", "aes256gcm-iiv"] {
        let recording = Recording::make(&format!("oracle-scapy-{suite}"), suite)?;

        let opened = recording.scapy(suite)?;

        ensure!(opened.len() == recording.esp().count(), "Scapy saw {} packets", opened.len());
        let wrong = opened.iter().find(|packet| !packet["error"].is_null() || packet["checksum"] == false);
        ensure!(wrong.is_none(), "{suite}: {wrong:?}");
        let kittens = hex(MESSAGE);
        let has_kittens = |packet: &&Value| packet["bytes"].as_str().is_some_and(|bytes| bytes.contains(&kittens));
        // Over IPv4 and IPv6, in transport form (17) and whole (4): the sender's TTL was not the canonical one.
        let protocols: BTreeSet<_> =
            opened.iter().filter(has_kittens).filter_map(|packet| packet["protocol"].as_u64()).collect();
        ensure!(protocols.is_superset(&BTreeSet::from([4, 17])), "{suite}: the message went as {protocols:?}");
    }
    Ok(())
}

#[test]
fn nothing_of_the_inner_packets_is_in_clear() -> Result<()> {
    let recording = Recording::make("oracle-clear", "aes256gcm-iiv")?;
    let addresses = recording.overlay.iter().flat_map(|(v4, v6)| {
        [IpAddr::from(*v4), IpAddr::from(*v6)].map(|address| match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        })
    });
    let secrets: Vec<_> = addresses.chain([MESSAGE.to_vec(), MESSAGE[2..10].to_vec()]).collect();

    for packet in &recording.packets {
        for secret in &secrets {
            // Four bytes can turn up in ciphertext by chance: for an address, look where one would stand in the clear.
            let place = packet.payload();
            let place = if secret.len() == 4 { &place[..place.len().min(48)] } else { place };
            let found = place.windows(secret.len()).any(|window| window == secret);
            ensure!(!found, "{secret:02x?} in {packet:?}");
        }
    }
    Ok(())
}

#[test]
fn a_packet_grows_by_34_to_37_bytes() -> Result<()> {
    let mesh = Mesh::direct("oracle-overhead", &Options::default())?;
    link::send_singly(&mesh.internet)?;
    let [_, (desktop, _)] = mesh.addresses()?;
    let socket = mesh.laptop.host().namespace.inside(|| UdpSocket::bind("0.0.0.0:0"))??;
    let home = mesh.internet.sites[1].public;

    for size in [64, 65, 66, 67, 500, 1200, 1300] {
        let file = mesh.internet.records().join(format!("{size}.pcap"));
        let capture = Capture::start(&mesh.internet.core, "isp0", &file)?;
        // More of them than of anything else that may pass meanwhile.
        for _ in 0..20 {
            socket.send_to(&vec![7; size], (desktop, 9))?;
        }
        let inner = 28 + size;
        let grown = wait::until("twenty packets of one size", Duration::from_secs(5), || {
            let lengths = capture.packets().ok()?.into_iter();
            let lengths: Vec<_> =
                lengths.filter(|packet| *packet.destination().ip() == home).map(|packet| packet.ip.len()).collect();
            let common = lengths.iter().find(|length| lengths.iter().filter(|other| other == length).count() >= 20)?;
            common.checked_sub(inner)
        })?;
        ensure!((34..=37).contains(&grown), "a packet of {inner} bytes grew by {grown}");
    }
    Ok(())
}

/// What passed between the NATs while both ends talked in every way, and the keys to it.
struct Recording {
    packets: Vec<Packet>,
    file: PathBuf,
    keys: PathBuf,
    overlay: [(std::net::Ipv4Addr, std::net::Ipv6Addr); 2],
    public: [std::net::Ipv4Addr; 2],
}

struct Row {
    spi: u32,
    sequence: u32,
    good: bool,
    /// Nothing for a dummy packet.
    protocol: Option<u8>,
}

impl Recording {
    fn make(title: &str, suite: &str) -> Result<Self> {
        let mesh = Mesh::direct(title, &Options::suite(suite))?;
        // a capture shows what a wire would carry
        link::send_singly(&mesh.internet)?;
        let overlay = mesh.addresses()?;
        let file = mesh.internet.records().join("between-the-nats.pcap");
        let running = Capture::start(&mesh.internet.core, "isp0", &file)?;

        for address in [IpAddr::from(overlay[1].0), IpAddr::from(overlay[1].1)] {
            talk(&mesh.laptop, &mesh.desktop, address)?;
        }
        std::thread::sleep(Duration::from_millis(200));
        running.stop()?;

        let keys = mesh.internet.records().join("sa-keys");
        let logged = [&mesh.laptop, &mesh.desktop].map(|agent| fs::read_to_string(agent.keylog()));
        let lines: BTreeSet<_> = logged.iter().flatten().flat_map(|text| text.lines()).collect();
        fs::write(&keys, lines.into_iter().map(|line| format!("{line}\n")).collect::<String>())?;
        let public = [0, 1].map(|site| mesh.internet.sites[site].public);
        Ok(Self { packets: capture::read(&file)?, file, keys, overlay, public })
    }

    /// The ESP datagrams, also those that tried an address of the other site's own network.
    fn esp(&self) -> impl Iterator<Item = &Packet> {
        let ours = |packet: &&Packet| self.public.contains(packet.source().ip());
        self.packets.iter().filter(ours).filter(|packet| packet.esp().is_some())
    }

    fn tshark(&self) -> Result<Vec<Row>> {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&self.file).args(["-o", "esp.enable_encryption_decode:TRUE"]);
        command.args(["-o", "esp.enable_authentication_check:TRUE"]);
        for line in fs::read_to_string(&self.keys)?.lines().filter(|line| !line.starts_with('#')) {
            command.args(["-o", &format!("uat:esp_sa:{line}")]);
        }
        for port in self.esp().map(|packet| packet.destination().port()).collect::<BTreeSet<_>>() {
            command.args(["-d", &format!("udp.port=={port},udpencap")]);
        }
        for field in ["esp.spi", "esp.sequence", "esp.icv_good", "esp.protocol"] {
            command.args(["-e", field]);
        }
        let output = Finished::run(command.args(["-T", "fields"]))?.success()?;
        Ok(output.lines().filter_map(Row::parse).collect())
    }

    fn scapy(&self, suite: &str) -> Result<Vec<Value>> {
        let python = std::env::var("WARREN_LAB_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/open_esp.py");
        let mut command = Command::new(python);
        command.arg(script).arg(&self.file).arg(&self.keys).arg(suite);
        for (outer, (v4, v6)) in self.public.iter().zip(self.overlay) {
            command.arg(format!("{outer}={v4},{v6}"));
        }
        let output = Finished::run(&mut command)?.success().context("run Scapy (`cargo xtask setup` installs it)")?;
        output.lines().map(|line| serde_json::from_str(line).context("read what Scapy says")).collect()
    }
}

impl Row {
    /// One line of `-T fields`; lines of datagrams that are not our ESP (handshakes, for one) are left out.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let spi = u32::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok().filter(|spi| spi >> 30 == 0b10)?;
        let sequence = fields.next()?.parse().ok()?;
        let good = matches!(fields.next()?, "1" | "True");
        let protocol = fields.next().and_then(|field| u8::from_str_radix(field.strip_prefix("0x")?, 16).ok());
        Some(Self { spi, sequence, good, protocol })
    }
}

/// ICMP, UDP in both forms and TCP to that address.
fn talk(from: &Agent, to: &Agent, address: IpAddr) -> Result<()> {
    let host = &from.host().namespace;
    Finished::run(host.command("ping").args(["-n", "-c", "2", "-i", "0.05", "-s", "100", &address.to_string()]))?
        .success()?;
    let any = SocketAddr::new(if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() }, 0);
    let sender = host.inside(|| UdpSocket::bind(any))??;
    let receiver = to.host().namespace.inside(|| UdpSocket::bind((address, 8080)))??;
    receiver.set_read_timeout(Some(Duration::from_secs(2)))?;
    for ttl in [64, 63] {
        if address.is_ipv4() {
            sender.set_ttl(ttl)?;
        }
        sender.send_to(MESSAGE, (address, 8080))?;
        receiver.recv(&mut [0; 64]).context("the message did not arrive")?;
    }
    transfer::tcp(host, &to.host().namespace, SocketAddr::new(address, 5001), 20_000)?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const MESSAGE: &[u8] = b"I like kittens";
