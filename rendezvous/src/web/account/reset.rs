//! `/reset#TOKEN`: a link gives an account another password; whoever opens it then signs in with it.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Redirect, Response};

use super::super::Web;
use super::super::page::Shell;
use super::super::problem::Problem;
use super::join::{NewAccount, NewAccountForm};
use super::{for_visitor, retry_after, wait_of, with_cookie};
use crate::actions;
use crate::auth::{Visitor, VisitorForm, clear_cookie};
use crate::error::Error;

#[derive(Template)]
#[template(path = "account/reset.html")]
struct ResetPage {
    shell: Shell,
    account: NewAccount,
}

/// `GET /reset`
pub(in crate::web) async fn page(State(web): State<Web>, visitor: Visitor) -> Result<Response, Problem> {
    let page = ResetPage { shell: Shell::of_visitor(&web.app, &visitor), account: NewAccount::default() };
    for_visitor(&visitor, StatusCode::OK, &page)
}

/// `POST /reset`. No session begins here: an account with an authenticator app asks for its code as always.
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    VisitorForm { visitor, mut form }: VisitorForm<NewAccountForm>,
) -> Result<Response, Problem> {
    let changed: Result<_, Error> = async {
        form.name = actions::reset_link_user(&web.app, form.token()).await?.name;
        let hash = form.hash(&web, &visitor).await?;
        actions::use_reset_link(&web.app, form.token(), &hash).await
    }
    .await;
    let Err(error) = changed else {
        return Ok(with_cookie(clear_cookie(visitor.client.is_secure), Redirect::to("/sign-in")));
    };
    let wait = wait_of(&error);
    let (status, account) = form.refused(error)?;
    let page = ResetPage { shell: Shell::of_visitor(&web.app, &visitor), account };
    Ok(retry_after(for_visitor(&visitor, status, &page)?, wait))
}
