//! Lengths of time as people type them: `90s`, `10m`, `2h`, `7d`.

use std::time::Duration;

/// Read a whole number with its unit. The error says what is expected.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let expected = || format!("“{text}” is not a length of time: write 90s, 10m, 2h or 7d");
    let unit = text.chars().last().ok_or_else(expected)?;
    let seconds_in_unit: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(expected()),
    };
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(expected());
    }
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(seconds_in_unit))
        .map(Duration::from_secs)
        .ok_or_else(|| format!("“{text}” is too long"))
}

/// A length of time for people, in its two largest units.
pub(crate) fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds % 60, "s")];
    let words: Vec<_> = parts
        .iter()
        .skip_while(|(number, _)| *number == 0)
        .take(2)
        .filter(|(number, _)| *number != 0)
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_read() {
        for (text, seconds) in [("1s", 1), ("90s", 90), ("10m", 600), ("2h", 7200), ("7d", 604_800), ("0s", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_says_what_is_expected() {
        for text in ["", "10", "m", "1.5h", "-1s", "+1s", "10 m", "10M", "1w", "10ms", "1é", "٣s"] {
            assert!(parse(text).unwrap_err().contains("10m"), "{text}");
        }
        assert!(parse("99999999999999999999s").unwrap_err().contains("too long"));
        assert!(parse("18446744073709551615d").unwrap_err().contains("too long"));
    }

    #[test]
    fn lengths_are_told_in_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3_600, "1 h"),
            (3_601, "1 h"),
            (90_000, "1 d 1 h"),
            (604_800, "7 d"),
        ] {
            assert_eq!(words(Duration::from_secs(seconds)), text);
        }
    }
}
