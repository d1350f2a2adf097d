//! OpenVPN between two hosts over UDP: TLS with a certificate for each, known to the other by its fingerprint.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Tunnel;
use crate::bench::pair::Pair;
use crate::host::Daemon;
use crate::shell;

pub(super) fn start(pair: &Pair, program: &Path) -> Result<Tunnel> {
    let directory = pair.directory();
    let fingerprints = [certify(&directory, "sender")?, certify(&directory, "receiver")?];
    let mut daemons = Vec::new();
    for (index, host) in pair.hosts().into_iter().enumerate() {
        let peer = pair.hosts()[1 - index];
        let file = directory.join(format!("{}.conf", host.label));
        let role = ["tls-client", "tls-server"][index];
        let text = format!(
            "dev tun\nproto udp\nport {PORT}\nremote {} {PORT}\nifconfig {} {}\n{role}\ndh none\n\
             cert {name}.crt\nkey {name}.key\npeer-fingerprint {}\ncipher AES-256-GCM\ndata-ciphers AES-256-GCM\n\
             disable-dco\nverb 1\nping 10\n",
            peer.address,
            ADDRESSES[index],
            ADDRESSES[1 - index],
            fingerprints[1 - index],
            name = host.label,
        );
        fs::write(&file, text).context("write its configuration")?;
        let mut command = host.namespace.command(program);
        command.arg("--config").arg(&file).current_dir(&directory);
        let log = pair.records().join(format!("openvpn-{}.log", host.label));
        daemons.push(Daemon::start(&mut command, &log)?);
    }
    for daemon in &mut daemons {
        daemon.wait_for("Initialization Sequence Completed", START_LIMIT)?;
    }
    Ok(Tunnel::of_daemons(ADDRESSES, daemons))
}

/// Makes a key and a certificate that signs itself; its SHA-256 fingerprint.
fn certify(directory: &Path, name: &str) -> Result<String> {
    let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
    let words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-batch"];
    let output = ["-subj", &format!("/CN={name}"), "-days", "2", "-keyout", &key, "-out", &certificate];
    shell::run(Command::new("openssl").args(words).args(output).current_dir(directory))
        .context("make a certificate")?;
    let words = ["x509", "-in", &certificate, "-noout", "-fingerprint", "-sha256"];
    let text = shell::run(Command::new("openssl").args(words).current_dir(directory)).context("read a certificate")?;
    let fingerprint = text.trim().split_once('=').context("find the fingerprint")?.1;
    Ok(fingerprint.to_owned())
}

const PORT: u16 = 1194;
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 47, 0, 1), Ipv4Addr::new(10, 47, 0, 2)];
const START_LIMIT: Duration = Duration::from_secs(15);
