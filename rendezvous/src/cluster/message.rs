//! What replicas say to each other, each message behind a length. Fields are only added, and a kind that is not known is
//! ignored, so that replicas of two versions work side by side while one after the other is upgraded.

use std::net::SocketAddr;
use std::time::Duration;

use prost::{Message, Oneof};
use tokio_util::bytes::Bytes;
use uuid::Uuid;
use warren_proto::keys::{NodeId, UnixTime};

use super::places::ReplicaId;

/// One message.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Frame {
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 5, 6")]
    pub(crate) body: Option<Body>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Body {
    #[prost(message, tag = "1")]
    Greeting(Greeting),
    #[prost(message, tag = "2")]
    Arrived(Arrived),
    #[prost(message, tag = "3")]
    Left(Left),
    #[prost(message, tag = "4")]
    Measured(Measured),
    #[prost(message, tag = "5")]
    Said(Said),
    #[prost(message, tag = "6")]
    Tell(Tell),
}

/// Who speaks, and where agents find it; the first message. All that was said on an earlier link is void.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Greeting {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) replica: Vec<u8>,
    /// "host:port" of its control plane.
    #[prost(string, tag = "2")]
    pub(crate) control: String,
    /// "ip:port" of its relay, one for each family if there are two.
    #[prost(string, repeated, tag = "3")]
    pub(crate) relays: Vec<String>,
    /// It stops soon: nobody is to be sent there.
    #[prost(bool, tag = "4")]
    pub(crate) stopping: bool,
}

/// A device is attached to the speaker.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Arrived {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) device: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) stamp: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) since_unix_ms: u64,
    #[prost(string, tag = "4")]
    pub(crate) observed: String,
    #[prost(uint64, tag = "5")]
    pub(crate) rtt_us: u64,
    /// Binds its address at any relay.
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) token: Vec<u8>,
    #[prost(bool, tag = "7")]
    pub(crate) tunnelled: bool,
}

/// A device is no longer attached to the speaker.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Left {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) device: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) stamp: u64,
}

/// Where the speaker sees a device by now.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Measured {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) device: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(crate) observed: String,
    #[prost(uint64, tag = "3")]
    pub(crate) rtt_us: u64,
}

/// A device attached to the speaker said this: an encoded `ToServer`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Said {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) device: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) message: Vec<u8>,
}

/// A device attached to the listener is to be told this: an encoded `ToAgent`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Tell {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) device: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) message: Vec<u8>,
}

impl Body {
    pub(crate) fn into_bytes(self) -> Bytes {
        Frame { body: Some(self) }.encode_to_vec().into()
    }

    pub(crate) fn tell(device: NodeId, message: Vec<u8>) -> Bytes {
        Self::Tell(Tell { device: device.as_bytes().to_vec(), message }).into_bytes()
    }

    pub(crate) fn said(device: NodeId, message: Vec<u8>) -> Bytes {
        Self::Said(Said { device: device.as_bytes().to_vec(), message }).into_bytes()
    }

    pub(crate) fn left(device: NodeId, stamp: u64) -> Bytes {
        Self::Left(Left { device: device.as_bytes().to_vec(), stamp }).into_bytes()
    }

    pub(crate) fn measured(device: NodeId, observed: SocketAddr, rtt: Duration) -> Bytes {
        let (device, observed) = (device.as_bytes().to_vec(), observed.to_string());
        Self::Measured(Measured { device, observed, rtt_us: micros(rtt) }).into_bytes()
    }
}

impl Greeting {
    pub(crate) fn replica(&self) -> Option<ReplicaId> {
        Uuid::from_slice(&self.replica).ok()
    }
}

impl Arrived {
    pub(crate) fn since(&self) -> UnixTime {
        UnixTime::new(Duration::from_millis(self.since_unix_ms))
    }

    pub(crate) fn rtt(&self) -> Duration {
        Duration::from_micros(self.rtt_us)
    }
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
