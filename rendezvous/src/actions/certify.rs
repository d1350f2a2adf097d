//! Makes a device's certificate say what its row says.

use std::time::Duration;

use anyhow::Context;
use warren_proto::certificate::Certificate;
use warren_proto::keys::UnixTime;

use crate::app::App;
use crate::domain::Device;
use crate::error::Error;

/// Signs a new certificate for the device as it is described, under the next epoch.
pub(super) fn certify(app: &App, device: &mut Device) -> Result<(), Error> {
    let now = app.now();
    device.epoch += 1;
    device.not_after = UnixTime::from_secs(now.as_secs()).plus(VALID_FOR);
    device.certificate = Certificate {
        network: app.network().id,
        node: device.id,
        name: device.name.to_string(),
        v4: device.v4,
        v6: device.v6,
        static_key: device.static_key,
        identity_key: device.identity_key,
        routes: Vec::new(),
        not_before: UnixTime::from_secs(now.as_secs()),
        not_after: device.not_after,
        epoch: device.epoch,
    }
    .sign(app.signer())
    .context("sign a certificate")?;
    Ok(())
}

/// Whether it is time for the successor of a certificate that ends then.
pub(super) fn is_due(not_after: UnixTime, now: UnixTime) -> bool {
    not_after < now.plus(VALID_FOR / 2)
}

/// Long enough that a mesh outlives a lost server by months; revocation does not wait for it.
const VALID_FOR: Duration = Duration::from_secs(365 * 24 * 3600);
