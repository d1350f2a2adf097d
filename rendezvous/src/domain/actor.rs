//! Who does something, for the audit log.

use std::fmt;

use warren_proto::keys::NodeId;

/// Who does something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Actor {
    /// A signed-in person, by name.
    Admin(String),
    /// Somebody at the server's own shell.
    Cli,
    /// A device, about itself.
    Device(NodeId),
    /// The server, by itself.
    Server,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin(name) => write!(f, "admin:{name}"),
            Self::Cli => f.write_str("cli"),
            Self::Device(id) => write!(f, "device:{id}"),
            Self::Server => f.write_str("server"),
        }
    }
}
