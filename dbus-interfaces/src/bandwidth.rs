//! A bandwidth as people write it: in bytes in a second.

/// Digits behind the point; there is no smaller part of a unit.
const DECIMALS_MAX: usize = 9;

/// The number of bytes in a text such as `500k`, `10M`, `1.5G` or `20000`: k, M and G are a thousand, a million and a thousand
/// million.
///
/// # Errors
///
/// What would be right, where the text is something else.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("“{text}” is no bandwidth: write bytes in a second, such as 500k, 10M or 1.5G");
    let text = text.trim();
    let (number, unit) = match text.chars().last().ok_or_else(wrong)? {
        'k' | 'K' => (&text[..text.len() - 1], 1_000),
        'm' | 'M' => (&text[..text.len() - 1], 1_000_000),
        'g' | 'G' => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1_u64),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > DECIMALS_MAX {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let fraction: u64 = part.parse().map_err(|_| wrong())?;
    // Neither overflows with so few digits.
    let scale = 10_u64.pow(part.len() as u32);
    let bytes = whole.checked_mul(unit).and_then(|bytes| bytes.checked_add(fraction * unit / scale));
    bytes.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_people_write_is_read() {
        for (text, bytes) in [
            ("20000", 20_000),
            ("500k", 500_000),
            ("10M", 10_000_000),
            ("10m", 10_000_000),
            ("1.5G", 1_500_000_000),
            ("0.25M", 250_000),
            (" 7K ", 7_000),
            ("12345678901", 12_345_678_901),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_says_what_would_be_right() {
        for text in ["", "M", "fast", "10MB", "1.M", ".5M", "-1", "+1", "1e6", "10 M", "1.2.3M", "1.1234567890M", "٣"]
        {
            assert!(parse(text).unwrap_err().contains("10M"), "{text}");
        }
        assert!(parse("99999999999999999999").is_err());
        assert!(parse("99999999999999999G").is_err());
    }
}
