//! `/api`: every call of the API with its parameters, an example and its problems, made from the OpenAPI document.
//!
//! The document is handed in by the router: pages and API know nothing of each other. Rendered once, for it is the same
//! for everybody; whether there is somebody to show a navigation to is all that differs.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use serde::Deserialize;
use serde_json::Value;

use super::Web;
use super::page::{self, Shell};
use super::problem::Problem;
use crate::auth::Person;
use crate::public;

#[derive(Template)]
#[template(path = "reference/show.html")]
struct ReferencePage<'a> {
    shell: Shell,
    base: String,
    reference: &'a Reference,
}

/// The API as people read it.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    groups: Vec<Group>,
    problems: Vec<Kind>,
}

#[derive(Clone, Debug)]
struct Group {
    name: String,
    anchor: String,
    calls: Vec<Call>,
}

#[derive(Clone, Debug)]
struct Call {
    anchor: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    /// The right that a token needs; "session" where none is enough.
    needs: String,
    parameters: Vec<Field>,
    body: Vec<Field>,
    answers: Vec<Answer>,
    problems: Vec<String>,
    example: String,
}

/// A parameter, or a field of a body.
#[derive(Clone, Debug)]
struct Field {
    name: String,
    place: String,
    kind: String,
    required: bool,
    description: String,
}

#[derive(Clone, Debug)]
struct Answer {
    status: String,
    description: String,
    fields: Vec<Field>,
}

/// What a problem code means.
#[derive(Clone, Debug, Deserialize)]
struct Kind {
    code: String,
    status: u16,
    title: String,
}

/// `GET /api`
pub(super) async fn page(State(web): State<Web>, person: Option<Person>) -> Result<Html<String>, Problem> {
    let shell = match &person {
        Some(person) => Shell::of_person(&web.app, person, "api"),
        None => Shell::bare(super::assets::shared()),
    };
    let base = public::web_url(web.app.config(), web.app.store().network().await?.as_ref());
    page::html(&ReferencePage { shell, base, reference: &web.reference })
}

impl Reference {
    /// Reads the document.
    pub(super) fn new(document: &Value) -> Self {
        let read: Document = serde_json::from_value(document.clone()).expect("the document is OpenAPI");
        let mut groups: Vec<Group> = Vec::new();
        for (path, methods) in &read.paths {
            for method in METHODS {
                let Some(operation) = methods.get(*method) else { continue };
                let name = operation.tags.first().cloned().unwrap_or_default();
                let call = Call::new(&read, path, method, operation);
                match groups.iter_mut().find(|group| group.name == name) {
                    Some(group) => group.calls.push(call),
                    None => groups.push(Group { anchor: name.to_lowercase(), name, calls: vec![call] }),
                }
            }
        }
        Self { groups, problems: read.problems }
    }
}

impl Call {
    fn new(document: &Document, path: &str, method: &str, operation: &Operation) -> Self {
        let parameters = operation.parameters.iter().map(|parameter| Field {
            name: parameter.name.clone(),
            place: parameter.place.clone(),
            kind: kind(&parameter.schema),
            required: parameter.required,
            description: parameter.description.clone(),
        });
        let wanted = operation.request_body.as_ref().and_then(|body| body.content.get("application/json"));
        let schema = wanted.map(|content| document.resolve(&content.schema));
        let answers = operation.responses.iter().filter(|(status, _)| status.starts_with('2'));
        Self {
            anchor: format!("{method}{}", path.replace(['/', '{', '}'], "-")),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: operation.summary.clone(),
            description: operation.description.clone(),
            needs: needs(&operation.security),
            parameters: parameters.collect(),
            body: schema.map(|schema| document.fields(schema)).unwrap_or_default(),
            answers: answers
                .map(|(status, response)| {
                    let content = response.content.get("application/json");
                    let fields = content.map(|content| document.fields(document.resolve(&content.schema)));
                    let description = response.description.clone();
                    Answer { status: status.clone(), description, fields: fields.unwrap_or_default() }
                })
                .collect(),
            problems: operation.problems.clone(),
            example: example(document, path, method, operation, schema),
        }
    }
}

/// A call that can be pasted, after the two variables of the page's head have been set.
fn example(document: &Document, path: &str, method: &str, operation: &Operation, body: Option<&Value>) -> String {
    let needed = operation.parameters.iter().filter(|parameter| parameter.required && parameter.place == "header");
    let mut lines = vec![format!("curl -X {} \"$WARREN/api/v1{}\"", method.to_uppercase(), filled(path))];
    if operation.security.iter().any(|scheme| scheme.contains_key("token")) {
        lines.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
    }
    lines.extend(needed.map(|parameter| {
        let value = if parameter.name == "if-match" { "*" } else { "..." };
        format!("-H '{}: {value}'", parameter.name)
    }));
    if let Some(schema) = body {
        lines.push(format!("--json '{}'", sample(document, schema)));
    }
    lines.join(" \\\n  ")
}

