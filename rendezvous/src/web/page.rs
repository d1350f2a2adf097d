//! What every page has around its content, and how a template becomes a response.

use askama::Template;
use axum::response::Html;

use super::assets::{self, Assets};
use super::format::Moment;
use super::problem::Problem;
use crate::app::App;
use crate::auth::{Admin, FormSecret, Visitor};

/// The frame of a page.
#[derive(Clone, Debug)]
pub(super) struct Shell {
    pub(super) assets: &'static Assets,
    /// Who is signed in.
    pub(super) person: Option<String>,
    /// For each form of this page.
    pub(super) form_token: String,
    /// The entry of the navigation that is current.
    pub(super) section: &'static str,
    /// When the page was made.
    pub(super) as_of: Moment,
}

impl Shell {
    /// Around a page of a signed-in administrator.
    pub(super) fn of_admin(app: &App, admin: &Admin, section: &'static str) -> Self {
        Self { person: Some(admin.name.clone()), section, ..Self::with_forms(app, &admin.form_secret) }
    }

    /// Around a page that needs no sign-in.
    pub(super) fn of_visitor(app: &App, visitor: &Visitor) -> Self {
        Self::with_forms(app, &visitor.form_secret())
    }

    fn with_forms(app: &App, secret: &FormSecret) -> Self {
        let as_of = Moment::new(app.now(), app.now());
        Self { form_token: secret.masked(app.random()), as_of, ..Self::bare(assets::shared()) }
    }

    /// Around a page without forms.
    pub(super) fn bare(assets: &'static Assets) -> Self {
        let as_of = Moment::default();
        Self { assets, person: None, form_token: String::new(), section: "", as_of }
    }
}

/// Renders a page.
pub(super) fn html(page: &impl Template) -> Result<Html<String>, Problem> {
    Ok(Html(page.render()?))
}
