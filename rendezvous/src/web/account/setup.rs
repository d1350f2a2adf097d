//! `/setup#TOKEN`: the one-time link makes the first administrator, who is then signed in and adds a first device.
//!
//! The token travels in the link's fragment, which browsers do not send; the page's script moves it into the form, and
//! without scripts the person pastes the link.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;

use super::super::Web;
use super::super::devices::add;
use super::super::format::sentence;
use super::super::page::Shell;
use super::super::problem::Problem;
use super::{for_visitor, retry_after, too_many};
use crate::actions;
use crate::auth::{NewPassword, Visitor, VisitorForm, session_cookie};
use crate::domain::Actor;
use crate::error::Error;

#[derive(Template)]
#[template(path = "account/setup.html")]
struct SetupPage {
    shell: Shell,
    link: String,
    name: String,
    problem: Option<String>,
    wrong_name: Option<String>,
    wrong_password: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::web) struct SetupForm {
    link: String,
    name: String,
    password: String,
}

/// `GET /setup`
pub(in crate::web) async fn page(State(web): State<Web>, visitor: Visitor) -> Result<Response, Problem> {
    if web.app.store().admin_count().await? > 0 {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    for_visitor(&visitor, StatusCode::OK, &SetupPage::blank(&web, &visitor))
}

/// `POST /setup`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    VisitorForm { visitor, form }: VisitorForm<SetupForm>,
) -> Result<Response, Problem> {
    let mut page = SetupPage::blank(&web, &visitor);
    page.link.clone_from(&form.link);
    page.name.clone_from(&form.name);
    if let Err(refused) = web.gate.throttle.attempt(visitor.client.address, "", web.app.now()) {
        let (words, header) = too_many(refused);
        page.problem = Some(words);
        return Ok(retry_after(for_visitor(&visitor, StatusCode::TOO_MANY_REQUESTS, &page)?, header));
    }
    let password = match NewPassword::parse(&form.password, &form.name) {
        Ok(password) => password,
        Err(weak) => {
            page.wrong_password = Some(sentence(weak.text()));
            return for_visitor(&visitor, StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let hash = web.gate.passwords.hash(password, web.app.random()).await.map_err(Problem::Internal)?;
    match actions::consume_setup_token(&web.app, &form.token(), &form.name, hash).await {
        Ok(user) => {
            let actor = Actor::User { id: user.id, name: user.name.clone() };
            let session = actions::begin_session(&web.app, (user.id, &user.name), &visitor.client, None).await?;
            let jar = CookieJar::new().add(session_cookie(&session, visitor.client.is_secure));
            return Ok(match add::invite(&web, &actor, &visitor.client).await {
                Ok((cookie, to)) => (jar.add(cookie), to).into_response(),
                // the account is made: who set it up from beside the server adds devices from somewhere else
                Err(Problem::AddressUnknown) => (jar, Redirect::to("/devices")).into_response(),
                Err(problem) => return Err(problem),
            });
        }
        Err(error @ (Error::AdminNameInvalid | Error::AdminNameTaken)) => {
            page.wrong_name = Some(sentence(&error.to_string()))
        }
        Err(error @ Error::SetupTokenInvalid) => page.problem = Some(sentence(&error.to_string())),
        Err(other) => return Err(other.into()),
    }
    for_visitor(&visitor, StatusCode::UNPROCESSABLE_ENTITY, &page)
}

impl SetupForm {
    /// The token of a pasted link, or what was pasted if that is the token itself.
    fn token(&self) -> String {
        self.link.trim().rsplit('#').next().unwrap_or_default().to_owned()
    }
}

impl SetupPage {
    fn blank(web: &Web, visitor: &Visitor) -> Self {
        Self {
            shell: Shell::of_visitor(&web.app, visitor),
            link: String::new(),
            name: String::new(),
            problem: None,
            wrong_name: None,
            wrong_password: None,
        }
    }
}
