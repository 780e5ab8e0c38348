//! What only a person can answer, and the way there. Whoever has a question sends it here; the agents on the bus put it to
//! people (`bus/agents.rs`).

use tokio::sync::{mpsc, oneshot};
use zbus::names::OwnedUniqueName;

use crate::peer::PeerId;

/// Questions that may wait for an agent.
const MAX_QUESTIONS: usize = 8;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) enum Question {
    /// Whether to pair with a machine, provided that it shows the same code.
    Pairing {
        /// Its key.
        peer: PeerId,
        /// What it calls itself; nothing proves that.
        label: String,
        /// Six digits.
        code: String,
    },
    /// Whether a peer may have a device that is shared so that somebody is asked.
    Claim {
        /// The peer.
        peer: PeerId,
        /// What it is called here.
        label: String,
        /// The share, by its id.
        share: String,
        /// The device's name.
        product: String,
        /// Who has shared it.
        owner_uid: u32,
    },
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Somebody who may has agreed.
    Yes,
    /// Somebody has not, or has not answered in time, or may not agree.
    No,
    /// There is nobody to ask.
    NobodyThere,
}

/// A question on its way. When nobody waits for the answer any longer, whoever is being asked is told so.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    /// Who has caused it, and is asked before others.
    pub(crate) by: Option<OwnedUniqueName>,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The way to the people of this machine.
#[derive(Debug, Clone)]
pub(crate) struct People(mpsc::Sender<Asked>);

impl People {
    /// The way there, and what comes along it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (questions, asked) = mpsc::channel(MAX_QUESTIONS);
        (Self(questions), asked)
    }

    /// Asks; whoever drops this takes the question back.
    pub(crate) async fn ask(&self, question: Question, by: Option<OwnedUniqueName>) -> Answer {
        let (answer, answered) = oneshot::channel();
        if self.0.send(Asked { question, by, answer }).await.is_err() {
            return Answer::NobodyThere;
        }
        answered.await.unwrap_or(Answer::NobodyThere)
    }
}
