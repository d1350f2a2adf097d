//! The dashboard's certificate from an ACME authority: got when there is none, renewed when it is time, by one server for
//! all on the same database.

use anyhow::{Context, Result};
use tracing::{info, warn};

use crate::acme::{self, AcmeConfig, Order};
use crate::app::App;
use crate::store::{AcmeFailure, StoredCertificate};
use crate::web_tls::Certificate;

/// What the database has for the dashboard.
#[derive(Debug)]
pub(crate) struct AcmeStatus {
    /// The newest certificate.
    pub(crate) certificate: Option<Certificate>,
    /// Why there is no newer one.
    pub(crate) trouble: Option<String>,
}

/// What any server on this database has got.
pub(crate) async fn acme_status(app: &App, acme: &AcmeConfig) -> Result<AcmeStatus> {
    let (directory, name) = (acme.directory.as_str(), acme.name.as_str());
    let stored = app.store().acme_certificate(directory, name).await.context("read the certificate")?;
    let failure = app.store().acme_failure(directory, name).await.context("read how renewal goes")?;
    let certificate = stored.and_then(|stored| {
        // sealed under another network's key: as good as none
        let key = app.seal().open(&stored.private_key, place(name).as_bytes())?;
        Certificate::read(stored.chain.as_bytes(), &key).ok()
    });
    Ok(AcmeStatus { certificate, trouble: failure.map(|failure| failure.reason) })
}

/// Gets a certificate if it is time, unless another server does so at this moment. `is_asked` is impatient: an earlier
/// attempt in vain is no reason to wait.
pub async fn renew_certificate(app: &App, is_asked: bool) -> Result<()> {
    let Some(acme) = &app.config().acme else { return Ok(()) };
    if !is_due(app, acme, is_asked).await? {
        return Ok(());
    }
    let Some(_lead) = app.store().lead("certificate").await.context("ask whether another server does it")? else {
        return Ok(());
    };
    // another may have done it between our question and our turn
    if !is_due(app, acme, is_asked).await? {
        return Ok(());
    }
    let (directory, name) = (acme.directory.as_str(), acme.name.as_str());
    info!("getting a certificate for {name} from {directory}");
    let got = obtain(app, acme).await;
    let mut tx = app.store().begin().await.context("write the certificate down")?;
    tx.delete_acme_challenge(name).await?;
    match &got {
        Ok((chain, key)) => {
            let private_key = app.seal().seal(key.as_bytes(), place(name).as_bytes(), app.random());
            let certificate = StoredCertificate { chain: chain.clone(), private_key };
            tx.put_acme_certificate(directory, name, &certificate, app.now()).await?;
            tx.delete_acme_failure(directory, name).await?;
        }
        Err(error) => {
            let before = app.store().acme_failure(directory, name).await?.map_or(0, |failure| failure.failures);
            let failures = before.saturating_add(1);
            let (reason, retry_at) = (format!("{error:#}"), app.now().plus(acme::patience(failures)));
            tx.put_acme_failure(directory, name, &AcmeFailure { failures, reason, retry_at }).await?;
            if acme::is_account_unknown(error) {
                warn!("the authority does not know our account any more; the next attempt makes another");
                tx.delete_acme_account(directory).await?;
            }
        }
    }
    tx.commit().await.context("write the certificate down")?;
    Ok(())
}

async fn is_due(app: &App, acme: &AcmeConfig, is_asked: bool) -> Result<bool> {
    let now = app.now();
    if let Some(certificate) = acme_status(app, acme).await?.certificate
        && now < acme::renew_at(&certificate.validity)
    {
        return Ok(false);
    }
    let failure = app.store().acme_failure(&acme.directory, &acme.name).await.context("read how renewal goes")?;
    Ok(is_asked || failure.is_none_or(|failure| failure.retry_at <= now))
}

/// Chain and key.
async fn obtain(app: &App, acme: &AcmeConfig) -> Result<(String, String)> {
    let credentials = account(app, acme).await?;
    let order = Order::begin(acme, &credentials).await?;
    if let Some(digest) = order.digest() {
        let mut tx = app.store().begin().await.context("write the answer down")?;
        tx.put_acme_challenge(&acme.name, digest).await.context("write the answer down")?;
        tx.commit().await.context("write the answer down")?;
    }
    let (chain, key) = order.finish().await?;
    Certificate::read(chain.as_bytes(), key.as_bytes()).context("use the certificate that came")?;
    Ok((chain, key))
}

/// The account at the authority, made when it is first needed.
async fn account(app: &App, acme: &AcmeConfig) -> Result<Vec<u8>> {
    let directory = acme.directory.as_str();
    let stored = app.store().acme_account(directory).await.context("read the account")?;
    if let Some(credentials) = stored.and_then(|sealed| app.seal().open(&sealed, directory.as_bytes())) {
        return Ok(credentials);
    }
    let credentials = acme::register(acme).await?;
    let sealed = app.seal().seal(&credentials, directory.as_bytes(), app.random());
    let mut tx = app.store().begin().await.context("write the account down")?;
    // kept whatever becomes of the order: authorities count accounts
    tx.put_acme_account(directory, &sealed, app.now()).await.context("write the account down")?;
    tx.commit().await.context("write the account down")?;
    Ok(credentials)
}

fn place(name: &str) -> String {
    format!("acme certificate {name}")
}
