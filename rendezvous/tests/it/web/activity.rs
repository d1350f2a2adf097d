//! The activity page.

use crate::common::{TestApp, text};

#[tokio::test]
async fn every_change_is_told_with_who_made_it() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let device = server.device("laptop", 1).await;
    let path = format!("/devices/{}", device.id);
    let page = browser.get(&path).await;
    browser.submit(&page, &format!("{path}/rename"), &[("name", "kitchen")]).await;
    browser.submit(&page, &format!("{path}/revoke"), &[]).await;

    let shown = text(&browser.get("/activity").await.body);

    for sentence in [
        "ada signed in",
        "created the account ada",
        "ada renamed kitchen (laptop to kitchen)",
        "ada revoked kitchen",
        "kitchen joined",
    ] {
        assert!(shown.contains(sentence), "{sentence} in {shown}");
    }
}
