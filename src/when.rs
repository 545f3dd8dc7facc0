//! Points of time: as people read and write them, in the zone of this machine (`28 Nov 04:24`, `2026-10-01`, `30d`), and as
//! programs read them. How long something takes is told by `progress::duration`.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use std::time::{Duration, SystemTime};

fn zoned(time: SystemTime) -> ZonedDateTime {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned_datetime(TimeZone::system())
}

/// `28 Nov 04:24`, or with the year where that is not the present one.
pub fn short(time: SystemTime) -> String {
    let (then, now) = (zoned(time), zoned(SystemTime::now()));
    let form = if then.year() == now.year() { "%e %b %H:%M" } else { "%e %b %Y" };
    then.strftime(form).to_string().trim().to_string()
}

/// `2026-11-28 04:24:56 +01:00`.
pub fn long(time: SystemTime) -> String {
    zoned(time).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// A time in UTC after RFC 3339, with milliseconds, for programs: `2026-11-28T13:54:42.125Z`. Times that no calendar has
/// become the nearest that one has.
pub fn rfc3339(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX).max(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A time since 1970 in seconds.
pub fn since_1970(seconds: f64) -> SystemTime {
    let span = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    SystemTime::UNIX_EPOCH.checked_add(span).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// When the run of this id began, as its name says it.
pub fn of_run_id(id: &str) -> Option<SystemTime> {
    let (date, time) = (id.get(..15)?.get(..8)?, id.get(9..15)?);
    let parsed = jiff::civil::DateTime::strptime("%Y%m%d %H%M%S", format!("{date} {time}")).ok()?;
    parsed.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp().try_into().ok()
}

/// Reads `2026-10-01` (its begin), or `30d`, `2w`, `36h`: that long ago.
///
/// # Errors
/// It is neither.
pub fn parse_since(text: &str) -> Result<SystemTime, String> {
    let wrong = || format!("{text:?} is no time; write a date as 2026-10-01, or how long ago as 30d, 2w, 36h");
    if let Ok(date) = text.parse::<Date>() {
        let begin = date.to_zoned_datetime(TimeZone::system()).map_err(|_| wrong())?;
        return begin.timestamp().try_into().map_err(|_| wrong());
    }
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "min" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ => return Err(wrong()),
    };
    let span = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds)).ok_or_else(wrong)?;
    SystemTime::now().checked_sub(Duration::from_secs(span)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        assert_eq!(rfc3339(of_run_id("20261128-042455-f070").unwrap()), "2026-11-28T04:24:55.000Z");
        assert!(of_run_id("übung-7").is_none() && of_run_id("20261340-000000-0000").is_none());
        let ago = SystemTime::now().duration_since(parse_since("30d").unwrap()).unwrap();
        assert!((ago.as_secs_f64() / 3600.0 - 720.0).abs() < 0.1, "{ago:?}");
        assert!(parse_since("2026-10-01").unwrap() < parse_since("2026-10-02").unwrap());
        for wrong in ["", "30", "d", "30 apples", "2026-13-01", "99999999999999999999d", "9999999999999999d"] {
            assert!(parse_since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn programs_get_utc_with_milliseconds() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(rfc3339(epoch), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(epoch + Duration::from_millis(951_782_400_007)), "2000-02-29T00:00:00.007Z");
        assert_eq!(rfc3339(epoch - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
    }
}
