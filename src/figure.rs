//! Numbers for people: as many digits as tell something.

/// Four digits after the point at most, without zeros at the end; very large and very small numbers with an exponent.
pub fn of(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    if !(1e-3..1e9).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = if size >= 1e5 { 0 } else { 4 };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_tell_something() {
        let shown = [0.277_499_999_999_999_97, 40.0, 0.0, -0.5, 1e30, 1.25e-5, f64::NAN, 123_456.7, 0.001].map(of);
        assert_eq!(shown, ["0.2775", "40", "0", "-0.5", "1.000e30", "1.250e-5", "NaN", "123457", "0.001"]);
    }
}
