//! Certificates for tests: an authority of its own, and what it signs.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// An authority that nobody trusts who isn't told to.
pub struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = params.self_signed(&key).expect("the key is sound");
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { pem, der, issuer: Issuer::new(params, key) }
    }

    /// Its certificate, as a file has it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these names and its key, as files have them.
    pub fn sign(&self, names: &[&str]) -> (String, String) {
        let (certificate, key) = self.signed(names);
        (certificate.pem(), key.serialize_pem())
    }

    fn signed(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("they are names");
        let key = KeyPair::generate().expect("there is randomness");
        (params.signed_by(&key, &self.issuer).expect("the keys are sound"), key)
    }

    /// What a server on the loopback needs.
    pub(super) fn server(&self, wants_certificates: bool) -> Arc<ServerConfig> {
        let (certificate, key) = self.signed(&["localhost", "127.0.0.1"]);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has them");
        let builder = if wants_certificates {
            let mut roots = RootCertStore::empty();
            roots.add(self.der.clone()).expect("it is a certificate");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().expect("there is a root"))
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("it is a key");
        let chain = vec![certificate.der().clone()];
        Arc::new(builder.with_single_cert(chain, key).expect("they belong together"))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
