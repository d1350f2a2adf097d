//! Sign-ins and registrations that take two requests: what the first leaves for the second, which gets it once.

use std::time::Duration;

use sqlx::types::Uuid;

use crate::app::App;
use crate::auth::Token;
use crate::error::Error;
use crate::store::Ceremony;

/// What is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Somebody was sent to an OpenID provider.
    Oidc,
    /// A passkey is to be made.
    PasskeyCreation,
    /// A passkey is to sign somebody in.
    PasskeySignIn,
    /// The password was right, and a code is asked for.
    SecondFactor,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::PasskeyCreation => "passkey-creation",
            Self::PasskeySignIn => "passkey-sign-in",
            Self::SecondFactor => "second-factor",
        }
    }
}

/// Begins a ceremony; who brings the token back goes on with it.
pub(super) async fn begin(app: &App, kind: Kind, user_id: Option<Uuid>, state: String) -> Result<Token, Error> {
    let now = app.now();
    let token = Token::new(app.random());
    let mut tx = app.store().begin().await?;
    tx.trim_ceremonies(MAX_AT_ONCE, now).await?;
    let ceremony = Ceremony { user_id, state, expires_at: now.plus(TIME) };
    tx.insert_ceremony(&token.digest(), kind.name(), &ceremony).await?;
    tx.commit().await?;
    Ok(token)
}

/// To find the telephone, unlock it and type.
const TIME: Duration = Duration::from_secs(600);
/// Rows of 200 bytes to 1 KB; a flood drops the oldest, whose owners begin again.
const MAX_AT_ONCE: u32 = 10_000;
