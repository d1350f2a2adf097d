//! `/setup#TOKEN`: the one-time link makes the first administrator, who is then signed in and adds a first device.
//!
//! The token travels in the link's fragment, which browsers do not send; the page's script moves it into the form, and
//! without scripts the person pastes the link.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::cookie::CookieJar;

use super::super::Web;
use super::super::devices::add;
use super::super::page::Shell;
use super::super::problem::Problem;
use super::join::{NewAccount, NewAccountForm};
use super::{for_visitor, retry_after, wait_of};
use crate::actions;
use crate::auth::{Visitor, VisitorForm, session_cookie};
use crate::domain::Actor;
use crate::error::Error;

#[derive(Template)]
#[template(path = "account/setup.html")]
struct SetupPage {
    shell: Shell,
    account: NewAccount,
}

/// `GET /setup`
pub(in crate::web) async fn page(State(web): State<Web>, visitor: Visitor) -> Result<Response, Problem> {
    if web.app.store().admin_count().await? > 0 {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    let page = SetupPage { shell: Shell::of_visitor(&web.app, &visitor), account: NewAccount::default() };
    for_visitor(&visitor, StatusCode::OK, &page)
}

/// `POST /setup`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    VisitorForm { visitor, form }: VisitorForm<NewAccountForm>,
) -> Result<Response, Problem> {
    let made: Result<_, Error> = async {
        let hash = form.hash(&web, &visitor).await?;
        actions::consume_setup_token(&web.app, form.token(), &form.name, hash).await
    }
    .await;
    let error = match made {
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
        Err(error @ Error::AccountsFull) => return Err(error.into()),
        Err(error) => error,
    };
    let wait = wait_of(&error);
    let (status, account) = form.refused(error)?;
    let page = SetupPage { shell: Shell::of_visitor(&web.app, &visitor), account };
    Ok(retry_after(for_visitor(&visitor, status, &page)?, wait))
}
