//! Finds the mesh of this database, or makes it.

use anyhow::{Context, Result, bail};
use warren_proto::certificate::NetworkSigner;
use warren_proto::keys::{NetworkId, UnixTime};

use crate::config::Config;
use crate::domain::ula_prefix;
use crate::store::{NetworkRow, Store};

/// Finds the mesh, or makes one with the given id; refuses a database whose certificates this key did not sign.
pub async fn open_network(
    store: &Store,
    config: &Config,
    signer: &NetworkSigner,
    id: NetworkId,
    now: UnixTime,
) -> Result<NetworkRow> {
    let mut tx = store.begin().await.context("begin to write the database")?;
    if let Some(network) = tx.network().await.context("read the network")? {
        if network.signing_public != signer.public() {
            bail!(
                "the database {} belongs to another data directory: its network was signed by another key than network.key",
                config.database_url
            );
        }
        return Ok(network);
    }
    let network = NetworkRow {
        id,
        name: config.network_name.clone(),
        signing_public: signer.public(),
        v4: config.overlay_v4.to_string(),
        v6: ula_prefix(id).to_string(),
        public_host: None,
        control_addr: None,
        web_url: None,
        revision: 0,
    };
    tx.insert_network(&network, now).await.context("write the network")?;
    tx.commit().await.context("write the network")?;
    Ok(network)
}
