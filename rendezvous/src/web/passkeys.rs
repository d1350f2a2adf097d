//! Whether passkeys work in a request, and in which words they do not.

use super::Web;
use super::problem::Problem;
use crate::auth::{Client, NoRelyingParty, RelyingParty};
use crate::public;

/// What a page says of passkeys.
#[derive(Clone, Debug)]
pub(super) enum Passkeys {
    /// They work, for this site.
    Here(RelyingParty),
    /// Not in this request, and why.
    Not(String),
}

/// Whether they work for this browser.
pub(super) async fn passkeys(web: &Web, client: &Client) -> Result<Passkeys, Problem> {
    let url = public::web_url(web.app.config(), web.app.store().network().await?.as_ref());
    Ok(match RelyingParty::of(&client.asked_for, client.is_secure, &url) {
        Ok(site) => Passkeys::Here(site),
        Err(NoRelyingParty::BareAddress) => Passkeys::Not(
            "Passkeys need a domain name: browsers make none for an address. Give this server a name and set it as \
             public-addr to use them."
                .to_owned(),
        ),
        Err(NoRelyingParty::Elsewhere(url)) => Passkeys::Not(format!("Passkeys work only at {url}.")),
    })
}

impl Passkeys {
    /// The site, for a handler that cannot do without.
    pub(super) fn site(self) -> Result<RelyingParty, Problem> {
        match self {
            Self::Here(site) => Ok(site),
            Self::Not(_) => Err(Problem::NotFound),
        }
    }

    /// Whether to offer them.
    pub(super) fn are_here(&self) -> bool {
        matches!(self, Self::Here(_))
    }

    /// Why not.
    pub(super) fn why_not(&self) -> &str {
        match self {
            Self::Here(_) => "",
            Self::Not(why) => why,
        }
    }
}
