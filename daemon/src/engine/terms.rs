//! The clock: shares that expire, hours that begin and end, claims that have lasted for long enough.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use p2pusb_protocol::EndReason;
use tokio::time::sleep;
use tracing::info;

use super::{Engine, guests::LOOK_AT_CLOCK, shares::Share, state::now_usec};
use crate::policy::Opening;

/// An importer is told of the end this long before it …
const NOTICE: Duration = Duration::from_secs(5 * 60);
/// … or, of a claim that is short, this part of the whole.
const NOTICE_PART: u64 = 10;

/// The end of a claim that nobody has to do anything for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// When, in microseconds since the epoch.
    pub(crate) at: u64,
    /// Why.
    pub(crate) reason: EndReason,
}

/// Waits until then, in microseconds since the epoch, or for a while: timers don't know of a clock that was set.
pub(super) async fn moment(at: Option<u64>) {
    match at {
        Some(at) => sleep(Duration::from_micros(at.saturating_sub(now_usec())).min(LOOK_AT_CLOCK)).await,
        None => std::future::pending().await,
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Share {
    /// Looks at the clock: ends what is over, forewarns of what soon is, and finds the moment of the next look.
    pub(super) fn look(&mut self, now: u64, zone: &TimeZone) {
        let moment = i64::try_from(now).ok().and_then(|now| Timestamp::from_microsecond(now).ok());
        let opening = moment.map_or(Opening::ALWAYS, |now| self.record.terms.windows.at(now, zone));
        let until = opening.until.and_then(|until| u64::try_from(until.as_microsecond()).ok());
        let expires = self.record.terms.expires;
        self.is_open = opening.open;
        if expires.is_some_and(|expires| expires <= now) {
            self.ending = true;
            self.stop(EndReason::ShareRevoked);
        }
        if !opening.open {
            self.stop(EndReason::HoursOver);
        }
        let mut next = [until, expires].into_iter().flatten().filter(|at| *at > now).min();
        if let Some(claim) = &self.claim {
            let limit = self.record.terms.session_limit.map(|limit| claim.begun.saturating_add(micros(limit.into())));
            let ends = [
                limit.map(|at| Due { at, reason: EndReason::SessionLimit }),
                expires.map(|at| Due { at, reason: EndReason::ShareRevoked }),
                until.filter(|_| opening.open).map(|at| Due { at, reason: EndReason::HoursOver }),
            ];
            let due = ends.into_iter().flatten().min_by_key(|due| due.at);
            let told = due.map(|due| {
                let whole = due.at.saturating_sub(claim.begun);
                due.at.saturating_sub(micros(NOTICE).min(whole / NOTICE_PART))
            });
            let is_near = told.is_some_and(|told| told <= now);
            // The claim wakes when it is something else than before.
            claim.due.send_if_modified(|said| {
                let new = due.filter(|_| is_near);
                std::mem::replace(said, new) != new
            });
            match due {
                Some(due) if due.at <= now => claim.stop.stop(due.reason),
                Some(due) => {
                    let at = told.filter(|_| !is_near).unwrap_or(due.at);
                    next = next.into_iter().chain([at]).min();
                }
                None => {}
            }
        }
        self.next_look = next;
    }
}

impl Engine {
    /// When somebody has to look at the clock.
    pub(super) fn next_look(&self) -> Option<u64> {
        self.shares.values().filter_map(|share| share.next_look).min()
    }

    /// Looks at the clock if that is overdue.
    pub(super) async fn catch_up(&mut self) {
        if self.next_look().is_some_and(|at| at <= now_usec()) {
            self.look_at_clock().await;
        }
    }

    /// Looks at the clock for one share.
    pub(super) fn look_at(&mut self, id: &str) {
        if let Some(share) = self.shares.get_mut(id) {
            share.look(now_usec(), &TimeZone::system());
        }
    }

    /// Looks at the clock for all shares.
    pub(super) async fn look_at_clock(&mut self) {
        let (now, zone) = (now_usec(), TimeZone::system());
        let mut is_different = false;
        for id in self.shares.keys().cloned().collect::<Vec<_>>() {
            let Some(share) = self.shares.get_mut(&id) else { continue };
            let before = (share.is_open, share.ending);
            share.look(now, &zone);
            let (is_over, is_other) = (share.ending && !share.is_claimed(), before != (share.is_open, share.ending));
            is_different |= is_over || is_other;
            if is_over {
                info!(P2PUSB_SHARE = id, "the time is over for which it was shared");
                self.remove_share(&id).await;
            } else if is_other {
                self.publish_share(&id).await;
                self.next_turn(&id);
            }
        }
        if is_different {
            self.derive_shares().await;
        }
    }
}
