//! How a command ends: the exit codes scripts rely on, and what a person is told.
//!
//! A failure says what is wrong and what to do. Printing it is left to `main`.

use std::fmt;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// What a command's exit code says; the discriminant is the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Anything that has no code of its own.
    Failure = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The device is in no mesh.
    NotEnrolled = 3,
    /// No daemon answers on the socket.
    DaemonNotRunning = 4,
    /// The caller, or the daemon, may not do this.
    NoPermission = 5,
    /// Timed out, or there is no way to the other side.
    Unreachable = 6,
    /// The peer answers, but only through a relay.
    Relayed = 7,
    /// The network's policy forbids it.
    Denied = 8,
    /// The rendezvous said no.
    Refused = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked: one sentence on what is wrong, one on what to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The exit code it leads to.
    pub exit: Exit,
    /// What is wrong.
    pub text: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), remedy: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// The failure of commands that need a device in a mesh.
    pub fn not_enrolled() -> Self {
        Self::new(Exit::NotEnrolled, "this device is not enrolled in any mesh")
            .remedy("Get an invite from the dashboard (\"Add device\") and run `warren up INVITE`.")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n{remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    /// A failure that came up through `anyhow` keeps its code; anything else is code 1 with its chain of causes.
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(failure) => failure,
            Err(error) => Self::new(Exit::Failure, format!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_failure_keeps_its_code_through_anyhow() {
        let error = Err::<(), _>(Failure::not_enrolled()).context("read status").unwrap_err();

        assert_eq!(Failure::from(error).exit, Exit::NotEnrolled);
    }

    #[test]
    fn any_other_error_is_code_one_with_its_causes() {
        let failure = Failure::from(anyhow::anyhow!("no such file").context("read state"));

        assert_eq!((failure.exit, failure.text.as_str()), (Exit::Failure, "read state: no such file"));
    }
}
