//! What this machine calls a peer, whether it has to do with it, and how fast that may be.

use p2pusb_protocol::{CloseCode, EndReason, clip};
use tracing::info;

use super::Engine;
use crate::{
    error::{Error, Result},
    net::BLOCKED,
    peer::{PeerId, Trust},
    policy::Bandwidth,
    store::PeerRecord,
};

impl Engine {
    fn record_of(&self, id: PeerId) -> Result<PeerRecord> {
        self.peers.get(&id).map(|peer| peer.record.clone()).ok_or_else(|| Error::PeerUnknown(id.short()))
    }

    /// Keeps a peer's record, and goes by it from then on.
    async fn keep_record(&mut self, id: PeerId, record: PeerRecord) -> Result<()> {
        self.keep({
            let record = record.clone();
            move |store| store.save_peer(&record)
        })
        .await?;
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.record = record;
        }
        Ok(())
    }

    pub(super) async fn set_label(&mut self, id: PeerId, label: &str) -> Result<()> {
        let record = self.record_of(id)?;
        // Once more behind the cut, which may have left a blank at the end.
        let label = clip(label.trim()).trim().to_owned();
        if label.is_empty() {
            return Err(Error::InvalidArgs("a label can't be empty; give the peer a name".to_owned()));
        }
        if self.is_label_taken(id, &label) {
            return Err(Error::LabelTaken(label));
        }
        self.keep_record(id, PeerRecord { label: label.clone(), ..record }).await?;
        info!(P2PUSB_PEER = id.short(), "called {label} from now on");
        for attachment in self.attachments.values_mut().filter(|attachment| attachment.peer == id) {
            attachment.peer_label.clone_from(&label);
        }
        self.publish_peer(id).await;
        // A rule may name this peer from now on, or no longer.
        self.derive_shares().await;
        Ok(())
    }

    pub(super) async fn set_peer_bandwidth(&mut self, id: PeerId, bandwidth: Option<Bandwidth>) -> Result<()> {
        let record = self.record_of(id)?;
        self.keep_record(id, PeerRecord { bandwidth, ..record }).await?;
        if let Some(peer) = self.peers.get(&id) {
            peer.limit.set(bandwidth);
        }
        self.publish_peer(id).await;
        Ok(())
    }

    pub(super) async fn set_trust(&mut self, id: PeerId, trust: Trust) -> Result<()> {
        let record = self.record_of(id)?;
        if record.trust == trust {
            return Ok(());
        }
        self.keep_record(id, PeerRecord { trust, ..record }).await?;
        match trust {
            Trust::Blocked => {
                info!(P2PUSB_PEER = id.short(), "blocked");
                self.end_all(id, EndReason::PeerBlocked).await;
                self.publish_admission();
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.close_link(CloseCode::Blocked, BLOCKED);
                    peer.hang_up();
                }
            }
            Trust::Paired => {
                info!(P2PUSB_PEER = id.short(), "no longer blocked");
                self.publish_admission();
                self.dial(id);
            }
        }
        self.publish_peer(id).await;
        Ok(())
    }
}
