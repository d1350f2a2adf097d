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

    /// Where whoever is signed in may go.
    pub(super) fn all_places(&self) -> Vec<&'static Place> {
        let may = |place: &&Place| place.needs.is_none_or(|right| self.may(right));
        PLACES.iter().filter(may).collect()
    }

    /// The entries of the main navigation: of what is set up once, the first stands for all.
    pub(super) fn places(&self) -> Vec<Place> {
        let all = self.all_places();
        let set_up: Vec<&Place> = all.iter().copied().filter(|place| place.is_set_up).collect();
        let words = |first: &Place| if set_up.len() > 1 { "Settings" } else { first.words };
        let first = set_up.first().map(|first| Place { words: words(first), ..**first });
        all.iter().filter(|place| !place.is_set_up).map(|place| **place).chain(first).collect()
    }

    /// What there is beside the page, where it is one of those that are set up once; empty elsewhere.
    pub(super) fn places_beside(&self) -> Vec<&'static Place> {
        let set_up: Vec<_> = self.all_places().into_iter().filter(|place| place.is_set_up).collect();
        let is_there = set_up.len() > 1 && set_up.iter().any(|place| place.section == self.section);
        if is_there { set_up } else { Vec::new() }
    }

    /// Whether the page is behind this entry of the main navigation.
    pub(super) fn is_at(&self, place: &Place) -> bool {
        let is_set_up = || PLACES.iter().any(|other| other.is_set_up && other.section == self.section);
        place.section == self.section || place.is_set_up && is_set_up()
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

/// Where one can go from everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) href: &'static str,
    /// In the navigation.
    pub(super) words: &'static str,
    /// Where it stands alone.
    pub(super) title: &'static str,
    /// The pages behind it.
    pub(super) section: &'static str,
    /// Reached by `g` and this key; empty for none.
    pub(super) key: &'static str,
    /// Whether one goes there to set something up, and seldom afterwards: these share one entry, and a row of their own.
    is_set_up: bool,
    /// Whom links there are of use to.
    needs: Option<Right>,
}

impl Place {
    const fn new(href: &'static str, words: &'static str, section: &'static str, needs: Option<Right>) -> Self {
        Self { href, words, title: words, section, key: "", is_set_up: false, needs }
    }

    const fn key(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    const fn set_up(self, title: &'static str) -> Self {
        Self { title, is_set_up: true, ..self }
    }
}

/// In the order in which they stand.
const PLACES: &[Place] = &[
    Place::new("/", "Overview", "overview", Some(Right::ReadMesh)).key("o"),
    Place::new("/devices", "Devices", "devices", None).key("d"),
    Place::new("/map", "Map", "map", Some(Right::ReadMesh)).key("m"),
    Place::new("/activity", "Activity", "activity", Some(Right::ReadActivity)).key("a"),
    Place::new("/settings", "Network", "settings", Some(Right::ManageServer)).set_up("Settings").key("s"),
    Place::new("/keys", "Keys", "keys", Some(Right::ManageInvites)).set_up("Enrolment keys").key("k"),
    Place::new("/users", "Users", "users", Some(Right::ManageUsers)).set_up("Users").key("u"),
    Place::new("/tokens", "Tokens", "tokens", None).set_up("API tokens").key("t"),
    Place::new("/system", "System", "system", Some(Right::ManageServer)).set_up("System").key("y"),
];

/// Renders a page.
pub(super) fn html(page: &impl Template) -> Result<Html<String>, Problem> {
    Ok(Html(page.render()?))
}
