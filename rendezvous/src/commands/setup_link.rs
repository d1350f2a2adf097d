//! `setup-link`: prints the one-time link of the first administrator.

use anyhow::{Result, bail};

use super::open;
use crate::actions::create_setup_token;
use crate::config::Config;

pub(super) async fn setup_link(config: Config) -> Result<()> {
    let app = open(config).await?;
    let link = create_setup_token(&app).await?;
    app.store().close().await;
    let Some(link) = link else {
        bail!("there is an administrator already; make another with `warren-rendezvous admin create NAME`");
    };
    println!("{link}");
    Ok(())
}
