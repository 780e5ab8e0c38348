//! How this daemon is, as only it can see: what `Manager.Diagnose` answers, and `p2pusb doctor` shows. Nothing is changed.

mod machine;
mod network;

use std::sync::Arc;

use iroh::Endpoint;
use tokio::{sync::Semaphore, task::spawn_blocking};

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
    endpoint: Endpoint,
    /// Where the settings are.
    source: Source,
    /// Those that the daemon was started with.
    started_with: Config,
    /// What outlives the process.
    store: Store,
    /// Whoever asks waits for those who asked before: everybody may.
    turns: Arc<Semaphore>,
}

/// So many look at a time.
const LOOKS: usize = 1;

impl Diagnosis {
    /// `started_with`: the settings that the daemon was started with, which `source` had then.
    pub(crate) fn new(endpoint: Endpoint, source: Source, started_with: Config, store: Store) -> Self {
        Self { endpoint, source, started_with, store, turns: Arc::new(Semaphore::new(LOOKS)) }
    }

    /// Looks at everything.
    pub(crate) async fn run(&self) -> Vec<Finding> {
        // Nobody closes it.
        let _turn = self.turns.acquire().await;
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
