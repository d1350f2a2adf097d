//! A package's files in a directory, as they will be on the host.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::said;

/// The directory.
pub(super) struct Stage(PathBuf);

impl Stage {
    /// An empty one, in place of any older.
    pub(super) fn new(root: &Path) -> Result<Self> {
        if root.exists() {
            fs::remove_dir_all(root).with_context(|| format!("remove {}", root.display()))?;
        }
        fs::create_dir_all(root).with_context(|| format!("make {}", root.display()))?;
        Ok(Self(root.to_owned()))
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    /// The program itself.
    pub(super) fn program(&self, program: &Path) -> Result<()> {
        let name = program.file_name().context("a program has a name")?.to_string_lossy().into_owned();
        self.stripped(program, &format!("usr/bin/{name}"))
    }

    /// A program without what only debuggers read.
    pub(super) fn stripped(&self, program: &Path, to: &str) -> Result<()> {
        let to = self.place(to)?;
        let stripped = Command::new("strip").args(["--strip-unneeded", "-o"]).arg(&to).arg(program).status();
        if !stripped.is_ok_and(|status| status.success()) {
            fs::copy(program, &to).with_context(|| format!("copy {}", program.display()))?;
        }
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).with_context(|| format!("set up {}", to.display()))
    }

    /// Manual pages, as the program writes them.
    pub(super) fn manual(&self, program: &Path) -> Result<()> {
        let directory = self.0.join("usr/share/man/man1");
        said(Command::new(program).arg("man").arg(&directory))?;
        for page in fs::read_dir(&directory).context("list the manual")? {
            let page = page?.path();
            said(Command::new("gzip").args(["-9", "-n"]).arg(&page))?;
        }
        Ok(())
    }

    /// Completions, where each shell looks for them.
    pub(super) fn completions(&self, program: &Path, name: &str) -> Result<()> {
        for (shell, to) in [
            ("bash", format!("usr/share/bash-completion/completions/{name}")),
            ("fish", format!("usr/share/fish/vendor_completions.d/{name}.fish")),
            ("zsh", format!("usr/share/zsh/vendor-completions/_{name}")),
        ] {
            let script = said(Command::new(program).args(["completions", shell]))?;
            self.write(&to, &(script + "\n"), 0o644)?;
        }
        Ok(())
    }

    /// What lies in `packaging/` for this package: unit, user, directories, settings, maintainer scripts.
    pub(super) fn packaging(&self, workspace: &Path, name: &str, settings: &[&str]) -> Result<()> {
        let from = workspace.join("packaging");
        self.copy(&from.join(format!("systemd/{name}.service")), &format!("usr/lib/systemd/system/{name}.service"))?;
        self.copy(&from.join(format!("sysusers.d/{name}.conf")), &format!("usr/lib/sysusers.d/{name}.conf"))?;
        self.copy(&from.join(format!("tmpfiles.d/{name}.conf")), &format!("usr/lib/tmpfiles.d/{name}.conf"))?;
        let mut conffiles = String::new();
        for file in settings {
            self.copy(&from.join("etc").join(file), &format!("etc/warren/{file}"))?;
            conffiles += &format!("/etc/warren/{file}\n");
        }
        self.write("DEBIAN/conffiles", &conffiles, 0o644)?;
        for script in fs::read_dir(from.join("debian").join(name)).context("list the maintainer scripts")? {
            let script = script?;
            let text = fs::read_to_string(script.path()).with_context(|| format!("read {:?}", script.path()))?;
            self.write(&format!("DEBIAN/{}", script.file_name().to_string_lossy()), &text, 0o755)?;
        }
        let licences = ["LICENSE-APACHE", "LICENSE-MIT"].map(|file| fs::read_to_string(workspace.join(file)));
        let [apache, mit] = licences;
        let copyright = format!("Warren is licensed under either of these, at your choice.\n\n{}\n{}", apache?, mit?);
        self.write(&format!("usr/share/doc/{name}/copyright"), &copyright, 0o644)
    }

    /// The list of sums by which `dpkg --verify` finds damage, and what dpkg knows of the package.
    pub(super) fn control(&self, control: &str) -> Result<()> {
        let list = "find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\\0' | sort -z | xargs -0 md5sum";
        let sums = said(Command::new("sh").args(["-c", list]).current_dir(&self.0))?;
        self.write("DEBIAN/md5sums", &(sums + "\n"), 0o644)?;
        self.write("DEBIAN/control", control, 0o644)
    }

    /// How large the files are.
    pub(super) fn kibibytes(&self) -> Result<String> {
        let size = said(
            Command::new("du").args(["--summarize", "--apparent-size", "--block-size=1K", "."]).current_dir(&self.0),
        )?;
        Ok(size.split_whitespace().next().unwrap_or("0").to_owned())
    }

    fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let text = fs::read_to_string(from).with_context(|| format!("read {}", from.display()))?;
        self.write(to, &text, 0o644)
    }

    fn write(&self, to: &str, text: &str, mode: u32) -> Result<()> {
        let to = self.place(to)?;
        fs::write(&to, text).with_context(|| format!("write {}", to.display()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).with_context(|| format!("set up {}", to.display()))
    }

    /// A path below the root whose directory is there.
    fn place(&self, to: &str) -> Result<PathBuf> {
        let to = self.0.join(to);
        let directory = to.parent().context("a file lies in a directory")?;
        fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        Ok(to)
    }
}
