//! `POST /devices/bulk`: does one thing to every device that was selected in the list. Revoking asks first.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use warren_proto::keys::NodeId;

use super::super::Web;
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::query::ListQuery;
use crate::actions::{self, TagChange};
use crate::auth::{Person, PersonForm};
use crate::domain::{Device, DeviceState, Right, may_on_device, parse_tags};
use crate::error::Error;

#[derive(Template)]
#[template(path = "devices/bulk_revoke.html")]
struct RevokePage {
    shell: Shell,
    devices: Vec<Named>,
    online: usize,
    back: String,
}

struct Named {
    id: String,
    name: String,
}

/// What is to be done, to which devices, and the list to go back to.
struct Order<'a> {
    verb: &'a str,
    tags: &'a str,
    back: ListQuery,
    devices: Vec<&'a str>,
}

impl<'a> Order<'a> {
    fn read(fields: &'a [(String, String)]) -> Self {
        let field =
            |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str());
        let back = field("back");
        Self {
            verb: field("do"),
            tags: field("tags"),
            back: serde_urlencoded::from_str(back.trim_start_matches('?')).unwrap_or_default(),
            devices: fields.iter().filter(|(name, _)| name == "device").map(|(_, value)| value.as_str()).collect(),
        }
    }

    /// To the list it came from, which says what was done.
    fn done(&self, word: &str) -> Response {
        let query = self.back.suffix();
        let next = if query.is_empty() { '?' } else { '&' };
        Redirect::to(&format!("/devices{query}{next}done={word}")).into_response()
    }
}

/// `POST /devices/bulk`
pub(in crate::web) async fn submit(
    State(web): State<Web>,
    PersonForm { person, form }: PersonForm<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let order = Order::read(&form);
    let devices = selected(&web, &person, &order.devices).await?;
    if devices.is_empty() {
        return Ok(order.done("none-selected"));
    }
    let (app, actor) = (&web.app, person.actor());
    let ids: Vec<NodeId> = devices.iter().map(|device| device.id).collect();
    let word = match order.verb {
        "hold" | "release" => {
            for id in ids {
                actions::hold_to_relay(app, &actor, id, order.verb == "hold").await?;
            }
            if order.verb == "hold" { "held" } else { "released" }
        }
        "tag" | "untag" => {
            let Some(tags) = parse_tags(order.tags).filter(|tags| !tags.is_empty()) else {
                return Ok(order.done("no-tag"));
            };
            let change = if order.verb == "tag" { TagChange::Add(tags) } else { TagChange::Remove(tags) };
            match actions::tag_devices(app, &actor, &ids, &change).await {
                Ok(_) => "tagged",
                Err(Error::TagsInvalid) => "no-tag",
                Err(other) => return Err(other.into()),
            }
        }
        "revoke" => return question(&web, &person, &devices, &order),
        "revoke-them" => {
            for id in ids {
                actions::revoke_device(app, &actor, id).await?;
            }
            "revoked-many"
        }
        _ => return Err(Problem::Unreadable),
    };
    Ok(order.done(word))
}

/// The active ones of these that the person may manage; one of somebody else's refuses them all.
async fn selected(web: &Web, person: &Person, ids: &[&str]) -> Result<Vec<Device>, Problem> {
    let mut devices = Vec::new();
    for id in ids.iter().take(MAX_SELECTED) {
        let id = NodeId::parse(id).ok_or(Problem::NotFound)?;
        let device = web.app.store().device(id).await?.ok_or(Problem::NotFound)?;
        if !may_on_device(person.role, person.id, Right::ManageDevices, &device) {
            return Err(Problem::NotFound);
        }
        if device.state == DeviceState::Active {
            devices.push(device);
        }
    }
    Ok(devices)
}

fn question(web: &Web, person: &Person, devices: &[Device], order: &Order<'_>) -> Result<Response, Problem> {
    let online = devices.iter().filter(|device| web.app.hub().is_online(device.id)).count();
    let named = devices.iter().map(|device| Named { id: device.id.to_string(), name: device.name.to_string() });
    let page = RevokePage {
        shell: Shell::of_person(&web.app, person, "devices"),
        devices: named.collect(),
        online,
        back: order.back.suffix(),
    };
    Ok(page::html(&page)?.into_response())
}

/// As many as a page of the list shows.
const MAX_SELECTED: usize = 100;
