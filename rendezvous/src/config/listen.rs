//! A listener that may be switched off.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;

/// Where to listen, or "off".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum OptionalListen {
    /// Here.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

/// The text is neither.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected ADDR:PORT or \"off\"")]
pub struct InvalidListen;

impl Default for OptionalListen {
    /// Metrics tell nobody's secrets, but are nobody's business outside this host either.
    fn default() -> Self {
        Self::At((Ipv4Addr::LOCALHOST, METRICS_PORT).into())
    }
}

impl FromStr for OptionalListen {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| InvalidListen)
    }
}

impl TryFrom<String> for OptionalListen {
    type Error = InvalidListen;

    fn try_from(text: String) -> Result<Self, InvalidListen> {
        text.parse()
    }
}

impl fmt::Display for OptionalListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(addr) => addr.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

/// Where the tools of this field listen, on loopback.
const METRICS_PORT: u16 = 9090;
