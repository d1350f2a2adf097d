//! `/keys`: enrolment keys, which let in one device or any number: listed, made, followed, revoked with what they made.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;
use sqlx::types::Uuid;
use warren_proto::control::Invite;
use warren_proto::keys::UnixTime;

use super::Web;
use super::format::{Moment, sentence};
use super::install::Installer;
use super::page::{self, Shell};
use super::problem::Problem;
use crate::actions::{self, InviteRequest};
use crate::auth::{ManageInvites, May, MayForm, Person, invite_cookie, read_invite_cookie};
use crate::domain::{check_invite, parse_tags};
use crate::error::Error;
use crate::store::StoredInvite;

#[derive(Template)]
#[template(path = "keys/list.html")]
struct ListPage {
    shell: Shell,
    keys: Vec<Key>,
    shows_all: bool,
    page: u32,
    is_last: bool,
    form: KeyForm,
    problem: Option<String>,
    lives: &'static [(&'static str, &'static str, u64)],
}

#[derive(Template)]
#[template(path = "keys/show.html")]
struct ShowPage {
    shell: Shell,
    key: Key,
    invite: Option<String>,
    installer: Installer,
    done: Option<&'static str>,
}

/// A key in words.
struct Key {
    id: String,
    name: String,
    reusable: bool,
    tags: Vec<String>,
    state: &'static str,
    works: bool,
    used: u64,
    /// Devices of the network that came by it.
    devices: usize,
    last_used: Option<Moment>,
    made_by: String,
    made: Moment,
    expires: Option<Moment>,
}

/// `?all&page=N`
#[derive(Deserialize)]
pub(super) struct Which {
    all: Option<String>,
    #[serde(default)]
    page: u32,
}

#[derive(Clone, Default, Deserialize)]
pub(super) struct KeyForm {
    name: String,
    #[serde(default)]
    reusable: Option<String>,
    lives: String,
    tags: String,
}

#[derive(Deserialize)]
pub(super) struct RevokeForm {
    devices: Option<String>,
}

/// `?done=WORD`
#[derive(Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

/// `GET /keys`
pub(super) async fn page(
    State(web): State<Web>,
    May { person, .. }: May<ManageInvites>,
    Query(which): Query<Which>,
) -> Result<Html<String>, Problem> {
    page::html(&list(&web, &person, which.all.is_some(), which.page).await?)
}

/// `POST /keys`
pub(super) async fn submit(
    State(web): State<Web>,
    MayForm { person, form, .. }: MayForm<ManageInvites, KeyForm>,
) -> Result<Response, Problem> {
    match make(&web, &person, &form).await {
        Ok(created) => {
            let path = format!("/keys/{}", created.id);
            let to = Redirect::to(&path);
            let cookie = invite_cookie(created.invite.to_string(), path, KEEP_FOR, person.client.is_secure);
            Ok((CookieJar::new().add(cookie), to).into_response())
        }
        Err(error @ (Error::LabelInvalid | Error::TagsInvalid)) => {
            let mut page = list(&web, &person, false, 1).await?;
            page.problem = Some(sentence(&error.to_string()));
            page.form = form;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page::html(&page)?).into_response())
        }
        Err(other) => Err(other.into()),
    }
}

async fn make(web: &Web, person: &Person, form: &KeyForm) -> Result<actions::CreatedInvite, Error> {
    let life = LIVES.iter().find(|(word, ..)| *word == form.lives).map(|(.., seconds)| *seconds).unwrap_or(DAY);
    let request = InviteRequest {
        name: form.name.clone(),
        reusable: form.reusable.is_some(),
        expires_after: (life > 0).then(|| Duration::from_secs(life)),
        tags: parse_tags(&form.tags).ok_or(Error::TagsInvalid)?,
    };
    actions::create_invite(&web.app, &person.actor(), request).await
}

/// `GET /keys/{id}`
pub(super) async fn show(
    State(web): State<Web>,
    May { person, .. }: May<ManageInvites>,
    Path(id): Path<String>,
    Query(Done { done }): Query<Done>,
    headers: HeaderMap,
) -> Result<Html<String>, Problem> {
    let stored = find(&web, &id).await?;
    let held = read_invite_cookie(&headers, person.client.is_secure).filter(|word| word.parse::<Invite>().is_ok());
    let key = Key::new(&stored, made_by_it(&web, stored.id).await?, web.app.now());
    page::html(&ShowPage {
        shell: Shell::of_person(&web.app, &person, "keys"),
        invite: held.filter(|_| key.works),
        key,
        installer: Installer::find(&web).await?,
        done: match done.as_str() {
            "revoked" => Some("Revoked. Nobody joins with it any more; the devices that came by it stay."),
            "revoked-all" => Some("Revoked, and the devices that came by it with it."),
            _ => None,
        },
    })
}

