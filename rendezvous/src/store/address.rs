//! Which overlay IPv4 addresses are taken. IPv6 addresses follow from the device id and cannot collide.

use std::net::Ipv4Addr;

use warren_proto::keys::{NodeId, UnixTime};

use super::value::{millis, parsed, uuid};
use super::{Result, Tx, on_tx, statements};

statements! {
    TAKEN = "SELECT COUNT(*) FROM address WHERE address = $1";
    ALL = "SELECT address FROM address";
    INSERT = "INSERT INTO address (address, device_id, allocated_at) VALUES ($1, $2, $3)";
    RELEASE = "DELETE FROM address WHERE device_id = $1";
}

impl Tx {
    /// Whether some device holds this address.
    pub async fn address_taken(&mut self, address: Ipv4Addr) -> Result<bool> {
        let (count,): (i64,) = on_tx!(self, db => sqlx::query_as(TAKEN).bind(address.to_string()).fetch_one(db).await?);
        Ok(count > 0)
    }

    /// Every address in use.
    pub async fn addresses(&mut self) -> Result<Vec<Ipv4Addr>> {
        let rows: Vec<(String,)> = on_tx!(self, db => sqlx::query_as(ALL).fetch_all(db).await?);
        rows.into_iter().map(|(address,)| parsed(address.parse().ok(), "address")).collect()
    }

    /// Gives an address to a device.
    pub async fn insert_address(&mut self, address: Ipv4Addr, device: NodeId, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(address.to_string()).bind(uuid(device)).bind(millis(now)).execute(db).await.map(drop))
    }

    /// Takes a device's addresses back.
    pub async fn release_addresses(&mut self, device: NodeId) -> Result<()> {
        on_tx!(self, db => sqlx::query(RELEASE).bind(uuid(device)).execute(db).await.map(drop))
    }
}
