//! Where each setting's value comes from: the command line, the environment, a line of the settings file, or nowhere.
//!
//! What the values mean and which source is stronger is `config`'s business; this only remembers it for people.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use toml::de::DeTable;

/// Where one value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// `WARREN_` and the name.
    Environment,
    /// The settings file.
    File {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment => f.write_str("environment"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// The origin of every setting that somebody made, by its name as a key of the file.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// The keys of a settings file.
    pub(super) fn of_file(path: &Path, text: &str) -> Self {
        let Ok(table) = DeTable::parse(text) else { return Self::default() };
        let line = |offset: usize| text[..offset].bytes().filter(|byte| *byte == b'\n').count() + 1;
        let origin = |offset| Origin::File { path: path.to_owned(), line: line(offset) };
        let keys = table.get_ref().keys();
        Self(keys.map(|key| (key.get_ref().replace('_', "-"), origin(key.span().start))).collect())
    }

    /// The same with what command line and environment said instead.
    #[must_use]
    pub fn under(mut self, matches: &ArgMatches) -> Self {
        for id in matches.ids() {
            let origin = match matches.value_source(id.as_str()) {
                Some(ValueSource::CommandLine) => Origin::Flag,
                Some(ValueSource::EnvVariable) => Origin::Environment,
                _ => continue,
            };
            self.0.insert(id.as_str().replace('_', "-"), origin);
        }
        self
    }

    /// Where this setting comes from.
    pub fn of(&self, name: &str) -> &Origin {
        self.0.get(name).unwrap_or(&Origin::Default)
    }

    /// For a complaint about settings: where each one that it names by its flag was made.
    pub fn explain(&self, complaint: &str) -> Option<String> {
        let named = |name: &&String| complaint.contains(&format!("--{name}"));
        let places: Vec<String> =
            self.0.keys().filter(named).map(|name| format!("{name} is from: {}", self.of(name))).collect();
        (!places.is_empty()).then(|| places.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_file_is_found_by_its_line_in_either_spelling() {
        let origins = Origins::of_file(Path::new("/etc/x.toml"), "# words\n\ntls = \"proxy\"\n\ndata_dir = \"/a\"\n");

        assert_eq!(origins.of("tls").to_string(), "/etc/x.toml line 3");
        assert_eq!(origins.of("data-dir").to_string(), "/etc/x.toml line 5");
        assert_eq!(origins.of("public-addr"), &Origin::Default);
    }

    #[test]
    fn a_complaint_that_names_a_setting_is_told_where_it_was_made() {
        let origins = Origins::of_file(Path::new("/x"), "tls = \"file\"");

        assert_eq!(origins.explain("--tls file needs --tls-cert"), Some("tls is from: /x line 1".to_owned()));
        assert_eq!(origins.explain("the disk is full"), None);
    }
}
