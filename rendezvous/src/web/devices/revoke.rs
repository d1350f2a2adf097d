//! `/devices/{id}/revoke`: says what a revocation breaks, and does it when that is confirmed.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{Html, Redirect};

use super::super::Web;
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::super::view::Device;
use super::{Nothing, device_id, show};
use crate::actions;
use crate::auth::{Admin, AdminForm};
use crate::domain::Actor;

#[derive(Template)]
#[template(path = "devices/revoke.html")]
struct RevokePage {
    shell: Shell,
    device: Device,
}

/// `GET /devices/{id}/revoke`: the question; the device's page shows the same one as a dialog.
pub(in crate::web) async fn page(
    State(web): State<Web>,
    admin: Admin,
    Path(id): Path<String>,
) -> Result<Html<String>, Problem> {
    let device = show::load(&web, device_id(&id)?).await?;
    page::html(&RevokePage { shell: Shell::of_admin(&web.app, &admin, "devices"), device })
}

/// `POST /devices/{id}/revoke`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    Path(id): Path<String>,
    AdminForm { admin, form: Nothing {} }: AdminForm<Nothing>,
) -> Result<Redirect, Problem> {
    actions::revoke_device(&web.app, &Actor::Admin(admin.name), device_id(&id)?).await?;

    Ok(Redirect::to("/devices?done=revoked"))
}