/// `POST /keys/{id}/revoke`
pub(super) async fn revoke(
    State(web): State<Web>,
    Path(id): Path<String>,
    MayForm { person, form, .. }: MayForm<ManageInvites, RevokeForm>,
) -> Result<Redirect, Problem> {
    let id = find(&web, &id).await?.id;
    let done = if form.devices.is_some() {
        actions::revoke_invite_with_devices(&web.app, &person.actor(), id).await?;
        "revoked-all"
    } else {
        actions::revoke_invite(&web.app, &person.actor(), id).await?;
        "revoked"
    };
    Ok(Redirect::to(&format!("/keys/{id}?done={done}")))
}

async fn find(web: &Web, id: &str) -> Result<StoredInvite, Problem> {
    let id = Uuid::parse_str(id).map_err(|_| Problem::NotFound)?;
    web.app.store().invite(id).await?.ok_or(Problem::NotFound)
}

async fn made_by_it(web: &Web, id: Uuid) -> Result<usize, Problem> {
    Ok(web.app.devices().await?.iter().filter(|device| device.invite_id == Some(id)).count())
}

async fn list(web: &Web, person: &Person, shows_all: bool, page: u32) -> Result<ListPage, Problem> {
    let (store, now) = (web.app.store(), web.app.now());
    let page = page.clamp(1, MAX_PAGE);
    let skip = (page - 1) * IN_PAGE;
    // one more, to know whether there are others
    let mut stored = if shows_all {
        store.invites_page(IN_PAGE + 1, skip).await?
    } else {
        store.working_invites(now, IN_PAGE + 1, skip).await?
    };
    let is_last = stored.len() <= IN_PAGE as usize;
    stored.truncate(IN_PAGE as usize);
    let devices = web.app.devices().await?;
    let made = |id: Uuid| devices.iter().filter(|device| device.invite_id == Some(id)).count();
    Ok(ListPage {
        shell: Shell::of_person(&web.app, person, "keys"),
        keys: stored.iter().map(|key| Key::new(key, made(key.id), now)).collect(),
        shows_all,
        page,
        is_last,
        form: KeyForm { lives: "day".to_owned(), ..KeyForm::default() },
        problem: None,
        lives: LIVES,
    })
}

impl Key {
    fn new(stored: &StoredInvite, devices: usize, now: UnixTime) -> Self {
        let revoked = stored.revoked_at.is_some();
        let works = check_invite(stored.reusable, stored.used_count, stored.expires_at, revoked, now).is_ok();
        let state = match (works, revoked, !stored.reusable && stored.used_count > 0) {
            (true, ..) => "works",
            (false, true, _) => "revoked",
            (false, false, true) => "used",
            (false, false, false) => "expired",
        };
        let moment = |at| Moment::new(at, now);
        Self {
            id: stored.id.to_string(),
            name: stored.name.clone(),
            reusable: stored.reusable,
            tags: stored.tags.clone(),
            state,
            works,
            used: stored.used_count,
            devices,
            last_used: stored.last_used_at.map(moment),
            made_by: stored.created_by.split_once(':').map_or(stored.created_by.as_str(), |(_, name)| name).to_owned(),
            made: moment(stored.created_at),
            expires: stored.expires_at.map(moment),
        }
    }

    /// What to call it.
    fn title(&self) -> &str {
        if !self.name.is_empty() {
            &self.name
        } else if self.reusable {
            "Reusable key"
        } else {
            "One-time key"
        }
    }
}

/// How long a key may work: the word in the form, in words, in seconds; 0 for ever.
const LIVES: &[(&str, &str, u64)] = &[
    ("hour", "an hour", 3600),
    ("day", "a day", DAY),
    ("week", "a week", 7 * DAY),
    ("month", "30 days", 30 * DAY),
    ("year", "a year", 365 * DAY),
    ("ever", "as long as I do not revoke it", 0),
];
const DAY: u64 = 86_400;
/// One page.
const IN_PAGE: u32 = 100;
/// Further back nobody turns.
const MAX_PAGE: u32 = 10_000;
/// The page shows the key again for as long; then it is in the script that uses it, or lost.
const KEEP_FOR: Duration = Duration::from_secs(60 * 60);
