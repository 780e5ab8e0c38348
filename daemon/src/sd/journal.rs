//! Where the log goes: to the journal with its fields when systemd runs us, else to standard error.

use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What is logged unless `P2PUSB_LOG` says otherwise. The libraries speak only when something is wrong, and the one that asks
/// the local network for machines not even then: it warns every ten seconds where there is no default route.
const DEFAULT_FILTER: &str = "warn,swarm_discovery=error,p2pusbd=info";

/// Starts to log.
pub fn start() {
    let filter = std::env::var(p2pusb_dbus::names::env::LOG).unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    let (filter, complaint) = match EnvFilter::try_new(&filter) {
        Ok(parsed) => (parsed, None),
        Err(error) => (EnvFilter::new(DEFAULT_FILTER), Some(format!("P2PUSB_LOG “{filter}” is wrong: {error}"))),
    };
    // systemd says so itself when standard error is the journal, see systemd.exec(5).
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let layer = match journal {
        Some(journal) => journal.with_field_prefix(None).with_syslog_identifier("p2pusbd".to_owned()).boxed(),
        None => {
            tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false).boxed()
        }
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}; logging “{DEFAULT_FILTER}”");
    }
}
