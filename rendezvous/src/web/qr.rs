//! QR codes as one path of SVG, drawn on the server: no script, no image to fetch.

use std::fmt::Write as _;

use anyhow::Context as _;
use qrcode::{Color, EcLevel, QrCode};

/// A QR code.
#[derive(Clone, Debug)]
pub(super) struct Qr {
    /// Modules along each side, with the quiet zone.
    pub(super) side: usize,
    /// The dark modules, for `<path d>`.
    pub(super) path: String,
}

impl Qr {
    /// The code that says `text`.
    pub(super) fn of(text: &str) -> anyhow::Result<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).context("make a QR code")?;
        let width = code.width();
        let mut path = String::new();
        for (row, modules) in code.to_colors().chunks(width).enumerate() {
            let mut column = 0;
            for run in modules.chunk_by(|a, b| a == b) {
                if run[0] == Color::Dark {
                    let _ = write!(path, "M{} {}h{}v1h-{}z", column + QUIET, row + QUIET, run.len(), run.len());
                }
                column += run.len();
            }
        }
        Ok(Self { side: width + 2 * QUIET, path })
    }
}

/// The standard asks for four modules of margin.
const QUIET: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_draws_each_dark_module_once() {
        let qr = Qr::of("otpauth://totp/Warren:ada?secret=AAAA").unwrap();
        let code = QrCode::with_error_correction_level("otpauth://totp/Warren:ada?secret=AAAA", EcLevel::M).unwrap();
        let dark = code.to_colors().iter().filter(|color| **color == Color::Dark).count();

        let drawn: usize = qr
            .path
            .split('h')
            .skip(1)
            .step_by(2)
            .map(|run| run.split('v').next().unwrap().parse::<usize>().unwrap())
            .sum();

        assert_eq!((drawn, qr.side), (dark, code.width() + 8));
        // the finder pattern's first row, inside the quiet zone
        assert!(qr.path.starts_with("M4 4h7v1h-7z"), "{}", qr.path);
    }
}
