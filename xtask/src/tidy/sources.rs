//! All Rust files of the workspace, with what ships told apart from what only tests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cargo::Workspace;

/// One file.
pub(crate) struct Source {
    /// From the workspace's root on.
    pub(crate) path: PathBuf,
    /// All of it.
    pub(crate) text: String,
}

impl Source {
    /// The crate's directory name.
    pub(crate) fn crate_name(&self) -> &str {
        self.path.iter().next().and_then(|part| part.to_str()).unwrap_or_default()
    }

    /// The top-level module it belongs to; `None` for what is outside `src/`, and for `main.rs` and `lib.rs`.
    pub(crate) fn module(&self) -> Option<&str> {
        let mut parts = self.path.iter().skip(1).filter_map(|part| part.to_str());
        let module = parts.next().filter(|part| *part == "src").and_then(|_| parts.next())?;
        let module = module.strip_suffix(".rs").unwrap_or(module);
        (!["main", "lib"].contains(&module)).then_some(module)
    }

    /// The lines that ship, without comments: up to the tests at the end of the file, none of a file of tests.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.path.ends_with("tests.rs") || self.path.iter().any(|part| part == "tests");
        let lines = self.text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
        let lines = lines.enumerate().filter(move |_| !is_test);
        lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }
}

pub(crate) fn all(workspace: &Workspace) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for package in workspace.members() {
        collect(&package.directory(), &mut paths)?;
    }
    collect(&workspace.root.join("fuzz/fuzz_targets"), &mut paths)?;
    collect(&workspace.root.join("fuzz/agent/fuzz_targets"), &mut paths)?;
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(Source { path: path.strip_prefix(&workspace.root)?.to_owned(), text })
    };
    paths.into_iter().map(read).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}
