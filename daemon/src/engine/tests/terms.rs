//! Shares and claims on terms of time. The clock is the machine's: what takes long is shown in the lab.

use p2pusb_protocol::{EndReason, Refusal};

use super::{Running, kept, peer};
use crate::{
    engine::{Consent, now_usec, shares::Share},
    policy::Terms,
    stop::Stop,
    store::ShareRecord,
};

fn record(id: &str, terms: Terms) -> ShareRecord {
    ShareRecord {
        id: id.to_owned(),
        stable_id: "stable".to_owned(),
        product: "Disk".to_owned(),
        peers: Vec::new(),
        force: false,
        grace: None,
        terms,
        owner_uid: 0,
        paused: false,
        follows: Default::default(),
        port: None,
        pin: false,
    }
}

/// In UTC, whatever the machine has.
fn look(share: &mut Share, now: &str) {
    let now: jiff::Timestamp = format!("{now}Z").parse().unwrap();
    share.look(now.as_microsecond().try_into().unwrap(), &jiff::tz::TimeZone::UTC);
}

fn usec(moment: &str) -> u64 {
    format!("{moment}Z").parse::<jiff::Timestamp>().unwrap().as_microsecond().try_into().unwrap()
}

/// A share that is claimed at that moment.
fn claimed(terms: Terms, begun: &str) -> (Share, Stop) {
    let mut share = Share::new(record("00c0ffee", terms), Default::default());
    let stop = Stop::default();
    share.claim_for_test(peer(), usec(begun), stop.clone());
    look(&mut share, begun);
    (share, stop)
}

fn due(share: &Share) -> Option<(u64, EndReason)> {
    share.claim.as_ref().unwrap().due.borrow().map(|due| (due.at, due.reason))
}

#[tokio::test]
async fn what_has_expired_while_nobody_looked_is_not_there_any_more() {
    let (_folder, store) = kept(&[]);
    let (over, lasts) = (now_usec() - 1, now_usec() + 3_600_000_000);
    store.save_share(&record("0000000a", Terms { expires: Some(over), ..Terms::default() })).unwrap();
    let record = ShareRecord { stable_id: "other".to_owned(), ..record("0000000b", Terms::default()) };
    let terms = Terms { expires: Some(lasts), ..Terms::default() };
    store.save_share(&ShareRecord { terms, ..record }).unwrap();
    let running = Running::start(&store).await;
    assert_eq!(running.share("0000000b").await.terms.expires, Some(lasts));
    assert_eq!(store.shares().unwrap().len(), 1);
    let refused =
        running.engine.claim(peer(), "0000000a".to_owned(), Stop::default(), Consent::NotAsked).await.unwrap_err();
    assert_eq!(refused.0, Refusal::NotShared);
}

#[test]
fn a_session_is_forewarned_five_minutes_before_its_end() {
    let terms = Terms { session_limit: 7200.try_into().ok(), ..Terms::default() };
    let (mut share, stop) = claimed(terms, "2026-11-24T10:00:00");
    assert_eq!((share.next_look, due(&share)), (Some(usec("2026-11-24T11:55:00")), None));
    look(&mut share, "2026-11-24T11:55:00");
    let end = usec("2026-11-24T12:00:00");
    assert_eq!((share.next_look, due(&share)), (Some(end), Some((end, EndReason::SessionLimit))));
    assert!(!stop.is_stopped());
    look(&mut share, "2026-11-24T12:00:00");
    assert!(stop.is_stopped());
    assert!(!share.ending);
}

#[test]
fn a_short_session_is_forewarned_in_its_last_tenth() {
    let terms = Terms { session_limit: 60.try_into().ok(), ..Terms::default() };
    let (mut share, _stop) = claimed(terms, "2026-11-24T10:00:00");
    assert_eq!(share.next_look, Some(usec("2026-11-24T10:00:54")));
    look(&mut share, "2026-11-24T10:00:54");
    assert_eq!(due(&share), Some((usec("2026-11-24T10:01:00"), EndReason::SessionLimit)));
}

#[tokio::test]
async fn the_first_end_counts_and_says_why() {
    let windows: Vec<String> = vec!["08:00-10:30".to_owned()];
    let all = Terms {
        expires: Some(usec("2026-11-24T10:20:00")),
        once: false,
        ask: false,
        windows: windows.try_into().unwrap(),
        session_limit: 1500.try_into().ok(),
        bandwidth: None,
    };
    let (no_expiry, no_limit) =
        (Terms { expires: None, ..all.clone() }, Terms { expires: None, session_limit: None, ..all.clone() });
    for (terms, before, at, reason) in [
        (all, "2026-11-24T10:19:59", "2026-11-24T10:20:00", EndReason::ShareRevoked),
        (no_expiry, "2026-11-24T10:24:59", "2026-11-24T10:25:00", EndReason::SessionLimit),
        (no_limit, "2026-11-24T10:29:59", "2026-11-24T10:30:00", EndReason::HoursOver),
    ] {
        let (mut share, stop) = claimed(terms, "2026-11-24T10:00:00");
        look(&mut share, before);
        assert_eq!(due(&share), Some((usec(at), reason)));
        look(&mut share, at);
        assert_eq!(share.ending, reason == EndReason::ShareRevoked);
        assert!(stop.is_stopped());
        assert_eq!(stop.stopped().await, reason);
    }
}

#[test]
fn hours_open_and_close() {
    let windows: Vec<String> = vec!["08:00-18:00".to_owned()];
    let mut share = Share::new(
        record("00c0ffee", Terms { windows: windows.try_into().unwrap(), ..Terms::default() }),
        Default::default(),
    );
    for (now, is_open, next) in [
        ("2026-11-24T07:59:59", false, "2026-11-24T08:00:00"),
        ("2026-11-24T08:00:00", true, "2026-11-24T18:00:00"),
        ("2026-11-24T18:00:00", false, "2026-11-25T08:00:00"),
    ] {
        look(&mut share, now);
        assert_eq!((share.is_open, share.next_look), (is_open, Some(usec(next))), "{now}");
    }
}
