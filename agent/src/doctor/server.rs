//! The way to the rendezvous: its name, UDP to its STUN port, TLS to its web port, and how far our clocks are apart.
//!
//! Nothing here is believed for more than a hint: who the server is, QUIC proves to the daemon by the pinned key.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::ServerName;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use warren_proto::control::Invite;

use super::Finding;
use crate::control::believing_any_certificate;
use crate::stun::Stun;

/// Where to go.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    host: String,
    port: u16,
    is_tls: bool,
}

pub(super) async fn look(text: &str) -> Vec<Finding> {
    let Some(place) = Place::parse(text) else {
        let remedy = "Give a host name, an address, an https:// link or an invite.";
        return vec![Finding::fail("server", "that is no server", remedy)];
    };
    let addresses = match timeout(PATIENCE, lookup_host((place.host.as_str(), place.port))).await {
        Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    let Some(first) = addresses.first().copied() else {
        return vec![Finding::fail(
            "dns",
            format!("the name {} has no address here", place.host),
            "Look at /etc/resolv.conf, or give the server a name that this network resolves.",
        )];
    };
    let dns = Finding::ok("dns", format!("{} is {}", place.host, first.ip()));
    let (udp, web) = tokio::join!(udp(first), web(&place, first));
    [vec![dns, udp], web].concat()
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(invite) = text.trim().parse::<Invite>() {
            return Self::parse(&invite.web);
        }
        let (is_tls, rest) = match text.trim().split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) => return None,
            None => (true, text.trim()),
        };
        let place = rest.split(['/', '?', '#']).next().filter(|place| !place.is_empty())?;
        let usual = if is_tls { 443 } else { 80 };
        if let Ok(addr) = place.parse::<SocketAddr>() {
            return Some(Self { host: addr.ip().to_string(), port: addr.port(), is_tls });
        }
        let bare = place.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<std::net::IpAddr>().is_ok() {
            return Some(Self { host: bare.to_owned(), port: usual, is_tls });
        }
        let (host, port) = match place.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (place, usual),
        };
        Some(Self { host: host.to_owned(), port, is_tls })
    }
}

async fn udp(server: SocketAddr) -> Finding {
    let stun = SocketAddr::new(server.ip(), STUN_PORT);
    match timeout(PATIENCE, ask_stun(stun)).await {
        Ok(Ok(seen)) => Finding::ok("udp", format!("UDP gets there and back in {} ms", seen.as_millis())),
        Ok(Err(_)) | Err(_) => Finding::warn(
            "udp",
            format!("no answer from UDP port {STUN_PORT} of the server"),
            "Open UDP 443, 3478, 3479 and 3480 on the server's firewall, and outgoing UDP here; without, all goes by TCP.",
        ),
    }
}

async fn ask_stun(server: SocketAddr) -> io::Result<Duration> {
    let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(server).await?;
    let mut id = [0; 12];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    let mut stun = Stun::default();
    stun.ask(server, None, id, Instant::now());
    let mut buffer = [0; 1280];
    loop {
        let Some(due) = stun.poll_timeout() else { return Err(io::ErrorKind::TimedOut.into()) };
        while let Some((_, _, datagram)) = stun.poll_transmit(Instant::now()) {
            socket.send(&datagram).await?;
        }
        let wait = due.saturating_duration_since(Instant::now()).max(SHORTEST_WAIT);
        // an error is an ICMP answer; another request may still come through
        if let Ok(Ok(length)) = timeout(wait, socket.recv(&mut buffer)).await
            && let Some(answer) = stun.handle_datagram(server, &buffer[..length], Instant::now())
        {
            return Ok(answer.rtt);
        }
    }
}

async fn web(place: &Place, server: SocketAddr) -> Vec<Finding> {
    let head = match timeout(PATIENCE, ask_web(place, server)).await {
        Ok(Ok(head)) => head,
        Ok(Err(error)) => return vec![no_web(place, &error.to_string())],
        Err(_) => return vec![no_web(place, "no answer in time")],
    };
    let reached =
        Finding::ok("web", format!("TCP port {} answers{}", place.port, if place.is_tls { " by TLS" } else { "" }));
    vec![reached, clock(&head, OffsetDateTime::from(SystemTime::now()))]
}

