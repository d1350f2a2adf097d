//! The nouns that cross the border of the core: where a datagram comes from or goes to, what is to be sent, and why
//! something was thrown away. No behaviour.

use std::net::SocketAddr;

/// The far end of a datagram, as the transport sees it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Remote {
    /// A peer's socket, reached straight through whatever NATs lie between.
    Direct(SocketAddr),
    /// The same, from a socket of ours that serves this one peer: the driver opens it when it is first named.
    Auxiliary(Auxiliary),
    /// A relay channel; the driver wraps and unwraps the relay frame.
    Relay(RelayChannel),
}

impl Remote {
    /// The peer's address, unless it is reached through a relay.
    pub const fn straight(&self) -> Option<SocketAddr> {
        match self {
            Self::Direct(addr) => Some(*addr),
            Self::Auxiliary(auxiliary) => Some(auxiliary.peer),
            Self::Relay(_) => None,
        }
    }

    /// The socket on our side, unless it is the one that everything uses.
    pub const fn socket(&self) -> Option<SocketId> {
        match self {
            Self::Auxiliary(auxiliary) => Some(auxiliary.socket),
            Self::Direct(_) | Self::Relay(_) => None,
        }
    }
}

/// A peer's address as reached from a socket of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Auxiliary {
    /// The socket on our side.
    pub socket: SocketId,
    /// The far end.
    pub peer: SocketAddr,
}

/// A name for a socket beside the one that everything uses, never given to another. Those from 2^63 on are the driver's
/// own, the others the core's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SocketId(pub u64);

/// One pair's channel through one relay, as this device names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RelayChannel {
    /// The relay's UDP address.
    pub relay: SocketAddr,
    /// Our channel number there; 0 talks to the relay itself.
    pub channel: u32,
}

impl RelayChannel {
    /// Whether frames go to the near end of a WebSocket on this very host, which carries them on: a relay that others can
    /// reach has no loopback address.
    pub const fn is_tunnelled(&self) -> bool {
        self.relay.ip().is_loopback()
    }
}

/// Explicit congestion notification bits of an IP header (RFC 3168 section 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Ecn {
    /// Not ECN-capable transport.
    #[default]
    NotEct = 0,
    /// ECN-capable, codepoint 1.
    Ect1 = 1,
    /// ECN-capable, codepoint 0.
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Ecn {
    /// The two low bits of a TOS or traffic-class byte.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The bits, 0 to 3.
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// What this host, or a router on the way, says of a datagram of ours that it will not carry. What the far end itself says
/// is none: a NAT that has not yet sent to us itself may turn away what it lets in a moment later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Obstacle {
    /// A rule forbids it.
    Forbidden,
    /// It knows no way there.
    NoRoute,
}

/// A datagram the driver must send. The slow path allocates; the packet path never makes one of these.
#[must_use]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// Where to.
    pub to: Remote,
    /// IP time to live for this one datagram, when it must die on the way (the opener).
    pub ttl: Option<u8>,
    /// UDP payload, without relay frame.
    pub datagram: Vec<u8>,
}

/// Declares the discard reasons once: the enum, its stable names and the list of all.
macro_rules! discards {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why input was thrown away: always the sender's fault, counted per reason, never logged above DEBUG.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(usize)]
        pub enum Discard {
            $($(#[$doc])* $variant,)*
        }

        impl Discard {
            /// Every reason, in the order of their indices.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name shown in `warren status --json`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

discards! {
    /// A packet of ours that no peer's address matches.
    NoRoute = "no_route",
    /// A packet to a peer while its bounded queue was full, or that waited there for too long.
    QueueFull = "queue_full",
    /// An inner packet that is not well-formed IP.
    InnerMalformed = "inner_malformed",
    /// An inner packet whose source or destination the peer's certificate does not cover.
    InnerAddress = "inner_address",
    /// An inner packet larger than the path can carry.
    InnerTooBig = "inner_too_big",
    /// Inner not-ECT met outer CE: must be dropped (RFC 6040 section 4.2).
    EcnNotCapable = "ecn_not_capable",
    /// A datagram that is no known kind.
    Unclassified = "unclassified",
    /// A datagram shorter or longer than its kind allows.
    Length = "length",
    /// A field that has no valid reading (version, reserved bits, padding).
    Malformed = "malformed",
    /// ESP for an SPI that is not ours.
    UnknownSpi = "unknown_spi",
    /// ESP whose sequence number is left of the anti-replay window.
    ReplayOld = "replay_old",
    /// ESP whose sequence number was seen.
    ReplayDuplicate = "replay_duplicate",
    /// An ICV or tag that does not verify.
    Authentication = "authentication",
    /// A security association past its hard limit in time or packets.
    SaExpired = "sa_expired",
    /// A handshake message whose mac1 does not prove knowledge of our key.
    Mac1 = "mac1",
    /// A handshake message that lacked the cookie asked for under load.
    Mac2 = "mac2",
    /// A handshake from a key that no certificate we hold names.
    UnknownPeer = "unknown_peer",
    /// A handshake bound to a certificate that is not the peer's current one.
    CertificateMismatch = "certificate_mismatch",
    /// A valid INIT with a time not after the last one: answered by a challenge.
    StaleInit = "stale_init",
    /// A handshake with a peer that supports no suite of ours.
    NoCommonSuite = "no_common_suite",
    /// A handshake answer that belongs to nothing outstanding.
    Unsolicited = "unsolicited",
    /// A Diffie-Hellman result of low order.
    LowOrder = "low_order",
    /// More than a named budget allows.
    RateLimited = "rate_limited",
    /// A probe or pong that matches nothing outstanding.
    ProbeUnmatched = "probe_unmatched",
    /// A relay frame for no channel of ours or not from our relay.
    RelayChannel = "relay_channel",
    /// A control message that breaks a stated limit.
    ControlLimit = "control_limit",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_discards_is_indexed_by_the_enum() {
        for (index, reason) in Discard::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }
}
