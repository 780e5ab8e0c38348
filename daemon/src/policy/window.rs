//! Hours: `mon-fri 08:00-18:00`, by the clock on the wall.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use p2pusb_dbus::names::WINDOWS_MAX;
use serde::{Deserialize, Serialize};

/// The days that are looked at: the day before, whose hours may reach into this one, and whatever repeats itself after a
/// week.
const DAYS: std::ops::Range<i32> = -1..9;

/// The minutes of a day.
const DAY: u16 = 24 * 60;

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Hours on some days of the week. Those that end before they begin last until the next day.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    text: String,
    /// From Monday on.
    days: [bool; 7],
    /// In minutes after midnight.
    from: u16,
    /// In minutes after the same midnight, so perhaps more than a day.
    to: u16,
}

impl Window {
    /// From when to when it is open, where it opens on that day.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        if !self.days[usize::try_from(day.weekday().to_monday_zero_offset()).ok()?] {
            return None;
        }
        // A time that a change of the clocks leaves out is as much later, and one that comes twice is the first of both.
        let at = |minutes: u16| {
            let day = if minutes < DAY { day } else { day.tomorrow().ok()? };
            let minutes = minutes % DAY;
            let time = day.at(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0);
            Some(time.to_zoned(zone.clone()).ok()?.timestamp())
        };
        let (from, to) = (at(self.from)?, at(self.to)?);
        (from < to).then_some((from, to))
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "“{text}” is no window of time: it is days, which may be left out, and hours, such as mon-fri 08:00-18:00, \
                 sat,sun 10:00-12:30 or 22:00-06:00; days are {}",
                NAMES.join(", ")
            )
        };
        let mut words = text.split_whitespace();
        let (days, hours) = match (words.next(), words.next(), words.next()) {
            (Some(days), Some(hours), None) => (read_days(days).ok_or_else(wrong)?, hours),
            (Some(hours), None, None) => ([true; 7], hours),
            _ => return Err(wrong()),
        };
        let (from, to) = hours.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (read_time(from).ok_or_else(wrong)?, read_time(to).ok_or_else(wrong)?);
        if from == to || from == DAY || to == 0 {
            return Err(format!("“{text}” begins and ends at the wrong time; a whole day is 00:00-24:00"));
        }
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Self { text, days, from, to: if from < to { to } else { to + DAY } })
    }
}

fn read_days(text: &str) -> Option<[bool; 7]> {
    let number = |name: &str| NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (number(first)?, number(last)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Some(days)
}

fn read_time(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| match text.as_bytes() {
        [b'0'..=b'9', b'0'..=b'9'] => text.parse::<u16>().ok(),
        _ => None,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= DAY).then_some(hours * 60 + minutes)
}

/// All windows of a share or a rule. None of them means always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Windows(Vec<Window>);

/// How things are at some moment, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Whether some window is open.
    pub open: bool,
    /// The next moment when that is different; `None` where it never is.
    pub until: Option<Timestamp>,
}

impl Opening {
    /// Open for ever.
    pub const ALWAYS: Self = Self { open: true, until: None };
}

impl Windows {
    /// Whether it is open at that moment in that time zone.
    pub fn at(&self, now: Timestamp, zone: &TimeZone) -> Opening {
        if self.0.is_empty() {
            return Opening::ALWAYS;
        }
        let today = now.to_zoned(zone.clone()).date();
        let day = |offset: i32| today.checked_add(jiff::Span::new().days(offset)).ok();
        let days: Vec<Date> = DAYS.filter_map(day).collect();
        let mut times: Vec<_> =
            self.0.iter().flat_map(|window| days.iter().filter_map(|day| window.on(*day, zone))).collect();
        times.sort_unstable();
        let mut end = None;
        for (from, to) in times {
            match end {
                // One that follows on, or overlaps.
                Some(until) if from <= until => end = Some(to.max(until)),
                Some(_) => break,
                None if from <= now && now < to => end = Some(to),
                None if from > now => return Opening { open: false, until: Some(from) },
                None => {}
            }
        }
        // What is open for longer than a week is open for ever.
        let forever = end.is_some_and(|end| end.duration_since(now).as_hours() > 7 * 24);
        Opening { open: end.is_some(), until: end.filter(|_| !forever) }
    }

    /// As they are written.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(|window| window.text.clone()).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<String>> for Windows {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, Self::Error> {
        if texts.len() > WINDOWS_MAX {
            return Err(format!("there are {} windows; at most {WINDOWS_MAX} are kept", texts.len()));
        }
        Ok(Self(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?))
    }
}

impl From<Windows> for Vec<String> {
    fn from(windows: Windows) -> Self {
        windows.texts()
    }
}

impl fmt::Display for Windows {
    /// Writes them for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().join(" and "))
    }
}

#[cfg(test)]
mod tests;