fn no_web(place: &Place, why: &str) -> Finding {
    Finding::warn(
        "web",
        format!("TCP port {} of the server cannot be used: {why}", place.port),
        "Open it on the server's firewall: networks without UDP have no other way, and the dashboard is there.",
    )
}

async fn ask_web(place: &Place, server: SocketAddr) -> io::Result<String> {
    let stream = TcpStream::connect(server).await?;
    if !place.is_tls {
        return request(&place.host, stream).await;
    }
    let name = ServerName::try_from(place.host.clone()).map_err(io::Error::other)?;
    let tls = TlsConnector::from(Arc::new(believing_any_certificate()));
    request(&place.host, tls.connect(name, stream).await?).await
}

async fn request(host: &str, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<String> {
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // what has arrived when the other side ends TLS without a word is enough
    let _ = stream.take(MAX_ANSWER).read_to_end(&mut answer).await;
    if answer.is_empty() {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Certificates have a beginning and an end: a clock that is hours off sees neither where it is.
fn clock(answer: &str, now: OffsetDateTime) -> Finding {
    let dates = answer.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    let mut dates = dates.filter(|(name, _)| name.eq_ignore_ascii_case("date"));
    let said = dates.next().and_then(|(_, date)| OffsetDateTime::parse(date.trim(), &Rfc2822).ok());
    let Some(said) = said else {
        return Finding::warn(
            "clock",
            "the server does not say what time it is",
            "Compare this device's clock by hand.",
        );
    };
    let apart = (now - said).whole_seconds();
    if apart.abs() <= CLOSE_ENOUGH {
        return Finding::ok("clock", format!("this clock and the server's are {} s apart", apart.abs()));
    }
    let direction = if apart > 0 { "ahead of" } else { "behind" };
    Finding::warn(
        "clock",
        format!("this clock is {} s {direction} the server's", apart.abs()),
        "Set it: `timedatectl set-ntp true`. Certificates are refused by a clock that is far off.",
    )
}

/// For each question; they are asked side by side.
const PATIENCE: Duration = Duration::from_secs(5);
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
const STUN_PORT: u16 = 3478;
/// An answer of `/healthz` has a few hundred bytes.
const MAX_ANSWER: u64 = 16 * 1024;
/// A minute harms nothing; two are the sign of a clock that nobody sets.
const CLOSE_ENOUGH: i64 = 60;

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_server_is_named_in_many_ways() {
        let place = |host: &str, port, is_tls| Some(Place { host: host.to_owned(), port, is_tls });
        for (text, expected) in [
            ("vpn.example.org", place("vpn.example.org", 443, true)),
            ("https://vpn.example.org:8443/setup", place("vpn.example.org", 8443, true)),
            ("http://vpn.example.org", place("vpn.example.org", 80, false)),
            ("192.0.2.1:444", place("192.0.2.1", 444, true)),
            ("https://[2001:db8::1]:444", place("2001:db8::1", 444, true)),
            ("2001:db8::1", place("2001:db8::1", 443, true)),
            ("ftp://x", None),
            ("", None),
        ] {
            assert_eq!(Place::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_which_way() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\n\r\nok\n";
        let said = datetime!(2026-01-02 03:04:05 UTC);

        assert_eq!(clock(answer, said + Duration::from_secs(5)).verdict, Verdict::Ok);
        assert!(clock(answer, said + Duration::from_secs(7200)).text.contains("7200 s ahead of"));
        assert!(clock(answer, said - Duration::from_secs(90)).text.contains("90 s behind"));
        assert_eq!(clock("HTTP/1.1 200 OK\r\n\r\nDate: x", said).verdict, Verdict::Warn);
    }
}