/// A path with what it varies in filled in as a shell would.
fn filled(path: &str) -> String {
    let mut filled = String::new();
    for (at, part) in path.split(['{', '}']).enumerate() {
        if at % 2 == 0 { filled.push_str(part) } else { filled.push_str(&part.to_uppercase()) }
    }
    filled
}

/// An object with the examples of its fields.
fn sample(document: &Document, schema: &Value) -> Value {
    let properties = schema["properties"].as_object();
    let fields = properties.into_iter().flatten().filter_map(|(name, field)| {
        let example = field.get("example").cloned().or_else(|| {
            let is_required = schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
            is_required.then(|| placeholder(document.resolve(field)))
        })?;
        Some((name.clone(), example))
    });
    Value::Object(fields.collect())
}

fn placeholder(schema: &Value) -> Value {
    match kind(schema).split(' ').next() {
        Some("boolean") => Value::Bool(true),
        Some("integer" | "number") => Value::from(1),
        Some("list") => Value::Array(Vec::new()),
        _ => Value::from("..."),
    }
}

/// A schema in a word or two.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return name.to_owned();
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let named = choices.iter().filter(|choice| choice["type"] != "null").map(kind);
        return format!("{} or null", named.collect::<Vec<_>>().join(" or "));
    }
    let kinds = &schema["type"];
    let names: Vec<&str> = kinds.as_array().into_iter().flatten().chain([kinds]).filter_map(Value::as_str).collect();
    if names.is_empty() {
        return "any".to_owned();
    }
    let words = names.into_iter().map(|name| match name {
        "array" => format!("list of {}", kind(&schema["items"])),
        "string" => match schema["format"].as_str() {
            Some("date-time") => "time".to_owned(),
            Some("uuid") => "id".to_owned(),
            _ => "string".to_owned(),
        },
        other => other.to_owned(),
    });
    words.collect::<Vec<_>>().join(" or ")
}

fn needs(security: &[BTreeMap<String, Vec<String>>]) -> String {
    let token = security.iter().find_map(|scheme| scheme.get("token"));
    match token {
        Some(rights) if rights.is_empty() => "any token".to_owned(),
        Some(rights) => rights.join(", "),
        None if security.iter().any(|scheme| scheme.contains_key("session")) => "a person in a browser".to_owned(),
        None => "nothing: it is public".to_owned(),
    }
}

/// As much of OpenAPI 3.1 as is shown.
#[derive(Deserialize)]
struct Document {
    paths: BTreeMap<String, BTreeMap<String, Operation>>,
    components: Value,
    #[serde(rename = "x-problems")]
    problems: Vec<Kind>,
}

#[derive(Deserialize)]
struct Operation {
    tags: Vec<String>,
    summary: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Vec<Parameter>,
    #[serde(default, rename = "requestBody")]
    request_body: Option<Message>,
    responses: BTreeMap<String, Message>,
    #[serde(default)]
    security: Vec<BTreeMap<String, Vec<String>>>,
    #[serde(rename = "x-problems")]
    problems: Vec<String>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    #[serde(rename = "in")]
    place: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    description: String,
    schema: Value,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    description: String,
    #[serde(default)]
    content: BTreeMap<String, Content>,
}

#[derive(Deserialize)]
struct Content {
    schema: Value,
}

impl Document {
    /// The schema that a reference means.
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next());
        name.and_then(|name| self.components["schemas"].get(name)).unwrap_or(schema)
    }

    /// The fields of an object, of the parts it is composed of, and of the things in a list.
    fn fields(&self, schema: &Value) -> Vec<Field> {
        let parts = schema["allOf"].as_array().into_iter().flatten();
        let mut fields: Vec<Field> = parts.flat_map(|part| self.fields(self.resolve(part))).collect();
        let required =
            |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            fields.push(Field {
                name: name.clone(),
                place: String::new(),
                kind: kind(field),
                required: required(name),
                description: field["description"].as_str().unwrap_or_default().to_owned(),
            });
            if name == "items" && field["type"] == "array" {
                let nested = self.fields(self.resolve(&field["items"]));
                fields
                    .extend(nested.into_iter().map(|field| Field { name: format!("items[].{}", field.name), ..field }));
            }
        }
        fields
    }
}

/// In the order in which a page lists them.
const METHODS: &[&str] = &["get", "post", "put", "patch", "delete"];
