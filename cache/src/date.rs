//! Times as people read them.

use jiff::Timestamp;

/// A time in seconds since 1970 as `2026-11-28 13:55 UTC`.
pub fn date(unix: f64) -> String {
    // A clock that was never set may be before 1970; `jiff` ends with the year 9999.
    let time = Timestamp::from_second(unix.clamp(0.0, 2.5e11) as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        assert_eq!(date(951_782_400.9), "2000-02-29 00:00 UTC");
        assert_eq!(date(-1.0), "1970-01-01 00:00 UTC");
        assert_eq!(date(f64::NAN), "1970-01-01 00:00 UTC");
    }
}
