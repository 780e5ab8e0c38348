//! Hours on ordinary days, over midnight, and when the clocks change.

use proptest::prelude::*;

use super::*;

/// Central European time, as tzset(3) writes it: the clocks change on the last Sundays of March and October.
fn zone() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn windows(texts: &[&str]) -> Windows {
    texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().try_into().unwrap()
}

/// That time in UTC.
fn utc(text: &str) -> Timestamp {
    format!("{text}:00Z").parse().unwrap()
}

/// What is said at that time in UTC.
fn at(texts: &[&str], now: &str) -> (bool, Option<Timestamp>) {
    let opening = windows(texts).at(utc(now), &zone());
    (opening.open, opening.until)
}

#[test]
fn office_hours_on_a_working_day_and_over_the_weekend() {
    let office = ["mon-fri 08:00-18:00"];
    // Tuesday, 24 November 2026; 08:00 is 07:00 in UTC.
    assert_eq!(at(&office, "2026-11-24T06:59"), (false, Some(utc("2026-11-24T07:00"))));
    assert_eq!(at(&office, "2026-11-24T07:00"), (true, Some(utc("2026-11-24T17:00"))));
    assert_eq!(at(&office, "2026-11-24T16:59"), (true, Some(utc("2026-11-24T17:00"))));
    assert_eq!(at(&office, "2026-11-24T17:00"), (false, Some(utc("2026-11-25T07:00"))));
    // From Friday evening until Monday.
    assert_eq!(at(&office, "2026-11-27T17:00"), (false, Some(utc("2026-11-30T07:00"))));
}

#[test]
fn the_clock_on_the_wall_counts_when_the_clocks_change() {
    let office = ["08:00-18:00"];
    // Before 29 March 2026 it is 07:00 in UTC, from then on 06:00; and back on 25 October.
    assert_eq!(at(&office, "2026-03-28T17:00"), (false, Some(utc("2026-03-29T06:00"))));
    assert_eq!(at(&office, "2026-03-29T06:00"), (true, Some(utc("2026-03-29T16:00"))));
    assert_eq!(at(&office, "2026-10-24T16:00"), (false, Some(utc("2026-10-25T07:00"))));
    assert_eq!(at(&office, "2026-10-25T07:00"), (true, Some(utc("2026-10-25T17:00"))));
}

#[test]
fn a_night_in_which_the_clocks_change_is_an_hour_shorter_or_longer() {
    let night = ["sat 22:00-06:00"];
    assert_eq!(at(&night, "2026-03-28T21:00"), (true, Some(utc("2026-03-29T04:00"))));
    assert_eq!(at(&night, "2026-10-24T20:00"), (true, Some(utc("2026-10-25T05:00"))));
    assert_eq!(at(&night, "2026-11-21T21:00"), (true, Some(utc("2026-11-22T05:00"))));
}

#[test]
fn times_that_there_are_not_or_twice() {
    // 02:00 to 03:00 is left out on 29 March: 02:30 is an hour later, 03:30, which is 01:30 in UTC.
    assert_eq!(at(&["sun 02:30-05:00"], "2026-03-29T01:29"), (false, Some(utc("2026-03-29T01:30"))));
    // 02:00 to 03:00 comes twice on 25 October: it is open from the first 02:30, in UTC 00:30, …
    assert_eq!(at(&["sun 02:30-05:00"], "2026-10-25T00:29"), (false, Some(utc("2026-10-25T00:30"))));
    assert_eq!(at(&["sun 02:30-05:00"], "2026-10-25T00:30"), (true, Some(utc("2026-10-25T04:00"))));
    // … and until the first 02:30.
    assert_eq!(at(&["sun 01:00-02:30"], "2026-10-25T00:00"), (true, Some(utc("2026-10-25T00:30"))));
    // A window that is nothing but the hour that is left out does not open.
    assert!(!at(&["sun 02:00-03:00"], "2026-03-29T01:00").0);
}

