//! The server's word for where its STUN service saw somebody.
//!
//! STUN knows no devices and the control plane only one address of each, so the one gives out a code over the address and
//! the time, and the other checks it: whoever shows it receives there. Nothing is remembered; every process that has the
//! server's key can check what another has given out.

use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use warren_proto::control::Vouched;
use warren_proto::control::voucher::Voucher;
use warren_proto::keys::UnixTime;

/// Makes and checks vouchers.
pub struct Vouchers {
    secret: [u8; 32],
}

impl Vouchers {
    /// Nobody but servers may know the secret.
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// Our word that somebody receives at `addr` at that time.
    pub fn make(&self, addr: SocketAddr, at: UnixTime) -> Voucher {
        let mut voucher = [0; 16];
        voucher.copy_from_slice(&self.code(addr, slot(at)).finalize().into_bytes()[..16]);
        voucher
    }

    /// Whether we, or another server with our key, said so a short time ago.
    pub fn is_ours(&self, vouched: &Vouched, at: UnixTime) -> bool {
        let slots = [slot(at), slot(at).saturating_sub(1)];
        slots.into_iter().any(|slot| self.code(vouched.addr, slot).verify_truncated_left(&vouched.voucher).is_ok())
    }

    fn code(&self, addr: SocketAddr, slot: u64) -> Hmac<Sha256> {
        let ip = match addr.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let code = Hmac::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        code.chain_update(slot.to_be_bytes()).chain_update(ip.octets()).chain_update(addr.port().to_be_bytes())
    }
}

/// The count of spans of that length since 1970.
fn slot(at: UnixTime) -> u64 {
    at.as_secs() / SLOT_SECS
}

/// A device asks STUN at least every five minutes, and shows at once what it hears.
const SLOT_SECS: u64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voucher_is_good_for_its_address_and_its_time_alone() {
        let (vouchers, at) = (Vouchers::new([7; 32]), UnixTime::from_secs(1_000_000));
        let addr: SocketAddr = "203.0.113.9:40000".parse().unwrap();

        let vouched = Vouched { addr, voucher: vouchers.make(addr, at) };

        let later = |secs| UnixTime::from_secs(1_000_000 + secs);
        assert!(vouchers.is_ours(&vouched, at) && vouchers.is_ours(&vouched, later(SLOT_SECS)));
        assert!(!vouchers.is_ours(&vouched, later(2 * SLOT_SECS)));
        assert!(!Vouchers::new([8; 32]).is_ours(&vouched, at));
        for other in ["203.0.113.9:40001", "203.0.113.8:40000"] {
            assert!(!vouchers.is_ours(&Vouched { addr: other.parse().unwrap(), ..vouched }, at), "{other}");
        }
    }
}
