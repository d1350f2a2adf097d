//! The QUIC endpoint beneath the control plane: its socket, its connection ids, and how it tells an agent whose
//! connection a former run of the server had that it is gone.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use ring::hmac;
use socket2::{Domain, Protocol, Socket, Type};

use crate::keys::ServerKey;

/// The endpoint's settings.
pub(super) fn config(key: &ServerKey, seed: [u8; 32]) -> EndpointConfig {
    // the same in every run: an agent's next packet then ends the connection it had with the run before (RFC 9000
    // section 10.3), instead of its idle timeout
    let reset_key = hmac::Key::new(hmac::HMAC_SHA256, &key.reset_secret());
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config.cid_generator(move || Box::new(RandomIds(ChaCha20Rng::from_seed(seed))));
    // the first bit tells QUIC from ESP on an agent's one socket
    config.grease_quic_bit(false);
    config.min_reset_interval(RESET_EVERY);
    config
}

/// Opens the socket; `[::]` also serves IPv4.
pub(super) fn bind(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    if listen.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    // as much as the host allows
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    socket.bind(&listen.into())?;
    Ok(socket.into())
}

/// Connection ids that any run takes for possible ones, so that unknown ones are answered by a reset.
struct RandomIds(ChaCha20Rng);

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; ID_LEN];
        self.0.fill_bytes(&mut id);
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        ID_LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// After a restart every agent waits for its reset, and many ask at the same instant: one in 20 ms, as usual, would have most of
/// a thousand wait for their idle timeout. A reset is shorter than what it answers, so nothing is amplified and no two endpoints
/// answer each other for ever.
const RESET_EVERY: Duration = Duration::ZERO;
/// 64 bits do not collide among 20,000 connections.
const ID_LEN: usize = 8;
/// A thousand agents that return at once, each with a handshake of a few packets.
const SOCKET_BUFFER: usize = 4 << 20;
