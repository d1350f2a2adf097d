//! A reader that cannot run off the end: every field is asked for, and a datagram that ends early is `Discard::Length`.
//!
//! Only bytes to numbers, big-endian; what the numbers mean is the codecs' business.

use crate::io::Discard;

/// The unread rest of a message.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Discard> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Discard::Length)?;
        self.0 = rest;
        Ok(*head)
    }

    /// The next `len` bytes, borrowed.
    pub fn slice(&mut self, len: usize) -> Result<&'a [u8], Discard> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Discard::Length)?;
        self.0 = rest;
        Ok(head)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, Discard> {
        self.array().map(u8::from_be_bytes)
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> Result<u16, Discard> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Result<u32, Discard> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> Result<u64, Discard> {
        self.array().map(u64::from_be_bytes)
    }

    /// Everything not read yet.
    pub const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Succeeds when nothing is left over.
    pub const fn finish(self) -> Result<(), Discard> {
        if self.0.is_empty() { Ok(()) } else { Err(Discard::Length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_the_end_is_noticed() {
        let mut cursor = Cursor::new(&[1, 0, 2, 0, 0, 0, 3, 9, 9]);

        assert_eq!(cursor.u8(), Ok(1));
        assert_eq!(cursor.u16(), Ok(2));
        assert_eq!(cursor.u32(), Ok(3));
        assert_eq!(cursor.finish(), Err(Discard::Length));
        assert_eq!(cursor.u64(), Err(Discard::Length));
        assert_eq!(cursor.slice(2), Ok(&[9, 9][..]));
        assert_eq!(cursor.finish(), Ok(()));
    }
}
