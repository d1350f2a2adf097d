//! Tables for spreadsheets (RFC 4180).

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// A table under construction.
#[derive(Debug)]
pub(super) struct Csv(String);

impl Csv {
    /// With this first line.
    pub(super) fn new(head: &[&str]) -> Self {
        let mut csv = Self(String::new());
        csv.line(head);
        csv
    }

    /// Adds a line.
    pub(super) fn line(&mut self, cells: &[&str]) {
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            self.cell(cell);
        }
        self.0.push_str("\r\n");
    }

    fn cell(&mut self, text: &str) {
        // a spreadsheet would compute what begins so, and what a device calls itself is its own affair
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        if !is_formula && !text.contains(['"', ',', '\r', '\n']) {
            return self.0.push_str(text);
        }
        self.0.push('"');
        if is_formula {
            self.0.push('\'');
        }
        self.0.push_str(&text.replace('"', "\"\""));
        self.0.push('"');
    }

    /// As a download of this name.
    pub(super) fn download(self, name: &str) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        ];
        (headers, self.0).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_a_spreadsheet_would_take_apart_or_compute_are_quoted() {
        let mut csv = Csv::new(&["name", "says"]);

        csv.line(&["laptop", "a, \"b\""]);
        csv.line(&["=1+1", "two\nlines"]);

        assert_eq!(csv.0, "name,says\r\nlaptop,\"a, \"\"b\"\"\"\r\n\"'=1+1\",\"two\nlines\"\r\n");
    }
}
