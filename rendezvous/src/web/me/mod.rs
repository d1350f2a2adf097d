//! `/account`: what people do to their own account.

pub(super) mod authenticator;
pub(super) mod page;
pub(super) mod passkeys;
pub(super) mod password;
pub(super) mod provider;
pub(super) mod sessions;

use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::Web;
use super::account::{refusal, retry_after, wait_of};
use super::problem::Problem;
use crate::auth::Person;
use crate::error::Error;

use page::{Trouble, account_page};

/// A form without fields of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// `?done=WORD`, what the form before this page has done.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

impl Done {
    /// The sentence for a word of ours; somebody else's words are never shown.
    fn sentence(&self) -> Option<&'static str> {
        Some(match self.done.as_str() {
            "authenticator-removed" => "The authenticator app is switched off, and its recovery codes work no more.",
            "ended" => "Signed out there. That browser has to sign in again.",
            "passkey-added" => "The passkey is added. It signs you in without a password.",
            "passkey-removed" => "The passkey is removed. Delete it from the device or password manager as well.",
            "password-changed" => "The password is changed. Every other browser has been signed out.",
            "unlinked" => "The provider signs you in here no more.",
            "linked" => "Linked. You can sign in there from here on.",
            "renamed" => "Renamed. You sign in with the new name from here on.",
            _ => return None,
        })
    }
}

fn back(done: &str) -> Response {
    Redirect::to(&format!("/account?done={done}")).into_response()
}

/// The page again, with what is wrong in the section it is wrong in.
async fn refused(web: &Web, person: &Person, section: &'static str, error: Error) -> Result<Response, Problem> {
    let wait = wait_of(&error);
    let (status, text) = refusal(error)?;
    let page = account_page(web, person, None, Some(Trouble { section, text })).await?;
    Ok(retry_after((status, page).into_response(), wait))
}
