//! The gates that every change passes before any test runs, the quick ones first.

use anyhow::Result;

use crate::cargo::{Workspace, cargo, run as expect};
use crate::tidy;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    expect(&mut cargo(&["fmt", "--all", "--check"]))?;
    tidy::run(workspace)?;
    expect(&mut cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    expect(cargo(&["doc", "--locked", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}
