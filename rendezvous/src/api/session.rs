//! `/session`: the session of the browser that calls.

use axum::extract::State;
use axum::http::StatusCode;

use super::caller::InPerson;
use super::problem::Problem;
use crate::actions;
use crate::app::App;

/// Sign out
#[utoipa::path(delete, path = "/session", tag = "Account",
    responses((status = 204, description = "The session has ended.")), security(("session" = [])),
    extensions(("x-problems" = json!(["session-needed"]))))]
pub(super) async fn end(State(app): State<App>, InPerson(person): InPerson) -> Result<StatusCode, Problem> {
    if let Some(session) = person.session() {
        actions::sign_out(&app, &person.actor(), &person.name, session).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
