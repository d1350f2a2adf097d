//! The asking side: INIT out, RESP or COOKIE in.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::cookie::Cookie;
use super::symmetric::Symmetric;
use super::terms::{Terms, accept};
use super::{Established, LocalIdentity, Tai64n, confirm, psk_or_zero, write_macs};
use crate::crypto::dh::{Ephemeral, shared};
use crate::crypto::kdf::{self, Key};
use crate::crypto::mac::{mac, tags_equal};
use crate::io::Discard;
use crate::keys::{SpiBase, StaticPublic};
use crate::wire::handshake::{CookieReply, Init, Response};

/// An INIT that has been sent and not been answered.
pub struct Initiator {
    symmetric: Symmetric,
    ephemeral: Ephemeral,
    peer: StaticPublic,
    spi: SpiBase,
    psk: Option<Key>,
    mac1: [u8; 16],
}

impl Initiator {
    /// Makes an INIT to the owner of `peer`. `spi` is where this end will receive; `proof` is what a COOKIE asked for.
    ///
    /// Fails only for a `peer` that is no point to do Diffie-Hellman with.
    pub fn start(
        local: &LocalIdentity,
        peer: &StaticPublic,
        spi: SpiBase,
        timestamp: Tai64n,
        psk: Option<&[u8; 32]>,
        proof: Option<&Cookie>,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Vec<u8>), Discard> {
        let header = Init::header(spi);
        let ephemeral = Ephemeral::generate(rng);
        let mut symmetric = Symmetric::new(&local.network, &header, peer);
        symmetric.mix_ephemeral(ephemeral.public());
        let es = symmetric.mix_key(&*ephemeral.shared(peer)?);
        let sealed_static = symmetric.seal(es, local.static_public.as_bytes());
        let ss = symmetric.mix_key(&*shared(&local.static_secret, peer)?);
        let sealed_payload = symmetric.seal(ss, &[&timestamp.as_bytes()[..], &local.terms.encode()].concat());

        let mut message = Init::encode(&header, ephemeral.public(), &sealed_static, &sealed_payload);
        write_macs(&mut message, &kdf::mac1_key(peer), proof);
        let mac1 = *Init::parse(&message)?.macs.mac1;
        let psk = psk.copied().map(Zeroizing::new);
        Ok((Self { symmetric, ephemeral, peer: *peer, spi, psk, mac1 }, message))
    }

    /// Reads the RESP to this INIT. One that does not verify leaves this INIT waiting for the true one.
    pub fn read_response(&self, local: &LocalIdentity, datagram: &[u8]) -> Result<Established, Discard> {
        let response = Response::parse(datagram)?;
        if response.spi_i != self.spi {
            return Err(Discard::Unsolicited);
        }
        if !tags_equal(&mac(&local.mac1_key, &[response.macs.before_mac1]), response.macs.mac1) {
            return Err(Discard::Mac1);
        }
        let psk = self.psk.as_deref().filter(|_| response.psk_used);
        let mut symmetric = self.symmetric.clone();
        symmetric.mix_ephemeral(&response.ephemeral);
        symmetric.mix_key(&*self.ephemeral.shared(&response.ephemeral)?);
        symmetric.mix_key(&*shared(&local.static_secret, &response.ephemeral)?);
        let key = symmetric.mix_key_and_hash(&psk_or_zero(psk));
        let terms = Terms::decode(&symmetric.open(key, response.sealed_payload)?)?;

        let suite = accept(local.terms.caps, terms.caps).ok_or(Discard::NoCommonSuite)?;
        let handshake_hash = *symmetric.hash();
        let keys = symmetric.split();
        Ok(Established {
            confirm: confirm(&keys, response.spi_r, response.header, &handshake_hash),
            keys,
            suite,
            peer_static: self.peer,
            certificate_id: terms.certificate_id,
            peer_ttl: terms.ttl,
            peer_spi: response.spi_r,
            psk_used: response.psk_used,
            handshake_hash,
        })
    }

    /// Opens the COOKIE that answers this INIT: the next INIT must carry what is in it.
    pub fn read_cookie(&self, datagram: &[u8]) -> Result<Cookie, Discard> {
        let reply = CookieReply::parse(datagram)?;
        if reply.spi_i != self.spi {
            return Err(Discard::Unsolicited);
        }
        Cookie::open(&reply, &self.peer, &self.mac1)
    }
}
