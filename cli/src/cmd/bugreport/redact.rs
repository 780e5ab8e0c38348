//! What a report for strangers must not have: keys, tickets, serial numbers, whole endpoint ids, passwords.

/// A word of at least so many letters and digits is no word: a key, a ticket, an endpoint id.
const SECRET_LENGTH: usize = 32;

/// So many of its characters are left, as many as tell peers apart in the journal.
const LEFT: usize = p2pusb_dbus::names::PEER_SHORT_DIGITS;

/// A serial number that is shorter would be found in everything.
const SERIAL_MIN: usize = 4;

/// Parts of the names of settings whose values are nobody's business.
const SECRET_NAMES: [&str; 6] = ["pin", "password", "passphrase", "secret", "token", "ticket"];

/// Takes secrets out of texts.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    /// The serial numbers of this machine's devices, the longest first: one may be within another.
    serials: Vec<String>,
}

impl Redactor {
    /// One that knows these serial numbers.
    pub(crate) fn new(serials: impl IntoIterator<Item = String>) -> Self {
        let mut serials: Vec<_> = serials.into_iter().filter(|serial| serial.len() >= SERIAL_MIN).collect();
        serials.sort_by_key(|serial| std::cmp::Reverse(serial.len()));
        Self { serials }
    }

    /// The text without them.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut in_pem = false;
        for line in text.split_inclusive('\n') {
            if line.contains("-----BEGIN ") {
                in_pem = true;
                out.push_str("[a key or certificate]\n");
            }
            if !in_pem {
                out.push_str(&self.line(line));
            }
            if line.contains("-----END ") {
                in_pem = false;
            }
        }
        out
    }

    fn line(&self, line: &str) -> String {
        if let Some((name, _)) = line.split_once('=') {
            let lower = name.to_lowercase();
            let words = lower.split(|c: char| !c.is_ascii_alphabetic());
            if words.into_iter().any(|word| SECRET_NAMES.contains(&word)) {
                return format!("{name}= [redacted]\n");
            }
        }
        let line = self.serials.iter().fold(line.to_owned(), |line, serial| line.replace(serial, "[serial]"));
        shorten(&without_logins(&line))
    }
}

/// Without what stands between `://` and `@`.
fn without_logins(line: &str) -> String {
    let Some((before, rest)) = line.split_once("://") else { return line.to_owned() };
    let authority = rest.find(['/', '"', '\'', ' ', '\n']).unwrap_or(rest.len());
    let rest = match rest[..authority].rfind('@') {
        Some(at) => format!("[redacted]{}", &rest[at..]),
        None => rest.to_owned(),
    };
    format!("{before}://{}", without_logins(&rest))
}

/// With long words cut short.
fn shorten(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '_' | '=');
    while let Some(start) = rest.find(in_word) {
        let end = rest[start..].find(|c| !in_word(c)).map_or(rest.len(), |length| start + length);
        let word = &rest[start..end];
        out.push_str(&rest[..start]);
        // Words of a text have no digits in them; names of units and fields of the journal are that long at times.
        if word.len() >= SECRET_LENGTH && word.bytes().any(|byte| byte.is_ascii_digit()) {
            out.push_str(&word[..LEFT]);
            out.push('…');
        } else {
            out.push_str(word);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_planted_comes_through() {
        let id = "8f0c6a1d2b3e4f50617283940a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d";
        let ticket = "p2pusbabcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwxyz234567";
        let text = format!(
            "peer {id} is online\nticket {ticket}\nserial A9X7Q2LL and A9X7Q2LL0\n\
             relay = \"https://user:hunter2@relay.example.org/x\"\npin = \"4711\"\n# owner-password = 'swordfish'\n\
             -----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIABC/DEF\n-----END PRIVATE KEY-----\nafter\n"
        );
        let redacted = Redactor::new(["A9X7Q2LL".to_owned(), "A9X7Q2LL0".to_owned(), "1".to_owned()]).redact(&text);
        for secret in [id, ticket, "A9X7", "user", "hunter2", "4711", "swordfish", "MC4C", "8f0c6a1d2b3"] {
            assert!(!redacted.contains(secret), "{secret}: {redacted}");
        }
        for left in ["peer 8f0c6a1d2b… is online", "https://[redacted]@relay.example.org/x", "[serial]\n", "\nafter\n"]
        {
            assert!(redacted.contains(left), "{left}: {redacted}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let text = "1-2.3 0403:6001 \u{201c}FTDI FT232R\u{201d} /sys/devices/platform/vhci_hcd.0/usb9/9-1 00c0ffee\n\
                    https://relay.example.org/ and again http://[::1]:3340\n\nno_line_feed_at_the_end";
        assert_eq!(Redactor::default().redact(text), text);
    }
}
