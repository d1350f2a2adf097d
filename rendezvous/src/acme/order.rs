//! One certificate: ordered, the question put to us found out, answered, and the certificate fetched.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::AcmeConfig;
use super::https::Https;

/// Makes an account; what comes back is a secret.
pub(crate) async fn register(config: &AcmeConfig) -> Result<Vec<u8>> {
    let contact = config.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.as_deref().into_iter().collect();
    let account = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let http = Box::new(Https::new(config.ca.as_deref())?);
    let made = Account::builder_with_http(http).create(&account, config.directory.clone(), None).await;
    let (_, credentials) = made.context("make an account at the authority")?;
    serde_json::to_vec(&credentials).context("write the account down")
}

/// Whether the authority has forgotten the account that it was shown.
pub(crate) fn is_account_unknown(error: &anyhow::Error) -> bool {
    let is_unknown = |error: &Error| {
        matches!(error, Error::Api(problem)
            if problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist"))
    };
    error.chain().filter_map(|cause| cause.downcast_ref()).any(is_unknown)
}

/// An order whose question has not been answered yet.
pub(crate) struct Order {
    order: instant_acme::Order,
    name: String,
    digest: Option<[u8; 32]>,
}

impl Order {
    /// Orders a certificate for the configured host.
    pub(crate) async fn begin(config: &AcmeConfig, credentials: &[u8]) -> Result<Self> {
        let credentials: AccountCredentials = serde_json::from_slice(credentials).context("read the account")?;
        let http = Box::new(Https::new(config.ca.as_deref())?);
        let account = Account::builder_with_http(http).from_credentials(credentials).await;
        let account = account.context("ask the authority")?;
        let name = config.name.clone();
        let mut order =
            account.new_order(&NewOrder::new(&[Identifier::Dns(name.clone())])).await.context("order a certificate")?;
        let mut digest = None;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.context("read the authority's question")?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let challenge = authorization.challenge(ChallengeType::TlsAlpn01);
            let challenge = challenge.context("the authority does not ask by TLS-ALPN-01")?;
            digest = Some(challenge.key_authorization().digest().as_ref().try_into().context("read the digest")?);
        }
        Ok(Self { order, name, digest })
    }

    /// What the host must show, unless the authority remembers that it has.
    pub(crate) fn digest(&self) -> Option<&[u8; 32]> {
        self.digest.as_ref()
    }

    /// Has the authority ask, once the host shows the digest; chain and key, both PEM.
    pub(crate) async fn finish(mut self) -> Result<(String, String)> {
        if self.digest.is_some() {
            let mut authorizations = self.order.authorizations();
            while let Some(authorization) = authorizations.next().await {
                let mut authorization = authorization.context("read the authority's question")?;
                if let Some(mut challenge) = authorization.challenge(ChallengeType::TlsAlpn01) {
                    challenge.set_ready().await.context("have the authority ask")?;
                }
            }
        }
        let asked = self.order.poll_ready(&PATIENCE).await;
        if !matches!(asked, Ok(OrderStatus::Ready) | Err(Error::Api(_))) {
            asked.as_ref().map_err(|error| anyhow::anyhow!("wait for the authority to ask: {error}"))?;
        }
        if !matches!(asked, Ok(OrderStatus::Ready)) {
            let reason = self.refusal().await;
            bail!("the authority did not find this server at {}: {reason}", self.name);
        }
        let mut params = CertificateParams::new(vec![self.name.clone()]).context("name the certificate")?;
        params.distinguished_name = DistinguishedName::new();
        let key = KeyPair::generate().context("make the certificate's key")?;
        let request = params.serialize_request(&key).context("ask for the certificate")?;
        self.order.finalize_csr(request.der()).await.context("ask for the certificate")?;
        let chain = self.order.poll_certificate(&PATIENCE).await.context("fetch the certificate")?;
        Ok((chain, key.serialize_pem()))
    }

    /// What the authority says went wrong.
    async fn refusal(&mut self) -> String {
        let mut authorizations = self.order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            // what is known of it is from before the authority asked
            let Ok(authorization) = authorization.refresh().await else { continue };
            let errors = authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
            if let Some(detail) = errors.filter_map(|problem| problem.detail.clone()).next() {
                return detail;
            }
        }
        "it does not say why".to_owned()
    }
}

/// An authority asks from several places of the world, at its leisure.
const PATIENCE: RetryPolicy =
    RetryPolicy::new().initial_delay(Duration::from_millis(500)).backoff(1.5).timeout(Duration::from_secs(90));
