//! What a server can find out about its own situation when it starts: does its clock make sense, and do its ports answer
//! at the address that it gives to the world. Says so in words; changes nothing.
//!
//! It asks from where it is. A router that does not lead its own network to its public address (no hairpin) looks like a
//! closed port from here, and the words say that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use warren_proto::keys::UnixTime;

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Whether there is nothing to do.
    pub is_fine: bool,
    /// What was found, for a person.
    pub text: String,
}

/// The sockets to ask for, by their ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    /// Dashboard.
    pub web: u16,
    /// Control plane.
    pub quic: u16,
    /// STUN.
    pub stun: [u16; 2],
}

/// Asks our own ports at this host.
pub async fn ports(host: &str, addresses: &[IpAddr], ports: Ports) -> Vec<Finding> {
    let Some(ip) = addresses.first().copied() else {
        return vec![odd(format!(
            "the name {host} leads to no address: agents that have it will not find this server"
        ))];
    };
    let udp = |port, question| ask(SocketAddr::new(ip, port), question);
    let (web, quic, first, second) = tokio::join!(
        connect(SocketAddr::new(ip, ports.web)),
        udp(ports.quic, Question::Quic),
        udp(ports.stun[0], Question::Stun),
        udp(ports.stun[1], Question::Stun),
    );
    let all = [
        (format!("TCP {}", ports.web), web),
        (format!("UDP {}", ports.quic), quic),
        (format!("UDP {}", ports.stun[0]), first),
        (format!("UDP {}", ports.stun[1]), second),
    ];
    let closed: Vec<_> = all.iter().filter(|(_, answers)| !answers).map(|(port, _)| port.as_str()).collect();
    if closed.is_empty() {
        let open: Vec<_> = all.iter().map(|(port, _)| port.as_str()).collect();
        return vec![fine(format!("{} answer at {host}", open.join(", ")))];
    }
    vec![odd(format!(
        "no answer at {host} ({ip}) from {}: are these ports open in the firewall and forwarded by the router? Some \
         routers do not lead their own network to their public address; then it only looks so from here",
        closed.join(", ")
    ))]
}

/// Whether the clock is behind what has been written already, or was never set.
pub fn clock(now: UnixTime, newest_record: Option<UnixTime>) -> Finding {
    let ahead = newest_record.map_or(Duration::ZERO, |newest| newest.since_epoch().saturating_sub(now.since_epoch()));
    if now.since_epoch() < BUILT_AFTER {
        return odd("the clock of this machine is not set: no device will believe the certificates made now".to_owned());
    }
    if ahead > TOLERATED {
        let ahead = humantime::format_duration(Duration::from_secs(ahead.as_secs()));
        return odd(format!("the clock is {ahead} behind the newest record of the database; was it set back?"));
    }
    fine("the clock agrees with the database".to_owned())
}

fn fine(text: String) -> Finding {
    Finding { is_fine: true, text }
}

fn odd(text: String) -> Finding {
    Finding { is_fine: false, text }
}

async fn connect(addr: SocketAddr) -> bool {
    matches!(timeout(PATIENCE, TcpStream::connect(addr)).await, Ok(Ok(_)))
}

#[derive(Clone, Copy)]
enum Question {
    Quic,
    Stun,
}

impl Question {
    fn datagram(self) -> Vec<u8> {
        match self {
            // a version that is reserved so that a server must answer with those it has (RFC 9000 sections 6.1 and 15),
            // between connection ids of eight bytes, padded as every first datagram is
            Self::Quic => {
                let mut datagram = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8];
                datagram.extend([b'w'; 8]);
                datagram.push(8);
                datagram.extend([b'r'; 8]);
                datagram.resize(1200, 0);
                datagram
            }
            // a Binding request (RFC 8489 section 5)
            Self::Stun => [&[0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42][..], b"self-check.."].concat(),
        }
    }

    fn is_answered_by(self, datagram: &[u8]) -> bool {
        match self {
            Self::Quic => datagram.len() > 7 && datagram[0] & 0x80 != 0 && datagram[1..5] == [0; 4],
            Self::Stun => {
                datagram.starts_with(&[0x01, 0x01]) && datagram.get(8..20) == Some(b"self-check..".as_slice())
            }
        }
    }
}

async fn ask(addr: SocketAddr, question: Question) -> bool {
    let any = if addr.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let Ok(socket) = UdpSocket::bind((any, 0)).await else { return false };
    let mut answer = [0; 1500];
    for _ in 0..TRIES {
        if socket.send_to(&question.datagram(), addr).await.is_err() {
            return false;
        }
        if let Ok(Ok((len, _))) = timeout(PATIENCE / TRIES, socket.recv_from(&mut answer)).await
            && question.is_answered_by(&answer[..len])
        {
            return true;
        }
    }
    false
}

/// A way through one's own router and back takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// A lost datagram is no closed port.
const TRIES: u32 = 3;
/// 2026-01-01: this program is younger.
const BUILT_AFTER: Duration = Duration::from_secs(1_767_225_600);
/// Clocks of a replica and of this machine may differ by as much without harm.
const TOLERATED: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_is_noticed() {
        let (before, now) = (UnixTime::from_secs(1_790_000_000), UnixTime::from_secs(1_790_003_600));

        assert!(clock(now, Some(before)).is_fine && clock(now, None).is_fine);
        assert!(clock(before, Some(now)).text.contains("1h behind"));
        assert!(clock(UnixTime::from_secs(86_400), None).text.contains("not set"));
    }

    #[tokio::test]
    async fn closed_ports_are_named() {
        let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST)];

        let found = ports("vpn.example.org", &loopback, Ports { web: 1, quic: nobody, stun: [nobody; 2] }).await;
        let nowhere = ports("vpn.example.org", &[], Ports { web: 1, quic: 1, stun: [1; 2] }).await;

        assert!(!found[0].is_fine && found[0].text.contains(&format!("TCP 1, UDP {nobody}")), "{found:?}");
        assert!(!nowhere[0].is_fine && nowhere[0].text.contains("no address"), "{nowhere:?}");
    }
}
