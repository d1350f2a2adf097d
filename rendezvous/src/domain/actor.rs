//! Who does something, for the audit log.

use std::fmt;

use sqlx::types::Uuid;
use warren_proto::keys::NodeId;

/// Who does something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Actor {
    /// Somebody at the server's own shell.
    Cli,
    /// A device, about itself.
    Device(NodeId),
    /// The server, by itself.
    Server,
    /// A signed-in person.
    User {
        /// Whose what they make is.
        id: Uuid,
        /// For the log, where it stays when the account is gone.
        name: String,
    },
}

impl Actor {
    /// Whose what they make is, if they are somebody who can own a thing.
    pub const fn owner(&self) -> Option<Uuid> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Cli | Self::Device(_) | Self::Server => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cli => f.write_str("cli"),
            Self::Device(id) => write!(f, "device:{id}"),
            Self::Server => f.write_str("server"),
            Self::User { name, .. } => write!(f, "user:{name}"),
        }
    }
}
