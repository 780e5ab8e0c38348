//! The settings about the relay.

use std::path::{Path, PathBuf};

use iroh::{RelayConfig, RelayUrl};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde::Deserialize;

/// Which relay to use.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Relay {
    /// None: peers are reached directly or not at all.
    #[default]
    None,
    /// The public relays of the iroh project.
    Public,
    /// One's own.
    Url(RelayUrl),
}

impl Relay {
    /// As the property `RelayMode` has it.
    pub fn mode(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Public => "public",
            Self::Url(_) => "custom",
        }
    }

    /// Whether this is a relay of one's own with TLS.
    fn is_own_with_tls(&self) -> bool {
        matches!(self, Self::Url(url) if url.scheme() == "https")
    }
}

impl TryFrom<String> for Relay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "none" => Ok(Self::None),
            "public" => Ok(Self::Public),
            url if url.starts_with("https://") || url.starts_with("http://") => {
                url.parse().map(Self::Url).map_err(|error| format!("“{url}” is not a relay's URL: {error}"))
            }
            other => Err(format!("“{other}” is no relay: write \"none\", \"public\" or \"https://…\"")),
        }
    }
}

/// Certificates beside the web's by which relays are known: those of the file that `relay-ca` names. Default: none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathBuf")]
pub struct RelayCa(Vec<CertificateDer<'static>>);

impl RelayCa {
    /// The certificates.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}

impl TryFrom<PathBuf> for RelayCa {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, Self::Error> {
        let name = path.display();
        if path.is_relative() {
            return Err(format!("{name} is no absolute path"));
        }
        certificates(&path).map(Self).map_err(|problem| format!("{name} {problem}"))
    }
}

/// The certificates of a PEM file, each of which iroh can use: it would pass over others without a word.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = std::fs::read(path).map_err(|error| format!("can't be read: {error}"))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("is no PEM file: {error}"))?;
    if certificates.is_empty() {
        return Err("holds no certificate: there is no “-----BEGIN CERTIFICATE-----” in it".to_owned());
    }
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        roots
            .add(certificate.clone())
            .map_err(|error| format!("can't be used: its certificate {} is wrong: {error}", index + 1))?;
    }
    Ok(certificates)
}

/// The UDP port at which a relay of one's own tells who asks their public address: 1 to 65535. Default: 7842.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct RelayQuicPort(u16);

impl Default for RelayQuicPort {
    fn default() -> Self {
        Self(iroh::defaults::DEFAULT_RELAY_QUIC_PORT)
    }
}

impl From<RelayQuicPort> for u16 {
    fn from(port: RelayQuicPort) -> Self {
        port.0
    }
}

impl TryFrom<u64> for RelayQuicPort {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        match u16::try_from(number) {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => Err(format!("{number} is no port: write a number from 1 to 65535")),
        }
    }
}

/// What a relay of one's own offers. It needs TLS to tell public addresses, and without these no hole is punched.
pub(crate) fn own(url: &RelayUrl, port: RelayQuicPort) -> RelayConfig {
    let mut own = RelayConfig::from(url.clone());
    if url.scheme() == "https" {
        if let Some(quic) = &mut own.quic {
            quic.port = port.into();
        }
    } else {
        own.quic = None;
    }
    own
}

/// Settings of a relay that there is not are a mistake.
pub(super) fn check(relay: &Relay, ca: bool, port: bool) -> Result<(), &'static str> {
    if ca && !(relay.is_own_with_tls() || *relay == Relay::Public) {
        return Err("relay-ca has no effect without a relay that has a certificate: set relay = \"https://…\", too");
    }
    if port && !relay.is_own_with_tls() {
        return Err("relay-quic-port has no effect without a relay of your own: set relay = \"https://…\", too");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Network};

    fn network(lines: &str) -> Result<Network, String> {
        let config: Result<Config, _> = toml::from_str(&format!("[network]\n{lines}"));
        config.map(|config| config.network).map_err(|error| error.to_string())
    }

    /// A certificate authority's, which nobody has the key of.
    const CA: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUR7ktVrnlONEGtoAkTRps+W/DMQgwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEYSBDQTAgFw0yNjExMjQwNjA3NTdaGA8yMTI2MTAzMTA2MDc1
