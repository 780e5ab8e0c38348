//! A relay of one's own, as somebody would run it who has no certificate of the web's: its own authority, relaying over
//! HTTPS, and QUIC address discovery, without which nobody behind NAT learns its public address.

mod certificates;

use std::error::Error;
use std::net::IpAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::ExitCode;

use iroh_relay::defaults::{DEFAULT_HTTP_PORT, DEFAULT_HTTPS_PORT, DEFAULT_RELAY_QUIC_PORT};
use iroh_relay::server::{CertConfig, QuicConfig, RelayConfig, Server, ServerConfig, TlsConfig};

const USAGE: &str = "\
lab-relay certify FOLDER ADDRESS    makes an authority and a certificate: FOLDER/{ca,relay,relay.key}.pem
lab-relay serve FOLDER ADDRESS      serves https://ADDRESS with it until it is ended; a notify service
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["certify", folder, address] => certificates::make(Path::new(folder), address),
        ["serve", folder, address] => serve(Path::new(folder), address),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab-relay {}: {error}", arguments.join(" "));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve(folder: &Path, address: &str) -> Result<(), Box<dyn Error>> {
    let address: IpAddr = address.parse()?;
    let server_config = certificates::server_config(folder)?;
    let mut relay = RelayConfig::new((address, DEFAULT_HTTP_PORT));
    relay.tls = Some(TlsConfig::new((address, DEFAULT_HTTPS_PORT), CertConfig::Manual { server_config }));
    let mut config = ServerConfig::default();
    config.relay = Some(relay);
    config.quic = Some(QuicConfig::new((address, DEFAULT_RELAY_QUIC_PORT)));
    let mut server = Server::spawn(config).await?;
    ready()?;
    server.join().await??;
    Ok(())
}

/// Tells whoever started this that clients are served now: sd_notify(3).
fn ready() -> Result<(), Box<dyn Error>> {
    if let Some(address) = std::env::var_os("NOTIFY_SOCKET") {
        UnixDatagram::unbound()?.send_to(b"READY=1", Path::new(&address))?;
    }
    Ok(())
}
