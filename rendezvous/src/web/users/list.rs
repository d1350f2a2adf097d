//! `GET /users`: people and open invites.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Html;
use serde::Deserialize;
use sqlx::types::Uuid;

use super::super::Web;
use super::super::format::Moment;
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use crate::auth::{ManageUsers, May};
use crate::domain::Role;
use crate::store::LinkPurpose;

#[derive(Template)]
#[template(path = "users/list.html")]
struct UsersPage {
    shell: Shell,
    done: Option<&'static str>,
    users: Vec<UserRow>,
    invites: Vec<InviteRow>,
}

struct UserRow {
    id: String,
    name: String,
    role: Role,
    is_self: bool,
    is_disabled: bool,
    devices: usize,
    signed_in_at: Option<Moment>,
}

struct InviteRow {
    id: String,
    note: String,
    role: String,
    by: String,
    expires_at: Moment,
    may_withdraw: bool,
}

/// `?done=WORD`, what the form before this page has done.
#[derive(Debug, Deserialize)]
pub(in crate::web) struct Done {
    #[serde(default)]
    done: String,
}

/// `GET /users`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    May { person, .. }: May<ManageUsers>,
    Query(Done { done }): Query<Done>,
) -> Result<Html<String>, Problem> {
    let (store, now) = (web.app.store(), web.app.now());
    let mut devices = BTreeMap::<Uuid, usize>::new();
    for owner in store.active_devices().await?.into_iter().filter_map(|device| device.owner_id) {
        *devices.entry(owner).or_default() += 1;
    }
    let users = store.admins(SHOWN).await?.into_iter().map(|user| UserRow {
        id: user.id.to_string(),
        is_self: user.id == person.id,
        role: user.role,
        is_disabled: user.disabled_at.is_some(),
        devices: devices.get(&user.id).copied().unwrap_or(0),
        signed_in_at: user.signed_in_at.map(|at| Moment::new(at, now)),
        name: user.name,
    });
    let invites = store.account_invites(SHOWN, now).await?.into_iter().filter_map(|link| {
        let LinkPurpose::Invite(role) = link.purpose else { return None };
        let by = link.created_by.split_once(':').map_or("the server's shell", |(_, name)| name).to_owned();
        Some(InviteRow {
            id: link.id.to_string(),
            note: link.note,
            role: role.to_string(),
            by,
            expires_at: Moment::new(link.expires_at, now),
            may_withdraw: person.role.may_manage(role),
        })
    });
    let (users, invites) = (users.collect(), invites.collect());
    page::html(&UsersPage {
        shell: Shell::of_person(&web.app, &person, "users"),
        done: sentence(&done),
        users,
        invites,
    })
}

fn sentence(done: &str) -> Option<&'static str> {
    Some(match done {
        "removed" => "Removed. They are signed out everywhere, and their unused invites are withdrawn.",
        "withdrawn" => "Withdrawn. The link works no more.",
        _ => return None,
    })
}

/// A company's worth on one page; it is text.
const SHOWN: u32 = 1000;
