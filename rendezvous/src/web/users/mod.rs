//! `/users`: the people of this server, their roles, and links that make more of them.

pub(super) mod invite;
pub(super) mod list;
pub(super) mod show;

use serde::Deserialize;
use sqlx::types::Uuid;

use super::problem::Problem;
use crate::actions::By;
use crate::auth::Person;
use crate::domain::{Actor, Role};
use crate::error::Error;

/// A form without fields of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// What a role may do, for whoever gives it.
pub(super) const fn role_words(role: Role) -> &'static str {
    match role {
        Role::Admin => "everything, except to change owners",
        Role::Member => "their own devices only",
        Role::Operator => "all devices and invites, but neither accounts nor the server",
        Role::Owner => "everything",
        Role::Viewer => "sees devices and activity, changes nothing",
    }
}

/// One choice of a role.
pub(super) struct RoleChoice {
    name: &'static str,
    words: &'static str,
    is_chosen: bool,
}

/// The roles that this person can give.
pub(super) fn role_choices(person: &Person, chosen: Role) -> Vec<RoleChoice> {
    let given = Role::ALL.into_iter().filter(|role| person.role.may_manage(*role));
    given.map(|role| RoleChoice { name: role.name(), words: role_words(role), is_chosen: role == chosen }).collect()
}

fn by<'a>(person: &Person, actor: &'a Actor) -> By<'a> {
    By { actor, role: person.role }
}

fn role(word: &str) -> Result<Role, Problem> {
    Role::parse(word).ok_or(Problem::Unreadable)
}

fn user_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(text).map_err(|_| Problem::NotFound)
}

/// The page for what cannot be put right on the one it was asked from.
fn problem(error: Error) -> Problem {
    error.into()
}
