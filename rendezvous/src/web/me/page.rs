//! `GET /account`: name, password, passkeys, authenticator app and sessions on one page; and the form for the name.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{Html, Response};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::Deserialize;

use super::super::Web;
use super::super::format::{Browser, Moment};
use super::super::page::{self, Shell};
use super::super::passkeys::{Passkeys, passkeys};
use super::super::problem::Problem;
use super::{Done, back, refused};
use crate::actions;
use crate::auth::{ALGORITHMS, Person, PersonForm};
use crate::domain::{Expected, Role};
use crate::error::Error;

#[derive(Template)]
#[template(path = "me/account.html")]
struct AccountPage {
    shell: Shell,
    done: Option<&'static str>,
    trouble: Option<Trouble>,
    role: Role,
    user_id: String,
    has_password: bool,
    has_authenticator: bool,
    codes_left: u64,
    passkeys: Passkeys,
    passkey_rows: Vec<PasskeyRow>,
    algorithms: String,
    /// The OpenID provider's name, if there is one.
    provider: Option<String>,
    is_linked: bool,
    sessions: Vec<SessionRow>,
}

struct PasskeyRow {
    id: String,
    name: String,
    created_at: Moment,
    last_used_at: Option<Moment>,
}

struct SessionRow {
    id: String,
    browser: Browser,
    address: String,
    created_at: Moment,
    last_seen_at: Moment,
    is_this: bool,
}

/// What is wrong, and in which section.
pub(super) struct Trouble {
    pub(super) section: &'static str,
    pub(super) text: String,
}

#[derive(Deserialize)]
pub(in crate::web) struct NameForm {
    name: String,
}

/// `GET /account`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    person: Person,
    Query(done): Query<Done>,
) -> Result<Html<String>, Problem> {
    account_page(&web, &person, done.sentence(), None).await
}

/// `POST /account/name`
pub(in crate::web) async fn rename(
    State(web): State<Web>,
    PersonForm { person, form }: PersonForm<NameForm>,
) -> Result<Response, Problem> {
    match actions::rename_account(&web.app, &person.actor(), person.id, &form.name, &Expected::Any).await {
        Ok(_) => Ok(back("renamed")),
        Err(error) => refused(&web, &person, "name", error).await,
    }
}

/// The page, after whatever was done or went wrong.
pub(super) async fn account_page(
    web: &Web,
    person: &Person,
    done: Option<&'static str>,
    trouble: Option<Trouble>,
) -> Result<Html<String>, Problem> {
    let (app, now) = (&web.app, web.app.now());
    let user = app.store().admin_by_id(person.id).await?.ok_or(Error::AccountUnknown)?;
    let passkey_rows = app.store().passkeys_of(person.id).await?.into_iter().map(|passkey| PasskeyRow {
        id: BASE64URL_NOPAD.encode(&passkey.id),
        name: passkey.name,
        created_at: Moment::new(passkey.created_at, now),
        last_used_at: passkey.last_used_at.map(|at| Moment::new(at, now)),
    });
    let sessions = actions::list_sessions(app, person.id).await?.into_iter().map(|session| SessionRow {
        id: HEXLOWER.encode(&session.token_hash),
        browser: Browser::of(&session.user_agent),
        address: session.address,
        created_at: Moment::new(session.created_at, now),
        last_seen_at: Moment::new(session.last_seen_at, now),
        is_this: session.token_hash == person.session,
    });
    page::html(&AccountPage {
        shell: Shell::of_person(app, person, "account"),
        done,
        trouble,
        role: user.role,
        user_id: BASE64URL_NOPAD.encode(user.id.as_bytes()),
        has_password: !user.password_hash.is_empty(),
        has_authenticator: user.totp_secret.is_some(),
        codes_left: app.store().recovery_codes_left(person.id).await?,
        passkeys: passkeys(web, &person.client).await?,
        passkey_rows: passkey_rows.collect(),
        algorithms: ALGORITHMS.map(|number| number.to_string()).join(" "),
        provider: app.oidc().map(|provider| provider.config().name.clone()),
        is_linked: match app.oidc() {
            Some(provider) => app.store().oidc_issuers_of(person.id).await?.contains(&provider.config().issuer),
            None => false,
        },
        sessions: sessions.collect(),
    })
}

impl AccountPage {
    /// What is wrong in this section.
    fn wrong(&self, section: &str) -> Option<&str> {
        self.trouble.as_ref().filter(|trouble| trouble.section == section).map(|trouble| trouble.text.as_str())
    }

    /// The ids that an authenticator must not make another of.
    fn passkey_ids(&self) -> String {
        self.passkey_rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>().join(" ")
    }
}
