//! What every page has around its content, and how a template becomes a response.

use askama::Template;
use axum::response::Html;

use super::assets::{self, Assets};
use super::format::Moment;
use super::problem::Problem;
use crate::app::App;
use crate::auth::{FormSecret, Person, Visitor};
use crate::domain::{Right, Role};

/// The frame of a page.
#[derive(Clone, Debug)]
pub(super) struct Shell {
    pub(super) assets: &'static Assets,
    /// Who is signed in.
    pub(super) person: Option<String>,
    /// What they may do, and so what the navigation leads to.
    pub(super) role: Option<Role>,
    /// For each form of this page.
    pub(super) form_token: String,
    /// The entry of the navigation that is current.
    pub(super) section: &'static str,
    /// When the page was made.
    pub(super) as_of: Moment,
}

impl Shell {
    /// Around a page of somebody who is signed in.
    pub(super) fn of_person(app: &App, person: &Person, section: &'static str) -> Self {
        Self {
            person: Some(person.name.clone()),
            role: Some(person.role),
            section,
            ..Self::with_forms(app, &person.form_secret)
        }
    }

    /// Around a page that needs no sign-in.
    pub(super) fn of_visitor(app: &App, visitor: &Visitor) -> Self {
        Self::with_forms(app, &visitor.form_secret())
    }

    /// Their name, on pages that only somebody who is signed in sees.
    pub(super) fn person_name(&self) -> &str {
        self.person.as_deref().unwrap_or_default()
    }

    /// Whether whoever is signed in has a right: links that lead to a refusal are not shown.
    pub(super) fn may(&self, right: Right) -> bool {
        self.role.is_some_and(|role| role.has(right))
    }

    /// Whether whoever is signed in may bring a device of their own.
    pub(super) fn may_add_devices(&self) -> bool {
        self.role.is_some_and(Role::may_add_devices)
    }

    fn with_forms(app: &App, secret: &FormSecret) -> Self {
        let as_of = Moment::new(app.now(), app.now());
        Self { form_token: secret.masked(app.random()), as_of, ..Self::bare(assets::shared()) }
    }

    /// Around a page without forms.
    pub(super) fn bare(assets: &'static Assets) -> Self {
        let as_of = Moment::default();
        Self { assets, person: None, role: None, form_token: String::new(), section: "", as_of }
    }
}

/// Renders a page.
pub(super) fn html(page: &impl Template) -> Result<Html<String>, Problem> {
    Ok(Html(page.render()?))
}
