//! Reading the settings anew, on SIGHUP and for `Manager.Reload`. What runs goes on: some settings count at once, and of
//! the others it is said that they need a restart. Wrong settings change nothing.

use tokio::{
    signal::unix::Signal,
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};
use tracing::{error, info};

use crate::{
    config::{Config, Source},
    engine::EngineHandle,
    error::{Error, Result},
    sd::notify,
};

/// Callers that may wait for their turn.
const REQUEST_QUEUE: usize = 16;

/// The settings that have changed and count only after a restart, by their keys.
pub(crate) type NeedRestart = Vec<&'static str>;

/// Somebody who waits for the settings to be read.
type Request = oneshot::Sender<Result<NeedRestart>>;

/// The way to the one who reads the settings.
#[derive(Debug, Clone)]
pub(crate) struct Reload(mpsc::Sender<Request>);

impl Reload {
    /// The way there, and its end, for [`Settings::follow`].
    pub(crate) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(REQUEST_QUEUE);
        (Self(requests), receiver)
    }

    /// Reads the settings; answers when they are in effect.
    pub(crate) async fn now(&self) -> Result<NeedRestart> {
        let (reply, answer) = oneshot::channel();
        let stopping = || Error::Cancelled("reading the settings, because p2pusbd stops,".to_owned());
        self.0.send(reply).await.map_err(|_| stopping())?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }
}

/// The one who reads the settings.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where they are.
    pub(crate) source: Source,
    /// Those that the daemon was started with.
    pub(crate) started_with: Config,
    /// Who has to know of new ones.
    pub(crate) engine: EngineHandle,
}

impl Settings {
    /// Reads them whenever somebody asks, one after the other.
    pub(crate) async fn follow(self, mut hangup: Signal, mut requests: mpsc::Receiver<Request>) {
        loop {
            tokio::select! {
                signal = hangup.recv() => {
                    if signal.is_none() {
                        return;
                    }
                    notify::reloading();
                    // There is nobody to tell but the journal, which has been told.
                    let _ = self.read().await;
                    notify::ready();
                }
                request = requests.recv() => {
                    let Some(reply) = request else { return };
                    // Whoever asked may be gone; the settings are read all the same.
                    let _ = reply.send(self.read().await);
                }
            }
        }
    }

    async fn read(&self) -> Result<NeedRestart> {
        let source = self.source.clone();
        let read = spawn_blocking(move || source.read()).await;
        let loaded = match read.map_err(|error| Error::failed("the settings can't be read", error))? {
            Ok(loaded) => loaded,
            Err(wrong) => {
                error!("the settings stay as they were: {wrong}");
                self.engine.apply(Err(wrong.to_string())).await;
                return Err(Error::SettingsInvalid(wrong.to_string()));
            }
        };
        let need_restart = loaded.config.need_a_restart(&self.started_with);
        self.engine.apply(Ok(loaded.config)).await;
        match &need_restart[..] {
            [] => info!("the settings were read anew"),
            keys => info!("the settings were read anew; restart p2pusbd for {}", keys.join(", ")),
        }
        Ok(need_restart)
    }
}
