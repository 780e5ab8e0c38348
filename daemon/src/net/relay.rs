//! Tells in the journal how it stands with this machine's relay.

use std::time::Duration;

use iroh::{Endpoint, RelayUrl, Watcher as _};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::config::Relay;

/// How long a relay may take to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the journal has last been told.
#[derive(PartialEq, Eq)]
enum Told {
    Nothing,
    Connected(RelayUrl),
    Unreachable,
}

/// Follows the relay for as long as it is polled, and ends at once where there is none. Nobody waits for a relay:
/// everything but being reached through it works without.
pub(crate) async fn follow(endpoint: Endpoint, relay: Relay) {
    let silence = match relay {
        Relay::None => return,
        Relay::Public => "no public relay answers, and they are tried again".to_owned(),
        // iroh tells nothing of a relay that has never answered, nor why: it is no home yet.
        Relay::Url(url) => format!(
            "relay {url} does not answer, and is tried again. Is the address right, and is its certificate the web's or \
             that of relay-ca?"
        ),
    };
    let mut told = Told::Nothing;
    let mut status = endpoint.home_relay_status();
    let late = Instant::now() + PATIENCE;
    loop {
        let relays = status.get();
        if let Some(relay) = relays.iter().find(|relay| relay.is_connected()) {
            let connected = Told::Connected(relay.url().clone());
            if told != connected {
                info!("relay {} is connected", relay.url());
                told = connected;
            }
        } else if let Some((url, error)) = relays.iter().find_map(|relay| Some((relay.url(), relay.last_error()?)))
            && told != Told::Unreachable
        {
            warn!("relay {url} can't be reached, and is tried again: {error:#}");
            told = Told::Unreachable;
        }
        tokio::select! {
            updated = status.updated() => if updated.is_err() { return },
            () = sleep_until(late), if told == Told::Nothing => {
                warn!("{silence}");
                told = Told::Unreachable;
            }
        }
    }
}
