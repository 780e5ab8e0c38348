//! The relay's certificate, and the authority that made it.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// Makes an authority, and with it a certificate for `address`. Nothing is kept of the authority but its certificate.
pub(crate) fn make(folder: &Path, address: &str) -> Result<(), Box<dyn Error>> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "The lab's authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?;

    let mut relay = CertificateParams::new([address.to_owned()])?;
    relay.distinguished_name.push(DnType::CommonName, "The lab's relay");
    let key = KeyPair::generate()?;
    let certificate = relay.signed_by(&key, &Issuer::new(authority, authority_key))?;

    fs::write(folder.join("ca.pem"), ca.pem())?;
    fs::write(folder.join("relay.pem"), certificate.pem())?;
    fs::write(folder.join("relay.key.pem"), key.serialize_pem())?;
    Ok(())
}

/// How the relay proves who it is.
pub(crate) fn server_config(folder: &Path) -> Result<ServerConfig, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(folder.join("relay.pem"))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(folder.join("relay.key.pem"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_no_client_auth().with_single_cert(chain, key)?)
}