N1owDzENMAsGA1UEAwwEYSBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcN
aqS2HnVY7NuCxxP91OXwYRoTMN5V1TErDcOwvBPtwNAyA2JudMyDRMg5LC89WtmV
jT3FUdUx4yutUQ3QWiejUzBRMB0GA1UdDgQWBBRvgJ3iJWZE+nndO9DCWVlyv2p1
vDAfBgNVHSMEGDAWgBRvgJ3iJWZE+nndO9DCWVlyv2p1vDAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIBjbiRJ1qmq9LqisYUFUT4PQbM1M7WU94Etg
5A7rBcgnAiEA9S2uUEGEz3WuCbLZYfUDZmyJ1ByOS2w408gi3QMY4SE=
-----END CERTIFICATE-----
";

    /// A file with this text, and the lines that name it.
    fn with_ca(text: &str) -> (tempfile::NamedTempFile, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let lines = format!("relay = \"https://relay.example.org\"\nrelay-ca = {:?}", file.path());
        (file, lines)
    }

    #[test]
    fn a_relay_is_none_public_or_a_url() {
        let relay = |text: &str| network(&format!("relay = \"{text}\"")).map(|network| network.relay);
        assert_eq!(relay("public").unwrap().mode(), "public");
        assert_eq!(relay("https://relay.example.org").unwrap().mode(), "custom");
        let error = relay("yes").unwrap_err();
        assert!(error.contains("line 2") && error.contains("\"none\""), "{error}");
    }

    #[test]
    fn a_relay_may_have_a_certificate_of_its_own() {
        let (_file, lines) = with_ca(&format!("the first\n{CA}and the second\n{CA}"));
        assert_eq!(network(&lines).unwrap().relay_ca.certificates().len(), 2);
        // Peers may name relays with certificates of the kind, too.
        let public = lines.replace("https://relay.example.org", "public");
        assert_eq!(network(&public).unwrap().relay_ca.certificates().len(), 2);
        assert!(network("").unwrap().relay_ca.certificates().is_empty());
    }

    #[test]
    fn a_certificate_that_cannot_be_used_is_an_error_that_names_the_line_and_the_file() {
        let damaged = CA.replacen("MII", "MIJ", 1);
        let key = CA.replace("CERTIFICATE", "PRIVATE KEY");
        for (text, problem) in [
            ("", "no certificate"),
            ("A certificate, honestly.", "no certificate"),
            (&key, "no certificate"),
            (&CA.replace("-----END", "-----ENT"), "no PEM file"),
            (&CA.replacen("MII", "M!I", 1), "no PEM file"),
            (&format!("{CA}{damaged}"), "certificate 2 is wrong"),
        ] {
            let (file, lines) = with_ca(text);
            let error = network(&lines).unwrap_err();
            let name = file.path().to_str().unwrap();
            assert!(error.contains("line 3") && error.contains(name) && error.contains(problem), "{error}");
        }
        let missing = network("relay = \"https://relay.example.org\"\nrelay-ca = \"/nowhere/ca.pem\"").unwrap_err();
        assert!(missing.contains("line 3") && missing.contains("/nowhere/ca.pem can't be read"), "{missing}");
        let relative = network("relay = \"https://relay.example.org\"\nrelay-ca = \"ca.pem\"").unwrap_err();
        assert!(relative.contains("line 3") && relative.contains("absolute"), "{relative}");
    }

    #[test]
    fn a_relay_with_tls_is_asked_for_the_public_address() {
        let quic_port = |lines: &str| {
            let network = network(lines).unwrap();
            let Relay::Url(url) = &network.relay else { panic!("{:?}", network.relay) };
            own(url, network.relay_quic_port).quic.map(|quic| quic.port)
        };
        assert_eq!(quic_port("relay = \"https://relay.example.org\""), Some(7842));
        assert_eq!(quic_port("relay = \"https://relay.example.org\"\nrelay-quic-port = 443"), Some(443));
        assert_eq!(quic_port("relay = \"http://relay.example.org\""), None);
        for wrong in ["0", "65536", "-1", "\"7842\""] {
            let error = network(&format!("relay = \"https://relay.example.org\"\nrelay-quic-port = {wrong}"));
            let error = error.unwrap_err();
            assert!(error.contains("line 3"), "{error}");
        }
    }

    #[test]
    fn what_would_have_no_effect_is_an_error() {
        let (_file, lines) = with_ca(CA);
        for relay in ["none", "http://relay.example.org"] {
            let error = network(&lines.replace("https://relay.example.org", relay)).unwrap_err();
            assert!(error.contains("line 1") && error.contains("relay-ca has no effect"), "{error}");
        }
        for relay in ["none", "public", "http://relay.example.org"] {
            let error = network(&format!("relay = \"{relay}\"\nrelay-quic-port = 443")).unwrap_err();
            assert!(error.contains("line 1") && error.contains("relay-quic-port has no effect"), "{error}");
        }
    }
}
