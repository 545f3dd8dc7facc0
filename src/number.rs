//! Numbers as people read them. Those that are compared or read by programs are printed in full elsewhere.

/// The number with six significant digits, without zeros at its end: `0.2775`, `1.25e-7`, `37431.9`.
pub fn significant(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || (value == value.trunc() && size < 1e15) {
        return format!("{value}");
    }
    if !(1e-4..1e15).contains(&size) {
        let text = format!("{value:.5e}");
        return match text.split_once('e') {
            Some((digits, exponent)) => format!("{}e{exponent}", trimmed(digits)),
            None => text,
        };
    }
    let digits = (5 - size.log10().floor() as i32).max(0) as usize;
    trimmed(&format!("{value:.digits$}")).to_string()
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_and_no_more() {
        let shown = [
            (0.27749999999999997, "0.2775"),
            (0.1 + 0.2, "0.3"),
            (100.0, "100"),
            (-7.25, "-7.25"),
            (37431.9174, "37431.9"),
            (1.25e-7, "1.25e-7"),
            (123456789.125, "123456789"),
            (1.2588e20, "1.2588e20"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
            (0.0, "0"),
        ];
        shown.iter().for_each(|(value, text)| assert_eq!(significant(*value), *text));
    }
}
