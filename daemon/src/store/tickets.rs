//! Tickets that were given out. Only a digest of each secret is kept: the file invites nobody.

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};

/// What became of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TicketState {
    /// Nobody has used it yet.
    Open,
    /// It paired somebody; kept until it expires, to tell a second user why it does not work.
    Used,
}

/// One ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketRecord {
    /// SHA-256 of the secret, in hexadecimal digits.
    pub digest: String,
    /// When it ends, in microseconds since the epoch.
    pub expires: u64,
    /// Open or used.
    pub state: TicketState,
    /// The id of the only share that whoever uses it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// How long the pairing lasts, in microseconds; 0 for good.
    #[serde(default)]
    pub access_usec: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct File {
    // Never left out: a file without it is damaged.
    ticket: Vec<TicketRecord>,
}

impl Store {
    /// All tickets.
    pub fn tickets(&self) -> Result<Vec<TicketRecord>, StoreError> {
        Ok(self.load::<File>(&self.root.join("tickets.toml"))?.unwrap_or_default().ticket)
    }

    /// Writes all tickets.
    pub fn save_tickets(&self, tickets: &[TicketRecord]) -> Result<(), StoreError> {
        self.save(&self.root.join("tickets.toml"), &File { ticket: tickets.to_vec() })
    }
}
