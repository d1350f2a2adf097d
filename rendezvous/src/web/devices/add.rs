//! `/devices/new`: makes the invite behind the one command that adds a device.

use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::{Cookie, CookieJar};
use serde::Deserialize;

use super::super::Web;
use super::super::install::{self, Installer};
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::Nothing;
use crate::actions::{self, InviteRequest};
use crate::auth::{AddDevices, Client, May, MayForm, invite_cookie};
use crate::domain::Actor;

#[derive(Template)]
#[template(path = "devices/new.html")]
struct NewPage {
    shell: Shell,
    minutes: u64,
    /// The origin of this server.
    base: String,
    /// How curl trusts it.
    curl: String,
    problem: Option<&'static str>,
}

/// `?gone`, set when a command cannot be shown again.
#[derive(Deserialize)]
pub(in crate::web) struct Why {
    gone: Option<String>,
}

/// `GET /devices/new`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    May { person, .. }: May<AddDevices>,
    Query(why): Query<Why>,
) -> Result<Html<String>, Problem> {
    page::html(&NewPage {
        shell: Shell::of_person(&web.app, &person, "devices"),
        base: install::base(&web).await?,
        curl: Installer::find(&web).await?.curl,
        minutes: INVITE_LIFE.as_secs() / 60,
        problem: why.gone.map(|_| "That command has expired, or was made in another browser. Make a new one."),
    })
}

/// `POST /devices/new`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    MayForm { person, form: Nothing {}, .. }: MayForm<AddDevices, Nothing>,
) -> Result<Response, Problem> {
    let (cookie, to) = invite(&web, &person.actor(), &person.client).await?;

    Ok((CookieJar::new().add(cookie), to).into_response())
}

/// Makes an invite and leads to its page. The invite itself goes into a cookie of that page, so that reloading shows
/// it again while the server keeps only its hash.
pub(in crate::web) async fn invite(
    web: &Web,
    actor: &Actor,
    client: &Client,
) -> Result<(Cookie<'static>, Redirect), Problem> {
    actions::learn_address(&web.app, &client.asked_for).await?;
    let request = InviteRequest { expires_after: Some(INVITE_LIFE), ..InviteRequest::default() };
    let created = actions::create_invite(&web.app, actor, request).await?;
    let path = format!("/devices/new/{}", created.id);
    let to = Redirect::to(&path);

    Ok((invite_cookie(created.invite.to_string(), path, KEEP_FOR, client.is_secure), to))
}

/// Long enough to walk to the device, short enough that a forgotten terminal scroll-back admits nobody.
const INVITE_LIFE: Duration = Duration::from_secs(15 * 60);
/// The page still tells how it went when one comes back to it; the invite in it has expired by then.
const KEEP_FOR: Duration = Duration::from_secs(60 * 60);
