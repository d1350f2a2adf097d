//! The OpenAPI document and the page made from it.

use serde_json::Value;

use super::client::Client;
use crate::common::{TestApp, lint, text};

#[tokio::test]
async fn the_document_in_the_manual_is_the_one_that_is_served() {
    let server = TestApp::new().await;

    let served = Client::stranger(&server).get("/openapi.json").await.body;

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let text = format!("{served:#}\n");
    if std::env::var_os("WARREN_WRITE_OPENAPI").is_some() {
        std::fs::write(file, &text).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert!(kept == text, "write it anew: warren-rendezvous openapi > docs/openapi.json");
}

#[tokio::test]
async fn every_call_has_a_name_of_its_own_and_says_what_it_answers() {
    let server = TestApp::new().await;

    let document = Client::stranger(&server).get("/openapi.json").await.body;

    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let call = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{call}");
            assert!(operation["responses"].as_object().unwrap().keys().any(|status| status.starts_with('2')), "{call}");
            assert!(operation["x-problems"].as_array().unwrap().iter().all(Value::is_string), "{call}");
        }
    }
}

#[tokio::test]
async fn the_page_shows_every_call_to_everybody_without_script() {
    let server = TestApp::new().await;
    let document = Client::stranger(&server).get("/openapi.json").await.body;

    let stranger = server.visitor().get("/api").await;
    let person = server.admin().await.get("/api").await;

    for page in [&stranger, &person] {
        assert_eq!(page.status, 200);
        lint("/api", &page.body);
    }
    assert!(!stranger.body.contains("<script"));
    let words = text(&stranger.body);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(words.contains(&format!("{} /api/v1{path}", method.to_uppercase())), "{method} {path}");
            for code in operation["x-problems"].as_array().unwrap() {
                assert!(stranger.body.contains(&format!("id=\"problem-{}\"", code.as_str().unwrap())), "{code}");
            }
        }
    }
    assert!(words.contains("curl -X PATCH \"$WARREN/api/v1/devices/ID\""), "{words}");
}
