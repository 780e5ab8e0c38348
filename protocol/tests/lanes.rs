//! The two ends of a lane, against a model that knows everything.

use p2pusb_protocol::MAX_URBS_PER_LANE;
use proptest::{collection::vec, prelude::*};

#[path = "support/lanes.rs"]
mod lanes;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn two_ends_that_keep_to_the_rules(steps in vec(any::<u8>(), 0..1000)) {
        lanes::run_together(&steps);
    }

    /// Mostly small URBs, so that the number of them is the limit.
    #[test]
    fn a_full_window(
        more in vec(0..=7_u8, 0..200),
        unlinks in vec(prop_oneof![Just(4_u8), Just(5), Just(0x2c)], 0..100),
    ) {
        let fill = vec![0; MAX_URBS_PER_LANE + 1];
        lanes::run_together(&[fill, unlinks, more].concat());
    }

    #[test]
    fn an_importer_that_keeps_to_no_rule(calls in vec(any::<u8>(), 0..8000)) {
        lanes::run_hostile(&calls);
    }
}

/// Each unlink arrives before its submit.
#[test]
fn nothing_runs_that_was_unlinked_early() {
    let one = [0, 4, 5, 3, 6, 7];
    lanes::run_together(&one.repeat(50));
}
