//! The pages in headless Chromium: `journey.mjs` drives and looks, this test is the world around the browser.
//!
//! Needs chromium, node and the packages of `package.json` (`npm ci` in this directory). Where one is missing the test
//! says so and passes, but not in CI. Screenshots of every page go to `target/tmp/dashboard`.

mod stage;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::common::TestApp;
use stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sets_up_adds_devices_watches_renames_and_revokes() {
    let Some(chromium) = chromium() else { return };
    let agents = tempfile::tempdir().unwrap();
    std::fs::write(agents.path().join("warren-linux-x86_64"), "nobody runs it here").unwrap();
    let server = TestApp::at_present(&format!("{LOOPBACK}agent-dir = {:?}", agents.path())).await;
    let setup = server.setup_token().await;
    let addresses = server.serve().await;
    let base = format!("http://{}", addresses.web);
    let mut journey = Command::new("node")
        .arg("journey.mjs")
        .current_dir(here())
        .envs([("BASE", base.as_str()), ("SETUP", setup.as_str()), ("CHROMIUM", chromium.to_str().unwrap())])
        .env("SHOTS", Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stage = Stage::new(server, addresses.control);
    let mut replies = journey.stdin.take().unwrap();
    let mut lines = BufReader::new(journey.stdout.take().unwrap()).lines();

    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(order) = line.strip_prefix("@stage ") {
            let reply = stage.play(&serde_json::from_str(order).unwrap()).await;
            replies.write_all(format!("{reply}\n").as_bytes()).await.unwrap();
        } else {
            println!("{line}");
        }
    }

    assert!(journey.wait().await.unwrap().success(), "the journey failed; its words are above");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_join_prove_themselves_by_passkey_and_code_and_are_removed() {
    let Some(chromium) = chromium() else { return };
    let server = TestApp::at_present(LOOPBACK).await;
    let setup = server.setup_token().await;
    // browsers know passkeys for names only, and this name without TLS
    let base = format!("http://localhost:{}", server.serve().await.web.port());

    let now = server.app.now().as_secs().to_string();
    let journey = Command::new("node")
        .arg("accounts.mjs")
        .current_dir(here())
        .envs([("BASE", base.as_str()), ("SETUP", setup.as_str()), ("NOW", now.as_str())])
        .env("CHROMIUM", chromium)
        .env("SHOTS", Path::new(env!("CARGO_TARGET_TMPDIR")).join("accounts"))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();

    let words = String::from_utf8_lossy(&journey.stdout);
    assert!(journey.status.success(), "{words}{}", String::from_utf8_lossy(&journey.stderr));
}

#[tokio::test]
async fn the_scripts_hold_their_types() {
    if chromium().is_none() {
        return;
    }
    let compiler = here().join("node_modules/.bin/tsc");

    let checked = Command::new(compiler).args(["-p", "."]).current_dir(here()).output().await.unwrap();

    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// The browser, if all that a journey needs is here.
fn chromium() -> Option<PathBuf> {
    let chromium = PathBuf::from("/usr/bin/chromium");
    let missing = if !chromium.exists() {
        "chromium is not installed"
    } else if !here().join("node_modules").exists() {
        "run `npm ci` in rendezvous/tests/it/browser"
    } else {
        return Some(chromium);
    };
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must not skip: {missing}");
    println!("skipped: {missing}");
    None
}

/// Every socket on the loopback, and no TLS, of which the browser would only complain.
const LOOPBACK: &str = "
    tls = \"proxy\"
    web-listen = \"127.0.0.1:0\"
    quic-listen = \"127.0.0.1:0\"
    stun-listen = \"127.0.0.1:0\"
    relay-listen = \"127.0.0.1:0\"
";

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/browser")
}
