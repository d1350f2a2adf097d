//! The QUIC side of the server key: an RFC 7250 raw public key, TLS 1.3 only, our ALPN only.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{IdleTimeout, TransportConfig, VarInt};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use warren_proto::control::ALPN;

use crate::keys::ServerKey;

/// The settings of the control plane's listener.
pub(super) fn server_config(key: &ServerKey) -> Result<quinn::ServerConfig> {
    let signer = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(key.pkcs8())).context("read the server key")?;
    let raw_key = CertifiedKey::new(vec![CertificateDer::from(key.spki().to_vec())], signer);
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("choose TLS 1.3")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(raw_key))));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport()));
    config.max_incoming(MAX_INCOMING);
    Ok(config)
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .send_window(SEND_WINDOW);
    transport
}

/// Below the 30 s that the shortest-lived UDP mappings of home routers last.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Three keep-alives lost in a row: the device is gone.
const IDLE_TIMEOUT_MS: u32 = 60_000;
/// What an agent may have under way to us: its messages are short, and more would let it fill our memory.
const RECEIVE_WINDOW: u32 = 32 * 1024;
/// What we keep for one agent until it is acknowledged: 64 KiB a round trip brings a long map in seconds over any way, and
/// 10,000 agents that return at once take no more than the queue shares among them anyhow.
const SEND_WINDOW: u64 = 64 * 1024;
/// Handshakes begun but not yet looked at.
const MAX_INCOMING: usize = 1024;
