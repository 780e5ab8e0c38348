//! Patterns for names and places: `*` stands for anything, `?` for one character.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// A pattern that a whole text fits, or not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Glob(Vec<char>);

impl Glob {
    /// Whether a text fits.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut in_text) = (0, 0);
        // The last star, and where in the text what it stands for ends for now.
        let mut star = None;
        while in_text < text.len() {
            match self.0.get(at) {
                Some('*') => {
                    star = Some((at, in_text));
                    at += 1;
                }
                Some(&wanted) if wanted == '?' || wanted == text[in_text] => (at, in_text) = (at + 1, in_text + 1),
                // Let the star take one more.
                _ => match star {
                    Some((place, end)) => {
                        star = Some((place, end + 1));
                        (at, in_text) = (place + 1, end + 1);
                    }
                    None => return false,
                },
            }
        }
        self.0[at..].iter().all(|&rest| rest == '*')
    }
}

impl FromStr for Glob {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(
                "“” fits nothing: write a text, in which * stands for anything and ? for one character".to_owned()
            );
        }
        Ok(Self(text.chars().collect()))
    }
}

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|c| write!(f, "{c}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        pattern.parse::<Glob>().unwrap().matches(text)
    }

    /// What it means, said as plainly as can be.
    fn plainly(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some(('*', after)), _) => (0..=text.len()).any(|taken| plainly(after, &text[taken..])),
            (Some(_), None) => false,
            (Some((wanted, after)), Some((found, rest))) => (*wanted == '?' || wanted == found) && plainly(after, rest),
        }
    }

    #[test]
    fn a_text_fits_as_a_whole() {
        for (pattern, text) in
            [("*", ""), ("*", "x"), ("Scan*", "Scanner"), ("*er", "Scanner"), ("S?an*r", "Scanner"), ("1-2.*", "1-2.3")]
        {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("?", ""), ("Scan", "Scanner"), ("scan*", "Scanner"), ("*x*", "Scanner"), ("1-2.*", "1-2"), ("?", "ab")]
        {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
        assert!("".parse::<Glob>().is_err());
    }

    proptest! {
        #[test]
        fn it_means_what_it_says(pattern in "[ab*?é]{1,8}", text in "[abé]{0,10}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(fits(&pattern, &text), plainly(&p, &t));
        }

        #[test]
        fn many_stars_take_no_time(text in "a{200}") {
            let other = text + "b";
            prop_assert!(!fits(&"*a".repeat(60), &other));
        }

        #[test]
        fn a_pattern_reads_back(pattern in ".{1,20}") {
            prop_assert_eq!(pattern.parse::<Glob>().unwrap().to_string(), pattern);
        }
    }
}
