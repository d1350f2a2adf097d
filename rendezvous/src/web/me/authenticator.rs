//! `/account/authenticator`: an app for codes, set up by a QR code and confirmed by a first code.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;

use super::super::Web;
use super::super::account::{passkey::decode, refusal, retry_after, wait_of};
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::super::qr::Qr;
use super::{back, refused};
use crate::actions::{self, NewAuthenticator, RecoveryCodes};
use crate::auth::{Person, PersonForm, session_cookie};

#[derive(Template)]
#[template(path = "me/authenticator.html")]
struct AuthenticatorPage {
    shell: Shell,
    qr: Qr,
    uri: String,
    secret: String,
    sealed: String,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "me/recovery_codes.html")]
struct CodesPage {
    shell: Shell,
    codes: Vec<String>,
}

#[derive(Deserialize)]
pub(in crate::web) struct ConfirmForm {
    sealed: String,
    code: String,
}

#[derive(Deserialize)]
pub(in crate::web) struct CodeForm {
    code: String,
}

/// `GET /account/authenticator`: a secret that counts for nothing until its first code comes back.
pub(in crate::web) async fn page(State(web): State<Web>, person: Person) -> Result<Html<String>, Problem> {
    let new = actions::begin_authenticator(&web.app, &person);
    set_up_page(&web, &person, &new, None)
}

/// `POST /account/authenticator`
pub(in crate::web) async fn confirm(
    State(web): State<Web>,
    PersonForm { person, form }: PersonForm<ConfirmForm>,
) -> Result<Response, Problem> {
    let new = match actions::resume_authenticator(&web.app, &person, decode(&form.sealed)?) {
        Ok(new) => new,
        Err(error) => return refused(&web, &person, "authenticator", error).await,
    };
    match actions::confirm_authenticator(&web.app, &person, &new, &form.code).await {
        Ok(codes) => codes_page(&web, &person, codes).await,
        Err(error) => {
            let wait = wait_of(&error);
            let (status, words) = refusal(error)?;
            let page = set_up_page(&web, &person, &new, Some(words))?;
            Ok(retry_after((status, page).into_response(), wait))
        }
    }
}

/// `POST /account/authenticator/remove`
pub(in crate::web) async fn remove(
    State(web): State<Web>,
    PersonForm { person, form }: PersonForm<CodeForm>,
) -> Result<Response, Problem> {
    match actions::remove_authenticator(&web.app, &person, &form.code).await {
        Ok(()) => Ok(back("authenticator-removed")),
        Err(error) => refused(&web, &person, "authenticator", error).await,
    }
}

/// `POST /account/authenticator/codes`
pub(in crate::web) async fn renew(
    State(web): State<Web>,
    PersonForm { person, form }: PersonForm<CodeForm>,
) -> Result<Response, Problem> {
    match actions::replace_recovery_codes(&web.app, &person, &form.code).await {
        Ok(codes) => codes_page(&web, &person, codes).await,
        Err(error) => refused(&web, &person, "authenticator", error).await,
    }
}

fn set_up_page(
    web: &Web,
    person: &Person,
    new: &NewAuthenticator,
    problem: Option<String>,
) -> Result<Html<String>, Problem> {
    let uri = new.secret.uri(&format!("Warren {}", web.app.network().name), &person.name);
    page::html(&AuthenticatorPage {
        shell: Shell::of_person(&web.app, person, "account"),
        qr: Qr::of(&uri).map_err(Problem::Internal)?,
        uri,
        secret: new.secret.to_text(),
        sealed: data_encoding::BASE64URL_NOPAD.encode(&new.sealed),
        problem,
    })
}

/// The codes, this once: the answer to the form itself, since nothing may keep them until another request. The session is
/// a new one, whose forms the page already carries.
async fn codes_page(web: &Web, person: &Person, new: RecoveryCodes) -> Result<Response, Problem> {
    let person =
        person.continued(&web.app, &new.session).await?.ok_or(Problem::SignInFirst { next: "/".to_owned() })?;
    let cookie = session_cookie(&new.session, person.client.is_secure);
    let page = CodesPage { shell: Shell::of_person(&web.app, &person, "account"), codes: new.codes };
    Ok((StatusCode::OK, CookieJar::new().add(cookie), page::html(&page)?).into_response())
}
