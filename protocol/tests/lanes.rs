//! The two ends of a lane, against a model that knows everything.

use p2pusb_protocol::MAX_URBS_PER_LANE;
use proptest::{collection::vec, prelude::*, sample::select};

#[path = "support/lanes.rs"]
mod lanes;

// Steps of the model.
const SUBMIT: u8 = 0x00;
const SUBMIT_THE_LONGEST: u8 = 0xa1;
const UNLINK: u8 = 0x02;
const DELIVER_ON_LANE: u8 = 0x03;
const DELIVER_CONTROL: u8 = 0x04;
/// The same on the second connection, where there are two.
const DELIVER_RESUME: u8 = 0x14;
const FINISH: u8 = 0x05;
const SEND: u8 = 0x06;
const DELIVER_COMPLETE: u8 = 0x07;
const ACKNOWLEDGE: u8 = 0x08;
const DELIVER_RESUMED: u8 = 0x09;
const IMPORTER_LOSES: u8 = 0x0a;
const EXPORTER_LOSES: u8 = 0x0b;
const BOTH_LOSE: u8 = 0x8b;
const DIAL: u8 = 0x0c;
const RECONNECT: u8 = 0x0d;

/// All kinds of steps, with a loss now and then, and a connection again after it.
fn step() -> impl Strategy<Value = u8> {
    let of = |kinds: std::ops::RangeInclusive<u8>| (kinds, 0..=15_u8).prop_map(|(kind, more)| more << 4 | kind);
    prop_oneof![
        // Submits to acknowledges.
        30 => of(0..=8),
        // Much at once.
        4 => of(14..=15),
        2 => of(10..=11),
        4 => of(9..=9),
        4 => of(12..=12),
        2 => Just(DELIVER_RESUME),
        1 => Just(RECONNECT),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn two_ends_that_keep_to_the_rules(steps in vec(any::<u8>(), 0..600)) {
        lanes::run_together(&steps);
    }

    #[test]
    fn connections_that_work_for_a_while(steps in vec(step(), 0..600)) {
        lanes::run_together(&steps);
    }

    /// Mostly small URBs, so that the number of them is the limit.
    #[test]
    fn a_full_window(
        more in vec(step(), 0..200),
        unlinks in vec(select(vec![UNLINK, DELIVER_CONTROL, 0x92, BOTH_LOSE, RECONNECT]), 0..100),
    ) {
        let fill = vec![SUBMIT; MAX_URBS_PER_LANE + 1];
        lanes::run_together(&[fill, unlinks, more].concat());
    }

    #[test]
    fn an_importer_that_keeps_to_no_rule(calls in vec(any::<u8>(), 0..8000)) {
        lanes::run_hostile(&calls);
    }

    /// Small URBs, so that the number of them is the limit.
    #[test]
    fn an_importer_that_fills_the_lane(mut calls in vec(any::<u8>(), 0..4000)) {
        for call in calls.chunks_exact_mut(5) {
            call[3] %= 20;
        }
        lanes::run_hostile(&[vec![0; 5 * MAX_URBS_PER_LANE], calls].concat());
    }

    #[test]
    fn an_exporter_that_keeps_to_no_rule(calls in vec(any::<u8>(), 0..2000)) {
        lanes::run_hostile_exporter(&calls);
    }
}

/// Each unlink arrives before its submit.
#[test]
fn nothing_runs_that_was_unlinked_early() {
    let one = [SUBMIT, UNLINK, DELIVER_CONTROL, DELIVER_ON_LANE, FINISH, SEND, DELIVER_COMPLETE];
    lanes::run_together(&one.repeat(50));
}

/// Three URBs, one of them unlinked, and every pair of moments at which a connection can be lost, by either
/// end or by both.
#[test]
fn a_connection_may_be_lost_at_any_time() {
    let script = [
        &[SUBMIT, SUBMIT, DELIVER_ON_LANE, UNLINK, SUBMIT, FINISH, SEND, DELIVER_CONTROL][..],
        &[DELIVER_ON_LANE, DELIVER_ON_LANE, FINISH, DELIVER_COMPLETE, SEND, DELIVER_COMPLETE],
        &[ACKNOWLEDGE, FINISH, DELIVER_ON_LANE, SEND, DELIVER_COMPLETE, ACKNOWLEDGE, DELIVER_ON_LANE],
    ]
    .concat();
    let resume = [DIAL, DELIVER_RESUME, DELIVER_RESUMED, DELIVER_ON_LANE];
    for loss in [IMPORTER_LOSES, EXPORTER_LOSES, BOTH_LOSE] {
        for first in 0..=script.len() {
            // What the other end sees of it, late.
            let mut once = script.clone();
            once.splice(first..first, [loss]);
            let last_sight = (first + 3).min(once.len());
            once.splice(last_sight..last_sight, [&[IMPORTER_LOSES][..], &resume].concat());
            lanes::run_together(&once);
            for second in 0..=once.len() {
                for then in [&[loss, IMPORTER_LOSES][..], &[EXPORTER_LOSES], &[BOTH_LOSE], &[BOTH_LOSE, BOTH_LOSE]] {
                    let mut twice = once.clone();
                    twice.splice(second..second, [then, &resume].concat());
                    lanes::run_together(&twice);
                }
            }
        }
    }
}

/// As many URBs, or bytes, as there may be, of which no acknowledgement ever comes by itself.
#[test]
fn a_full_lane_goes_on() {
    for fill in [vec![SUBMIT; MAX_URBS_PER_LANE + 1], vec![SUBMIT_THE_LONGEST; 3]] {
        let each = |step: u8| vec![step; fill.len()];
        let sent = [each(DELIVER_ON_LANE), each(FINISH), each(SEND)].concat();
        for lost in [IMPORTER_LOSES, BOTH_LOSE] {
            // Nothing came, something came, everything came.
            for came in [0, 1, fill.len()] {
                let came = vec![DELIVER_COMPLETE; came];
                let again = [fill.clone(), vec![lost, RECONNECT], fill.clone(), vec![lost, RECONNECT]].concat();
                lanes::run_together(&[fill.clone(), sent.clone(), came, again].concat());
            }
        }
    }
}

/// Connections that come to nothing, on a lane on which nothing was ever sent and on one that has work.
#[test]
fn connections_that_come_to_nothing() {
    let attempts = [
        &[BOTH_LOSE][..],
        &[IMPORTER_LOSES, DIAL],
        &[IMPORTER_LOSES, DIAL, IMPORTER_LOSES, DIAL, DELIVER_RESUME],
        // The first one comes after the importer has given it up.
        &[IMPORTER_LOSES, DIAL, IMPORTER_LOSES, DIAL, DELIVER_RESUME, DELIVER_RESUME, DELIVER_RESUMED],
        &[IMPORTER_LOSES, DIAL, DELIVER_RESUME, IMPORTER_LOSES, DIAL, DELIVER_RESUME, DELIVER_RESUMED, BOTH_LOSE],
        &[EXPORTER_LOSES, IMPORTER_LOSES, DIAL, DELIVER_RESUME, EXPORTER_LOSES, DELIVER_RESUMED],
    ]
    .concat();
    lanes::run_together(&attempts.repeat(3));
    for work in [SUBMIT, UNLINK, DELIVER_ON_LANE, FINISH, SEND] {
        let both: Vec<u8> = attempts.iter().flat_map(|&step| [step, SUBMIT, work]).collect();
        lanes::run_together(&[vec![SUBMIT; 5], vec![DELIVER_ON_LANE; 3], both].concat());
    }
}
