//! The words and numbers that bars, lines and the end of a run have in common: durations, counts, values with their units,
//! and texts that have to fit. Pure.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// `0.42 s`, `7.3 s`, `2 min 05 s`, `1 h 03 min`.
pub fn duration(seconds: f64) -> String {
    // What would be shown as 60.0 s is a minute.
    let whole = if (59.95..60.0).contains(&seconds) { 60 } else { seconds as u64 };
    match seconds {
        s if s < 1.0 => format!("{s:.2} s"),
        s if s < 59.95 => format!("{s:.1} s"),
        _ if whole < 3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// As [`duration`], for what is counted or guessed in whole seconds: `12 s`, `2 min 05 s`.
pub fn whole(seconds: f64) -> String {
    if seconds < 60.0 { format!("{} s", seconds as u64) } else { duration(seconds) }
}

/// A guess, with as many digits as a guess deserves: `8 s`, `40 s`, `2 min`, `1 h 10 min`, `3 days`.
pub fn guess(seconds: f64) -> String {
    let rounded = |unit: f64| ((seconds / unit).round() as u64).max(1);
    match seconds {
        s if s < 10.0 => format!("{} s", rounded(1.0)),
        s if s < 57.5 => format!("{} s", rounded(5.0) * 5),
        s if s < 3570.0 => format!("{} min", rounded(60.0)),
        s if s < 48.0 * 3600.0 => {
            let minutes = rounded(300.0) * 5;
            match (minutes / 60, minutes % 60) {
                (hours, 0) => format!("{hours} h"),
                (hours, minutes) => format!("{hours} h {minutes:02} min"),
            }
        }
        _ => format!("{} days", rounded(24.0 * 3600.0)),
    }
}

/// A number with four significant digits.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if value == value.trunc() && size < 1e6 {
        format!("{value}")
    } else if (1e-3..1e5).contains(&size) {
        let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
        let text = format!("{value:.digits$}");
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
            false => text,
        }
    } else {
        format!("{value:.2e}")
    }
}

/// A loss: three significant digits, which stay where they are while it falls.
pub fn loss(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => format!("{value}"),
        s if s != 0.0 && !(1e-3..1e5).contains(&s) => format!("{value:.1e}"),
        s if s >= 100.0 => format!("{value:.0}"),
        s if s >= 10.0 => format!("{value:.1}"),
        s if s >= 1.0 || s == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A rate: `37k/s`, `33/s`, `8.2/s`; below one in ten seconds the time of each, `25 s each`.
pub fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 9999.5 => format!("{:.0}k/s", r / 1000.0),
        r if r >= 9.95 => format!("{r:.0}/s"),
        r if r >= 0.995 => format!("{r:.1}/s"),
        r if r >= 0.1 => format!("{r:.2}/s"),
        r => format!("{} each", guess(1.0 / r.max(1e-9))),
    }
}

/// A metric's value with its declared unit: shares in percent, bytes in MiB.
pub fn value(value: f64, unit: Option<&str>) -> String {
    match unit {
        _ if !value.is_finite() => format!("{value}"),
        Some("share") => format!("{:.1} %", value * 100.0),
        Some("seconds") => duration(value),
        Some("bytes") => crate::size::show(value.max(0.0) as u64),
        _ => number(value),
    }
}

/// `1 node`, `36 nodes`.
pub fn count(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// What a stage calls its steps, in the number that goes with a count: `16/40 iterations`, `0/1 step`.
pub fn unit(unit: &str, count: u64) -> String {
    let stem = unit.strip_suffix('s').unwrap_or(unit);
    match count {
        1 => stem.to_string(),
        _ => format!("{stem}s"),
    }
}

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// A text of so many columns at most, without its middle if it is longer: the begin and the end of an address say most.
pub fn shortened(text: &str, most: usize, gap: &str) -> String {
    let wide = columns(text);
    let for_text = most.saturating_sub(columns(gap));
    if wide <= most {
        return text.to_string();
    }
    if for_text < 2 {
        return begin(text, most);
    }
    let head = begin(text, for_text.div_ceil(2));
    let tail: String = text.chars().rev().collect();
    let tail: String = begin(&tail, for_text - columns(&head)).chars().rev().collect();
    format!("{head}{gap}{tail}")
}

/// The begin of a text of so many columns at most, and the gap where more follows.
pub fn cut(text: &str, most: usize, gap: &str) -> String {
    match columns(text) <= most {
        true => text.to_string(),
        false if most <= columns(gap) => begin(text, most),
        false => format!("{}{gap}", begin(text, most - columns(gap))),
    }
}

fn begin(text: &str, most: usize) -> String {
    let mut taken = 0;
    let fits = |letter: &char| {
        taken += letter.width().unwrap_or(0);
        taken <= most
    };
    text.chars().take_while(fits).collect()
}

/// The text and blanks up to so many columns.
pub fn padded(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(columns(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_grow_into_minutes_and_hours() {
        let shown = [0.017, 5.12, 59.96, 185.0, 7800.0].map(duration);
        assert_eq!(shown, ["0.02 s", "5.1 s", "1 min 00 s", "3 min 05 s", "2 h 10 min"]);
    }

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        assert_eq!(
            [number(22.6), number(0.277499999), number(600.0), number(1.5e7)],
            ["22.6", "0.2775", "600", "1.50e7"]
        );
        assert_eq!([number(-0.00012), number(12345.6), number(0.5)], ["-1.20e-4", "12346", "0.5"]);
        assert_eq!(
            [loss(4.4394), loss(22.61), loss(0.0123), loss(0.0), loss(1e-7)],
            ["4.44", "22.6", "0.012", "0.00", "1.0e-7"]
        );
        assert_eq!(loss(f64::NAN), "NaN");
        let rates = [37_431.9, 124.18, 33.4, 8.24, 0.41, 0.04].map(rate);
        assert_eq!(rates, ["37k/s", "124/s", "33/s", "8.2/s", "0.41/s", "25 s each"]);
        assert_eq!([value(0.29, Some("share")), value(7.7055, Some("seconds"))], ["29.0 %", "7.7 s"]);
        assert_eq!([value(f64::NAN, Some("share")), value(10.0, Some("images"))], ["NaN", "10"]);
        assert!(value(125_829_120.0, Some("bytes")).contains("MiB"));
    }

    #[test]
    fn guesses_are_round() {
        let guesses = [0.2, 7.6, 42.0, 59.0, 118.0, 3590.0, 4300.0, 86_400.0 * 3.2].map(guess);
        assert_eq!(guesses, ["1 s", "8 s", "40 s", "1 min", "2 min", "1 h", "1 h 10 min", "3 days"]);
    }

    #[test]
    fn units_agree_with_their_number() {
        assert_eq!([unit("iteration", 40), unit("steps", 1), unit("images", 3)], ["iterations", "step", "images"]);
        assert_eq!([count(1, "node"), count(36, "node")], ["1 node", "36 nodes"]);
    }

    #[test]
    fn a_long_name_keeps_its_begin_and_its_end() {
        let name = "distill_with_a_long_name[lr_img=1.0,networks=300]";
        assert_eq!(shortened(name, 21, "…"), "distill_wi…works=300]");
        assert_eq!(shortened(name, 60, "…"), name);
        for most in 0..50 {
            assert!(columns(&shortened(name, most, "…")) <= most);
            assert!(columns(&shortened("数据数据数据数据数据数据数据数据数据数据数据数据数据", most, "..")) <= most);
        }
        assert_eq!([cut("abcdef", 4, "…"), cut("abcdef", 6, "…")], ["abc…", "abcdef"]);
    }
}
