//! Chance: every draw of a world comes from the generator of its seed.

use rand_core::Rng;

/// 32 bytes: a key or a seed.
pub(crate) fn bytes(rng: &mut impl Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}
