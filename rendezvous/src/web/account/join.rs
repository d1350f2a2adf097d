//! `/join#TOKEN`: a link makes an account of the role it was made for; whoever opens it is then signed in.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Redirect, Response};
use serde::Deserialize;

use super::super::Web;
use super::super::page::Shell;
use super::super::problem::Problem;
use super::{for_visitor, refusal, retry_after, wait_of, with_cookie};
use crate::actions;
use crate::auth::{NewPassword, Visitor, VisitorForm, session_cookie};
use crate::error::Error;

#[derive(Template)]
#[template(path = "account/join.html")]
struct JoinPage {
    shell: Shell,
    account: NewAccount,
}

/// What the form of a new account shows.
#[derive(Clone, Debug, Default)]
pub(super) struct NewAccount {
    pub(super) link: String,
    pub(super) name: String,
    pub(super) problem: Option<String>,
    pub(super) wrong_name: Option<String>,
    pub(super) wrong_password: Option<String>,
}

/// What it is filled with.
#[derive(Deserialize)]
pub(in crate::web) struct NewAccountForm {
    pub(super) link: String,
    #[serde(default)]
    pub(super) name: String,
    pub(super) password: String,
}

/// `GET /join`
pub(in crate::web) async fn page(State(web): State<Web>, visitor: Visitor) -> Result<Response, Problem> {
    let page = JoinPage { shell: Shell::of_visitor(&web.app, &visitor), account: NewAccount::default() };
    for_visitor(&visitor, StatusCode::OK, &page)
}

/// `POST /join`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    VisitorForm { visitor, form }: VisitorForm<NewAccountForm>,
) -> Result<Response, Problem> {
    let made: Result<_, Error> = async {
        let hash = form.hash(&web, &visitor).await?;
        actions::accept_user_invite(&web.app, form.token(), &form.name, hash).await
    }
    .await;
    let error = match made {
        Ok(user) => {
            let session = actions::begin_session(&web.app, (user.id, &user.name), &visitor.client, None).await?;
            return Ok(with_cookie(session_cookie(&session, visitor.client.is_secure), Redirect::to("/")));
        }
        Err(error) => error,
    };
    let wait = wait_of(&error);
    let (status, account) = form.refused(error)?;
    let page = JoinPage { shell: Shell::of_visitor(&web.app, &visitor), account };
    Ok(retry_after(for_visitor(&visitor, status, &page)?, wait))
}

impl NewAccountForm {
    /// The token of a pasted link, or what was pasted if that is the token itself.
    pub(super) fn token(&self) -> &str {
        self.link.trim().rsplit('#').next().unwrap_or_default()
    }

    /// The hash of the password, if it will do. The attempt at a link counts before anything else is done for it.
    pub(super) async fn hash(&self, web: &Web, visitor: &Visitor) -> Result<String, Error> {
        actions::count_client(&web.app, visitor.client.address).await?;
        let password =
            NewPassword::parse(&self.password, &self.name).map_err(|weak| Error::PasswordRefused(weak.text()))?;
        Ok(web.passwords.hash(password, web.app.random()).await?)
    }

    /// The form again, with what is wrong beside the field that it is wrong in; never with the password.
    pub(super) fn refused(self, error: Error) -> Result<(StatusCode, NewAccount), Problem> {
        let mut account = NewAccount { link: self.link, name: self.name, ..NewAccount::default() };
        let place = if matches!(error, Error::AdminNameInvalid | Error::AdminNameTaken) {
            &mut account.wrong_name
        } else if matches!(error, Error::PasswordRefused(_)) {
            &mut account.wrong_password
        } else {
            &mut account.problem
        };
        let (status, words) = refusal(error)?;
        *place = Some(words);
        Ok((status, account))
    }
}
