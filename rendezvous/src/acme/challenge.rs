//! TLS-ALPN-01 (RFC 8737): the authority begins TLS for the host and asks for one protocol; the certificate that it is shown
//! holds the digest of what it told us over the other way.

use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// What it asks for, alone.
pub(crate) const PROTOCOL: &[u8] = b"acme-tls/1";

/// What it is shown.
pub(crate) fn answer(name: &str, digest: &[u8; 32]) -> Result<Arc<ServerConfig>> {
    let mut params = CertificateParams::new(vec![name.to_owned()]).context("name the answer's certificate")?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().context("make the answer's key")?;
    let certificate = params.self_signed(&key).context("make the answer's certificate")?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| anyhow::anyhow!("read the answer's key"))?;
    let key = ring::sign::any_supported_type(&key).context("use the answer's key")?;
    let shown = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        // not `with_single_cert`, which reads the certificate and refuses the extension that this is about
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_speaks_the_one_protocol_and_can_be_made() {
        assert_eq!(answer("vpn.example.org", &[7; 32]).unwrap().alpn_protocols, [PROTOCOL.to_vec()]);
    }
}
