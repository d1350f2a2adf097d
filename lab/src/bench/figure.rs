//! What is measured: each figure's name, its unit, and how a person reads it. Nothing is measured here.

use serde::{Deserialize, Serialize};

/// One number of a contender's round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// TCP payload that one flow delivered.
    OneFlowGbps,
    /// TCP payload that eight flows delivered together.
    EightFlowsGbps,
    /// TCP payload delivered while one flow runs in each direction, both together.
    BothDirectionsGbps,
    /// CPU time of the whole machine for each gigabyte delivered by one flow.
    CpuSecondsPerGb,
    /// CPU time of the tunnel's own processes for each gigabyte delivered by one flow.
    TunnelCpuSecondsPerGb,
    /// Segments that the one flow had to send again.
    Retransmits,
    /// Segments of the one flow that reached the receiving kernel out of order.
    OutOfOrder,
    /// UDP datagrams of 64 bytes delivered in a second, at the rate where most arrive.
    SmallPacketsDelivered,
    /// UDP datagrams of 64 bytes sent in a second at that rate.
    SmallPacketsSent,
    /// Median round trip with nothing else to do.
    PingIdleP50Ms,
    /// The round trip that 99 of 100 pings beat with nothing else to do.
    PingIdleP99Ms,
    /// Median round trip under one flow at full rate.
    PingLoadedP50Ms,
    /// The round trip that 99 of 100 pings beat under one flow at full rate.
    PingLoadedP99Ms,
    /// Pings of a thousand that got no answer under one flow at full rate.
    PingLoadedLostPermille,
    /// Resident memory of the larger of the tunnel's two ends, after all phases.
    ResidentBytes,
    /// Bytes on the sender's cables, Ethernet headers included, for each byte of TCP payload delivered.
    WireBytesPerByte,
}

impl Figure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 16] = [
        Self::OneFlowGbps,
        Self::EightFlowsGbps,
        Self::BothDirectionsGbps,
        Self::CpuSecondsPerGb,
        Self::TunnelCpuSecondsPerGb,
        Self::Retransmits,
        Self::OutOfOrder,
        Self::SmallPacketsDelivered,
        Self::SmallPacketsSent,
        Self::PingIdleP50Ms,
        Self::PingIdleP99Ms,
        Self::PingLoadedP50Ms,
        Self::PingLoadedP99Ms,
        Self::PingLoadedLostPermille,
        Self::ResidentBytes,
        Self::WireBytesPerByte,
    ];

    /// A column's heading, with the unit of `show`.
    pub fn heading(self) -> &'static str {
        match self {
            Self::OneFlowGbps => "1 flow Gb/s",
            Self::EightFlowsGbps => "8 flows Gb/s",
            Self::BothDirectionsGbps => "both ways Gb/s",
            Self::CpuSecondsPerGb => "CPU s/GB",
            Self::TunnelCpuSecondsPerGb => "own CPU s/GB",
            Self::Retransmits => "resent",
            Self::OutOfOrder => "out of order",
            Self::SmallPacketsDelivered => "64 B kpkt/s",
            Self::SmallPacketsSent => "of kpkt/s sent",
            Self::PingIdleP50Ms => "ping p50 ms",
            Self::PingIdleP99Ms => "ping p99 ms",
            Self::PingLoadedP50Ms => "loaded p50 ms",
            Self::PingLoadedP99Ms => "loaded p99 ms",
            Self::PingLoadedLostPermille => "loaded lost ‰",
            Self::ResidentBytes => "RSS MB",
            Self::WireBytesPerByte => "wire B/B",
        }
    }

    /// The value as a person reads it, in the unit of the heading.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::OneFlowGbps
            | Self::EightFlowsGbps
            | Self::BothDirectionsGbps
            | Self::CpuSecondsPerGb
            | Self::TunnelCpuSecondsPerGb => format!("{value:.2}"),
            Self::SmallPacketsDelivered | Self::SmallPacketsSent => format!("{:.0}", value / 1e3),
            Self::PingIdleP50Ms | Self::PingIdleP99Ms | Self::PingLoadedP50Ms | Self::PingLoadedP99Ms => {
                format!("{value:.3}")
            }
            Self::Retransmits | Self::OutOfOrder | Self::PingLoadedLostPermille => format!("{value:.0}"),
            Self::ResidentBytes => format!("{:.1}", value / 1e6),
            Self::WireBytesPerByte => format!("{value:.4}"),
        }
    }

    /// The value with its heading, for a line of text.
    pub fn say(self, value: f64) -> String {
        format!("{} {}", self.heading(), self.show(value))
    }
}