#[test]
fn windows_that_follow_one_another_are_one() {
    let day = ["mon-fri 08:00-12:00", "mon-fri 12:00-18:00", "tue 17:00-20:00"];
    assert_eq!(at(&day, "2026-11-24T07:00"), (true, Some(utc("2026-11-24T19:00"))));
    for always in
        [&["00:00-24:00"][..], &[], &["mon-wed 00:00-24:00", "thu-sun 00:00-24:00"], &["12:00-00:01", "00:00-12:00"]]
    {
        assert_eq!(at(always, "2026-11-24T07:00"), (true, None), "{always:?}");
    }
}

#[test]
fn days_are_ranges_and_lists_in_any_case() {
    let days = |text: &str| read_days(text).map(|days| days.map(u8::from));
    assert_eq!(days("mon-fri"), Some([1, 1, 1, 1, 1, 0, 0]));
    assert_eq!(days("Sat,SUN"), Some([0, 0, 0, 0, 0, 1, 1]));
    assert_eq!(days("sat-mon"), Some([1, 0, 0, 0, 0, 1, 1]));
    assert_eq!(days("mon,wed-thu"), Some([1, 0, 1, 1, 0, 0, 0]));
}

#[test]
fn what_is_no_window_is_told_how_one_looks() {
    for text in [
        "",
        "mon-fri",
        "08:00",
        "8:00-18:00",
        "08:00-25:00",
        "08:60-09:00",
        "24:01-25:00",
        "mon 08:00-18:00 tue",
        "monday 08:00-18:00",
        "mon- 08:00-18:00",
        "mon,,tue 08:00-18:00",
        "mon-fri,08:00-18:00",
        "+8:00-18:00",
        "08:00-18:00-19:00",
        "mon–fri 08:00-18:00",
    ] {
        let error = text.parse::<Window>().unwrap_err();
        assert!(error.contains("mon-fri 08:00-18:00") && error.contains(text), "{error}");
    }
    for text in ["08:00-08:00", "24:00-08:00", "22:00-00:00"] {
        assert!(text.parse::<Window>().unwrap_err().contains("00:00-24:00"), "{text}");
    }
    let many: Vec<String> = vec!["08:00-18:00".to_owned(); WINDOWS_MAX + 1];
    assert!(Windows::try_from(many).unwrap_err().contains("at most"));
}

fn any_window() -> impl Strategy<Value = String> {
    let days = prop::sample::select(vec!["", "mon ", "sat,sun ", "fri-tue ", "wed "]);
    (days, 0..96u16, 1..96u16).prop_map(|(days, from, length)| {
        let (from, to) = (from * 15, (from + length) * 15 % DAY);
        let to = if to == 0 { DAY } else { to };
        format!("{days}{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    })
}

proptest! {
    #[test]
    fn until_is_when_it_changes_and_not_before(
        texts in prop::collection::vec(any_window(), 1..4),
        // A year with both changes, at any minute.
        minute in 0..365 * 24 * 60i64,
    ) {
        let windows: Windows = texts.try_into().unwrap();
        let now = Timestamp::from_second(utc("2026-01-01T00:00").as_second() + minute * 60).unwrap();
        let opening = windows.at(now, &zone());
        let Some(until) = opening.until else { return Ok(()) };
        prop_assert!(until > now);
        prop_assert_eq!(windows.at(until, &zone()).open, !opening.open);
        // In between nothing changes; windows begin and end at quarters of an hour.
        let mut then = now;
        while then < until {
            prop_assert_eq!(windows.at(then, &zone()), opening);
            then += jiff::SignedDuration::from_mins(15 * (1 + (until.duration_since(now).as_hours() / 8)));
        }
    }

    #[test]
    fn windows_read_back(texts in prop::collection::vec(any_window(), 0..4)) {
        let windows: Windows = texts.clone().try_into().unwrap();
        prop_assert_eq!(Vec::<String>::from(windows.clone()), texts);
    }
}
