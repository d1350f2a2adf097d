//! Replays a corpus through the functions that its fuzz targets call: every seed and every input that once broke something
//! stays harmless. Included by the tests of the crates that have targets.

use std::fs;
use std::path::{Path, PathBuf};

/// A target by its name.
type Entry = (&'static str, fn(&[u8]));

/// A directory of targets and their corpus.
pub(crate) struct Corpus {
    /// Where `fuzz_targets` and `corpus` are.
    pub(crate) root: PathBuf,
    /// Every entry by the name of its target.
    pub(crate) entries: &'static [Entry],
    /// In how many places a seed is cut short, and in how many a bit of it is turned, about.
    pub(crate) mutations: usize,
}

impl Corpus {
    /// Replays every file as it is; each target has at least one.
    pub(crate) fn replay(&self) {
        for (name, entry) in self.entries {
            let seeds = self.seeds(name);
            assert!(!seeds.is_empty(), "the corpus of {name} is empty");
            seeds.iter().for_each(|seed| entry(seed));
        }
    }

    /// Replays every file cut short, and with a bit turned.
    pub(crate) fn replay_damaged(&self) {
        for (name, entry) in self.entries {
            for mut bytes in self.seeds(name) {
                let places = || (0..bytes.len()).step_by(1 + bytes.len() / self.mutations);
                places().for_each(|len| entry(&bytes[..len]));
                for index in places().collect::<Vec<_>>() {
                    bytes[index] ^= 1 << (index % 8);
                    entry(&bytes);
                    bytes[index] ^= 1 << (index % 8);
                }
            }
        }
    }

    /// Every target has its entry, and every entry its target.
    pub(crate) fn check_targets(&self) {
        let stem = |path: PathBuf| path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let mut targets: Vec<_> = files(&self.root.join("fuzz_targets")).map(stem).collect();
        targets.sort();

        assert_eq!(targets, self.entries.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    }

    /// Writes good examples, from which a fuzzer sets out: target, name of the seed, bytes.
    pub(crate) fn write(&self, seeds: Vec<(&'static str, &'static str, Vec<u8>)>) {
        for (name, seed, bytes) in seeds {
            fs::create_dir_all(self.directory(name)).expect("a directory for the corpus");
            fs::write(self.directory(name).join(seed), bytes).expect("a seed can be written");
        }
    }

    fn seeds(&self, name: &str) -> Vec<Vec<u8>> {
        files(&self.directory(name)).map(|path| fs::read(path).expect("a readable seed")).collect()
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.root.join("corpus").join(name)
    }
}

fn files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    files.map(|file| file.expect("a listed file").path())
}
