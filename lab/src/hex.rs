//! Bytes as a person reads them: offset, hexadecimal, and the printable ones as text.

use std::fmt::Write;

/// Sixteen bytes a line.
pub fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (index, line) in bytes.chunks(LINE).enumerate() {
        let hex = line.iter().map(|byte| format!("{byte:02x} ")).collect::<String>();
        let plain = line.iter().map(|&byte| if (0x20..0x7f).contains(&byte) { byte as char } else { '.' });
        let plain = plain.collect::<String>();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:04x}  {hex:<48} {plain}", index * LINE);
    }
    text
}

/// What fits a terminal of 80 columns.
const LINE: usize = 16;

#[cfg(test)]
mod tests {
    use super::dump;

    #[test]
    fn a_dump_shows_offset_bytes_and_text() {
        let text = dump(b"kittens\x00 and more of them");

        assert!(text.starts_with("0000  6b 69 74 74 65 6e 73 00 20 61 "), "{text}");
        assert!(text.contains("kittens. and mor\n0010  65 20"), "{text}");
    }
}
