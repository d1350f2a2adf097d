//! An address at which a STUN server saw somebody, in a form that the control plane believes.
//!
//! A device may have an address of a family over which its control connection does not come. The server's STUN service
//! sees that one too, but not whose it is; so it puts a *voucher* beside the address, and the device shows it to the
//! control plane. Only who receives at an address holds one for it. Here is how it travels in STUN; what it is made of, only
//! the server knows.

use std::net::SocketAddr;

/// A message authentication code, to everybody but the server that made it.
pub type Voucher = [u8; 16];

/// An address with its voucher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vouched {
    /// As the STUN service saw it.
    pub addr: SocketAddr,
    /// Its word for that.
    pub voucher: Voucher,
}

/// Adds a voucher to a STUN message. A request carries one of zeros: it asks for one, and makes place for it, so that
/// the response is not much longer than what was asked.
pub fn append(message: &mut Vec<u8>, voucher: &Voucher) {
    message.extend(ATTRIBUTE.to_be_bytes());
    message.extend((voucher.len() as u16).to_be_bytes());
    message.extend(voucher);
    let attributes = message.len().saturating_sub(STUN_HEADER) as u16;
    if let Some(length) = message.get_mut(2..4) {
        length.copy_from_slice(&attributes.to_be_bytes());
    }
}

/// The voucher in a STUN message, if it has one.
pub fn find(message: &[u8]) -> Option<Voucher> {
    let mut attributes = message.get(STUN_HEADER..)?;
    while let [kind_high, kind_low, length_high, length_low, rest @ ..] = attributes {
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        if u16::from_be_bytes([*kind_high, *kind_low]) == ATTRIBUTE {
            return rest.get(..length)?.try_into().ok();
        }
        // RFC 8489 section 14: values are padded to whole words
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// Of the range whose attributes a receiver may leave aside (RFC 8489 section 18.3.2), unassigned.
const ATTRIBUTE: u16 = 0xf0a7;
/// RFC 8489 section 5.
const STUN_HEADER: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voucher_is_found_among_other_attributes() {
        let mut message = [[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42].as_slice(), &[7; 12]].concat();
        // three bytes of another attribute, padded
        message.extend([0x80, 0x22, 0, 3, b'a', b'b', b'c', 0]);
        assert_eq!(find(&message), None);

        append(&mut message, &[9; 16]);

        assert_eq!(find(&message), Some([9; 16]));
        assert_eq!(message[2..4], [0, 28]);
        for cut in 0..message.len() {
            assert_eq!(find(&message[..cut]), None, "{cut}");
        }
    }
}
