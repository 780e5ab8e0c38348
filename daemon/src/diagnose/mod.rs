//! How this daemon is, as only it can see: what `Manager.Diagnose` answers, and `p2pusb doctor` shows. Nothing is changed.

mod machine;
mod network;

use iroh::Endpoint;
use tokio::task::spawn_blocking;

use crate::{
    config::{Config, Source},
    store::Store,
};

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// It works, but somebody may want to know.
    Note,
    /// It does not work.
    Problem,
}

impl State {
    /// As the bus has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What it is: one of `p2pusb_dbus::names::diagnosis`.
    pub(crate) id: &'static str,
    /// How it is.
    pub(crate) state: State,
    /// The same in words, and what to do about it.
    pub(crate) detail: String,
}

impl Finding {
    fn new(id: &'static str, state: State, detail: impl Into<String>) -> Self {
        Self { id, state, detail: detail.into() }
    }
}

/// What there is to look at.
#[derive(Debug, Clone)]
pub(crate) struct Diagnosis {
    /// The network.
    pub(crate) endpoint: Endpoint,
    /// Where the settings are.
    pub(crate) source: Source,
    /// Those that the daemon was started with.
    pub(crate) started_with: Config,
    /// What outlives the process.
    pub(crate) store: Store,
}

impl Diagnosis {
    /// Looks at everything.
    pub(crate) async fn run(&self) -> Vec<Finding> {
        let mut findings = network::findings(&self.endpoint, &self.started_with.network.relay).await;
        let all = self.clone();
        // Files of a slow disk, and attributes of a kernel that takes its time.
        match spawn_blocking(move || machine::findings(&all.source, &all.started_with, &all.store)).await {
            Ok(more) => findings.extend(more),
            Err(error) => tracing::error!("this machine could not be looked at: {error}"),
        }
        findings
    }
}
