//! The time of day where the user is.

/// Hours, minutes and seconds of a time in microseconds since the epoch.
pub(crate) fn time_of_day(usec: u64) -> String {
    let seconds = libc::time_t::try_from(usec / 1_000_000).unwrap_or_default();
    // SAFETY: all of a tm is numbers and a pointer that may be null, so all zeros are one.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both point to values that live until it returns; it writes to the second alone.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut local) };
    format!("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_and_seconds_are_those_of_everybody() {
        // No zone of today is off by seconds.
        assert_eq!(&time_of_day(1_700_000_000_999_999)[5..], ":20");
        assert_eq!(time_of_day(u64::MAX).len(), 8);
    }
}
