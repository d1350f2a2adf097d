//! The answering side: INIT in, RESP out, CONFIRM in.

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

use super::symmetric::Symmetric;
use super::terms::{TERMS_LEN, Terms, choose};
use super::{Caps, Established, LocalIdentity, Tai64n, confirm, psk_or_zero, write_macs};
use crate::crypto::dh::{Ephemeral, shared};
use crate::crypto::kdf;
use crate::crypto::mac::{mac, tags_equal};
use crate::io::Discard;
use crate::keys::{CertificateId, SpiBase, StaticPublic};
use crate::wire::handshake::{Confirm, Init, Response};

/// Where an answer begins. There is nothing to remember before INIT.
pub struct Responder;

impl Responder {
    /// Opens an INIT to this device: a mac first, then two Diffie-Hellman computations.
    ///
    /// Whether its sender is known, its certificate current and its time fresh is for the caller to judge, before
    /// [`Received::respond`].
    pub fn read_init(local: &LocalIdentity, datagram: &[u8]) -> Result<Received, Discard> {
        let init = Init::parse(datagram)?;
        if !tags_equal(&mac(&local.mac1_key, &[init.macs.before_mac1]), init.macs.mac1) {
            return Err(Discard::Mac1);
        }
        let mut symmetric = Symmetric::new(&local.network, init.header, &local.static_public);
        symmetric.mix_ephemeral(&init.ephemeral);
        let es = symmetric.mix_key(&*shared(&local.static_secret, &init.ephemeral)?);
        let peer_static = StaticPublic::new(symmetric.open(es, init.sealed_static)?);
        let ss = symmetric.mix_key(&*shared(&local.static_secret, &peer_static)?);
        let payload: [u8; 12 + TERMS_LEN] = symmetric.open(ss, init.sealed_payload)?;
        let (timestamp, terms) = payload.split_first_chunk().ok_or(Discard::Length)?;
        let terms = Terms::decode(terms.try_into().map_err(|_| Discard::Length)?)?;
        Ok(Received {
            peer_static,
            certificate_id: terms.certificate_id,
            timestamp: Tai64n::from_bytes(*timestamp),
            peer_ttl: terms.ttl,
            caps: terms.caps,
            spi: init.spi_i,
            symmetric,
            ephemeral: init.ephemeral,
        })
    }
}

/// An INIT that opened. Nothing it says is proved yet: it may be a replay, or made with our own static key.
pub struct Received {
    /// The key its sender claims.
    pub peer_static: StaticPublic,
    /// The statement about itself that the sender refers to.
    pub certificate_id: CertificateId,
    /// Its time, to be greater than any before from this key.
    pub timestamp: Tai64n,
    /// The TTL and the hop limit that its host sends with.
    pub peer_ttl: [u8; 2],
    /// Its suites.
    pub caps: Caps,
    /// Where it will receive.
    pub spi: SpiBase,
    symmetric: Symmetric,
    ephemeral: StaticPublic,
}

impl Received {
    /// Makes the RESP. `spi` is where this end will receive, from the moment the RESP is sent.
    pub fn respond(
        self,
        local: &LocalIdentity,
        spi: SpiBase,
        psk: Option<&[u8; 32]>,
        rng: &mut impl CryptoRng,
    ) -> Result<(HalfOpen, Vec<u8>), Discard> {
        let suite = choose(self.caps, local.terms.caps).ok_or(Discard::NoCommonSuite)?;
        let header = Response::header(spi, self.spi, psk.is_some());
        let ephemeral = Ephemeral::generate(rng);
        let mut symmetric = self.symmetric;
        symmetric.mix_ephemeral(ephemeral.public());
        symmetric.mix_key(&*ephemeral.shared(&self.ephemeral)?);
        symmetric.mix_key(&*ephemeral.shared(&self.peer_static)?);
        let key = symmetric.mix_key_and_hash(&psk_or_zero(psk));
        let terms = Terms { caps: Caps::only(suite), ..local.terms };
        let sealed_payload = symmetric.seal(key, &terms.encode());

        let mut message = Response::encode(&header, ephemeral.public(), &sealed_payload);
        write_macs(&mut message, &kdf::mac1_key(&self.peer_static), None);
        let handshake_hash = *symmetric.hash();
        let keys = symmetric.split();
        let established = Established {
            confirm: confirm(&keys, spi, &header, &handshake_hash),
            keys,
            suite,
            peer_static: self.peer_static,
            certificate_id: self.certificate_id,
            peer_ttl: self.peer_ttl,
            peer_spi: self.spi,
            psk_used: psk.is_some(),
            handshake_hash,
        };
        Ok((HalfOpen { established }, message))
    }
}

/// A RESP that has been sent: its session may receive, and becomes one to send on when CONFIRM or an ESP packet verifies.
pub struct HalfOpen {
    established: Established,
}

impl HalfOpen {
    /// What the handshake has come to, if the peer is who it claims to be.
    pub const fn established(&self) -> &Established {
        &self.established
    }

    /// Whether `datagram` is the CONFIRM of this handshake; only the true peer can make it.
    pub fn verify_confirm(&self, datagram: &[u8]) -> Result<(), Discard> {
        let confirm = Confirm::parse(datagram)?;
        if bool::from(confirm.bytes[..].ct_eq(&self.established.confirm)) {
            Ok(())
        } else {
            Err(Discard::Authentication)
        }
    }
}
