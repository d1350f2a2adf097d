//! How the world reaches this server: what was said, else what the last `run` found out, else the host's own address.
//!
//! Behind a container's bridge our own address means nothing to anybody: there it is what an administrator's browser asked
//! for (`actions::learn_address`), and until then this host, for the person who sits at it.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use crate::config::{Config, TlsMode};
use crate::store::NetworkRow;

/// The host name or address.
pub fn host(config: &Config, stored: Option<&NetworkRow>) -> String {
    let stored = stored.and_then(|network| network.public_host.clone());
    config
        .public_addr
        .clone()
        .or(stored)
        .unwrap_or_else(|| if config.bridge.is_some() { THIS_HOST.to_owned() } else { own_address(config).to_string() })
}

/// Whether devices can do anything with that host.
pub fn is_known(host: &str) -> bool {
    host != THIS_HOST
}

/// "host:port" of the control plane, as invites carry it.
pub fn control_addr(config: &Config, stored: Option<&NetworkRow>) -> String {
    let before = stored.and_then(|network| network.control_addr.as_deref()).and_then(port_of);
    let said = config.quic_listen.map(|listen| listen.port()).filter(|port| *port != 0);
    let port = said.or(before).unwrap_or(HTTPS_PORT);
    with_port(&host(config, stored), port)
}

/// Base of the dashboard's links, without a slash at its end.
pub fn web_url(config: &Config, stored: Option<&NetworkRow>) -> String {
    if let Some(url) = &config.public_url {
        return url.clone();
    }
    let before = stored.and_then(|network| network.web_url.clone());
    if config.bridge.is_some()
        && config.public_addr.is_none()
        && let Some(before) = before
    {
        // the port we listen on is not the one that the host publishes
        return before;
    }
    match (before, config.web_listen, &config.public_addr) {
        (Some(before), None, None) => before,
        (before, listen, _) => {
            let before = before.as_deref().and_then(port_of);
            let port = match config.tls {
                // the proxy before us listens on the usual port
                TlsMode::Proxy => HTTPS_PORT,
                TlsMode::Auto | TlsMode::File | TlsMode::Internal => {
                    listen.map(|listen| listen.port()).filter(|port| *port != 0).or(before).unwrap_or(HTTPS_PORT)
                }
            };
            let host = with_port(&host(config, stored), port);
            format!("https://{}", host.strip_suffix(":443").unwrap_or(&host))
        }
    }
}

fn port_of(text: &str) -> Option<u16> {
    text.rsplit_once(':')?.1.parse().ok()
}

/// "host:port" of a host that may be an IPv6 address.
pub fn with_port(host: &str, port: u16) -> String {
    match host.parse() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        Ok(IpAddr::V4(_)) | Err(_) => format!("{host}:{port}"),
    }
}

/// The listener's address if it has one, else the address this host would send from. Connecting a UDP socket sends
/// nothing: it only asks the routing table.
fn own_address(config: &Config) -> IpAddr {
    let listen = config.quic_listen().ip();
    if !listen.is_unspecified() {
        return listen;
    }
    let routed = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(ANYWHERE)?;
        socket.local_addr()
    });
    routed.map_or_else(|_| Ipv4Addr::LOCALHOST.into(), |addr| addr.ip())
}

/// Right for a browser beside the server, wrong for everybody else.
const THIS_HOST: &str = "localhost";
const HTTPS_PORT: u16 = 443;
/// Documentation address (RFC 5737): routed like any other, owned by nobody.
const ANYWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn config(text: &str) -> Config {
        toml::from_str::<Settings>(text).unwrap().resolve().unwrap()
    }

    #[test]
    fn a_link_leaves_the_usual_port_out_and_brackets_ipv6() {
        for (text, url, control) in [
            ("public-addr = \"vpn.example.org\"", "https://vpn.example.org", "vpn.example.org:443"),
            ("public-addr = \"10.0.0.1\"\nweb-listen = \"0.0.0.0:8443\"", "https://10.0.0.1:8443", "10.0.0.1:443"),
            (
                "public-addr = \"2001:db8::1\"\nquic-listen = \"[::]:4433\"\nweb-listen = \"[::]:1443\"",
                "https://[2001:db8::1]:1443",
                "[2001:db8::1]:4433",
            ),
            ("public-addr = \"a.b\"\ntls = \"proxy\"\nweb-listen = \"127.0.0.1:8080\"", "https://a.b", "a.b:443"),
            ("public-addr = \"a.b\"\npublic-url = \"https://c.d/\"", "https://c.d", "a.b:443"),
        ] {
            let config = config(text);

            assert_eq!((web_url(&config, None).as_str(), control_addr(&config, None).as_str()), (url, control));
        }
    }
}
