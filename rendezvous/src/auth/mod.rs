//! Who may do what: passwords, sessions, tokens.

pub mod password;
