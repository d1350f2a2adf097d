//! Style sheet, scripts and mark: part of the binary, named by the hash of their content, compressed once at start.
//!
//! A URL that contains its content's hash may be cached for ever; a changed file has another URL.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use super::problem::Problem;

/// The URL of each asset, as templates need them.
#[derive(Clone, Debug)]
pub(super) struct Assets {
    pub(super) chart: String,
    pub(super) css: String,
    pub(super) live: String,
    pub(super) enhance: String,
    pub(super) passkey: String,
    pub(super) setup: String,
    pub(super) map: String,
    pub(super) mark: String,
    files: BTreeMap<String, File>,
}

#[derive(Clone, Debug)]
struct File {
    kind: &'static str,
    plain: Bytes,
    gzip: Bytes,
}

impl Assets {
    /// Hashes and compresses what the binary carries.
    fn new() -> Self {
        let mut files = BTreeMap::new();
        let mut add = |stem: &str, extension: &str, kind, text: &'static str| {
            let hash = Sha256::digest(text);
            let name = format!("{stem}.{}.{extension}", data_encoding::HEXLOWER.encode(&hash[..HASH_BYTES]));
            files.insert(name.clone(), File { kind, plain: Bytes::from_static(text.as_bytes()), gzip: gzip(text) });
            format!("/assets/{name}")
        };

        Self {
            chart: add("chart", "js", JAVASCRIPT, include_str!("../../assets/chart.js")),
            css: add("app", "css", "text/css; charset=utf-8", include_str!("../../assets/app.css")),
            live: add("live", "js", JAVASCRIPT, include_str!("../../assets/live.js")),
            enhance: add("enhance", "js", JAVASCRIPT, include_str!("../../assets/enhance.js")),
            passkey: add("passkey", "js", JAVASCRIPT, include_str!("../../assets/passkey.js")),
            setup: add("setup", "js", JAVASCRIPT, include_str!("../../assets/setup.js")),
            map: add("map", "js", JAVASCRIPT, include_str!("../../assets/map.js")),
            mark: add("mark", "svg", "image/svg+xml", include_str!("../../assets/mark.svg")),
            files,
        }
    }
}

/// The assets of this binary.
pub(super) fn shared() -> &'static Assets {
    static SHARED: LazyLock<Assets> = LazyLock::new(Assets::new);
    &SHARED
}

/// `GET /assets/{name}`
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(file) = shared().files.get(&name) else { return Problem::NotFound.into_response() };
    let always =
        [(header::CONTENT_TYPE, file.kind), (header::CACHE_CONTROL, FOR_EVER), (header::VARY, "accept-encoding")];
    if accepts_gzip(&headers) {
        return (always, [(header::CONTENT_ENCODING, "gzip")], file.gzip.clone()).into_response();
    }
    (always, file.plain.clone()).into_response()
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse().ok()) == Some(0.0);
        name.trim() == "gzip" && !refused
    })
}

fn gzip(text: &str) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    written.expect("a vector takes every byte").into()
}

/// 48 bits: two versions of one file do not meet by chance.
const HASH_BYTES: usize = 6;
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_styles_stay_within_their_budgets() {
        let assets = Assets::new();
        let size = |ending: &str| -> usize {
            assets.files.iter().filter(|(name, _)| name.ends_with(ending)).map(|(_, file)| file.gzip.len()).sum()
        };

        assert!(size(".js") <= 30 * 1024, "scripts are {} bytes", size(".js"));
        assert!(size(".css") <= 12 * 1024, "styles are {} bytes", size(".css"));
    }

    #[test]
    fn gzip_is_sent_to_those_who_accept_it() {
        let accepts = |value: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.parse().unwrap())]))
        };

        assert!(accepts("br, gzip;q=0.8") && accepts("gzip"));
        assert!(!accepts("br") && !accepts("gzip;q=0, br") && !accepts_gzip(&HeaderMap::new()));
    }
}
