//! How things look to people: tables, colours, sizes and times.

use std::{
    io::IsTerminal as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use p2pusb_dbus::names::env;

use crate::duration;

/// Two blanks between columns.
const GAP: &str = "  ";

/// What a word means to the reader; the colour follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// A heading.
    Heading,
    /// Works, or can be used.
    Good,
    /// In use by somebody, or on its way.
    Busy,
    /// Does not work.
    Bad,
    /// Of less interest.
    Dim,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Heading => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Busy => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Dim => "\x1b[2m",
        }
    }
}

/// Whether colours are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colours(bool);

impl Colours {
    /// Colours on a terminal that can show them, unless the environment says otherwise.
    pub(crate) fn of_stdout() -> Self {
        let no_color = std::env::var_os(env::NO_COLOR).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self(std::io::stdout().is_terminal() && !no_color && !dumb)
    }

    /// No colours.
    pub(crate) const fn none() -> Self {
        Self(false)
    }

    /// The text in its colour.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if self.0 && tone != Tone::Plain && !text.is_empty() {
            format!("{}{text}\x1b[0m", tone.code())
        } else {
            text.to_owned()
        }
    }
}

/// One cell of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in this tone.
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl Cell {
    /// What it says.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Columns that are as wide as they need to be, without lines.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without headings.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A table whose first row is headings.
    pub(crate) fn with_headings(headings: &[&str]) -> Self {
        let cells = headings.iter().map(|text| Cell::new(*text, Tone::Heading)).collect();
        Self { rows: vec![cells] }
    }

    /// Add a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table's lines, each with `indent` in front of it and a line feed behind it.
    pub(crate) fn render(&self, colours: Colours, indent: &str) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            // Blanks are written only in front of a text, so that no line ends in them.
            let mut blanks = 0;
            for (cell, width) in row.iter().zip(&widths) {
                if !cell.text.is_empty() {
                    line.extend(std::iter::repeat_n(' ', blanks));
                    line.push_str(&colours.paint(cell.tone, &cell.text));
                    blanks = 0;
                }
                blanks += width - cell.text.chars().count() + GAP.len();
            }
            out.push_str(line.trim_end_matches(' '));
            out.push('\n');
        }
        out
    }
}

/// A text without what could trick a terminal or its reader: control characters, and those that change the
/// direction of writing. Names of devices and peers come from elsewhere.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            c if c.is_control() => '\u{fffd}',
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Bytes in a second, in the unit that fits.
pub(crate) fn rate(bytes: u64) -> String {
    format!("{}/s", self::bytes(bytes))
}

/// A number of bytes in the unit that fits it.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1000.0;
    let mut unit = 0;
    // What would be rounded to 1000 belongs to the next unit.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Microseconds since the epoch, now.
pub(crate) fn now_usec() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// How long ago a time was; "never" for 0. Clocks may disagree: a time to come is "0 s ago".
pub(crate) fn ago(usec: u64, now_usec: u64) -> String {
    if usec == 0 {
        return "never".to_owned();
    }
    format!("{} ago", duration::words(Duration::from_micros(now_usec.saturating_sub(usec))))
}

/// How long it is until then.
pub(crate) fn left(usec: u64, now_usec: u64) -> String {
    format!("{} left", duration::words(Duration::from_micros(usec.saturating_sub(now_usec))))
}

/// A round-trip time.
pub(crate) fn rtt(usec: u64) -> String {
    match usec {
        0 => String::new(),
        1..1000 => format!("{usec} µs"),
        _ => format!("{:.1} ms", usec as f64 / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::with_headings(&["ID", "PRODUCT", "STATE"]);
        table.row(["0403:6001".into(), "Gerät".into(), Cell::new("in use", Tone::Busy)]);
        table.row(["1".into(), Cell::default(), "available".into()]);
        table.row(["2".into(), "x".into(), Cell::default()]);
        table
    }

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_blanks() {
        assert_eq!(
            table().render(Colours::none(), ""),
            "ID         PRODUCT  STATE\n\
             0403:6001  Gerät    in use\n\
             1                   available\n\
             2          x\n"
        );
        assert!(table().render(Colours::none(), "  ").lines().all(|line| line.starts_with("  ")));
        assert_eq!(Table::new().render(Colours::none(), ""), "");
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let painted = table().render(Colours(true), "");
        assert!(painted.contains("\x1b[33min use\x1b[0m"), "{painted:?}");
        let mut plain = painted;
        for code in ["\x1b[1m", "\x1b[33m", "\x1b[0m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, table().render(Colours::none(), ""));
    }

    #[test]
    fn nothing_from_elsewhere_controls_the_terminal() {
        assert_eq!(clean("Fläsh Drive 日本"), "Fläsh Drive 日本");
        for hostile in ["\x1b[2J", "a\nb", "\u{9b}2J", "\u{202e}gnp.exe", "\r", "\u{2066}"] {
            let cleaned = clean(hostile);
            assert!(cleaned.contains('\u{fffd}') && !cleaned.contains(['\x1b', '\n', '\r', '\u{9b}']), "{hostile:?}");
        }
    }

    #[test]
    fn sizes_and_times() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_960, "1.0 MB"),
            (1_500_000_000, "1.5 GB"),
            (u64::MAX, "18446.7 PB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(ago(0, 5), "never");
        assert_eq!(ago(1_000_000, 61_000_000), "1 min ago");
        assert_eq!(ago(10, 5), "0 s ago");
        assert_eq!(left(61_000_000, 1_000_000), "1 min left");
        assert_eq!(left(5, 10), "0 s left");
        assert_eq!(rtt(0), "");
        assert_eq!(rtt(170), "170 µs");
        assert_eq!(rtt(20_720), "20.7 ms");
    }
}
