//! Schemathesis reads the document and calls everything in it with what nobody would think of: no answer may be a server
//! error, and none may say what the document does not.
//!
//! Needs the Python environment of `cargo xtask setup`. Where it is missing the test says so and passes, but not in CI.

use std::path::{Path, PathBuf};

use tokio::process::Command;
use warren_rendezvous::web_server::WebServer;

use crate::common::TestApp;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_makes_the_server_fail_or_say_what_it_did_not_promise() {
    let Some(program) = schemathesis() else { return };
    let server = TestApp::at_present(LOOPBACK).await;
    let browser = server.admin().await;
    let (name, value) = browser.cookies.iter().find(|(name, _)| *name == "warren").unwrap();
    server.device("laptop", 1).await;
    server.device("desktop", 2).await;
    // the web server alone: nobody is to call what webhooks are made up here
    let web = WebServer::bind(&server.app).await.unwrap();
    let base = format!("http://{}/api/v1", web.addr());
    tokio::spawn(web.run());

    let checked = Command::new(program)
        .args(["run", &format!("{base}/openapi.json"), "--url", &base, "-H", &format!("Cookie: {name}={value}")])
        .args(["-H", "Sec-Fetch-Site: same-origin"])
        // a stream does not end, without its session the rest says "sign in", and a test would call
        .args(["--exclude-path", "/events", "--exclude-path", "/session", "--exclude-path", "/webhooks/{id}/test"])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"])
        .args(["--checks", "response_schema_conformance,response_headers_conformance,unsupported_method"])
        .args([
            "--rate-limit",
            "18/s",
            "--max-time",
            "50",
            "--max-examples",
            "12",
            "--seed",
            "7",
            "--phases",
            "examples,coverage,fuzzing",
        ])
        .args(["--no-color", "--request-timeout", "10"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .await
        .unwrap();

    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// The program, if it is here.
fn schemathesis() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("python/bin/schemathesis");
    if program.exists() {
        return Some(program);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must not skip: run `cargo xtask setup`");
    println!("skipped: run `cargo xtask setup`");
    None
}

/// Every socket on the loopback, and no TLS.
const LOOPBACK: &str = "
    tls = \"proxy\"
    web-listen = \"127.0.0.1:0\"
    quic-listen = \"127.0.0.1:0\"
    stun-listen = \"127.0.0.1:0\"
    relay-listen = \"127.0.0.1:0\"
";
