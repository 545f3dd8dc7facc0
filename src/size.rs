//! Sizes in bytes, as people write and read them.

/// Reads `512MiB`, `4GiB`, `10GB`, or plain bytes.
pub fn parse(text: &str) -> Result<u64, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("{text:?} is not a size; write bytes, or as 512MiB, 4GiB, 10GB");
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit.trim() {
        "" | "B" => 1.0,
        "KiB" | "K" => 1024.0,
        "MiB" | "M" => 1024.0 * 1024.0,
        "GiB" | "G" => 1024.0 * 1024.0 * 1024.0,
        "TiB" | "T" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return Err(wrong()),
    };
    Ok((number * factor) as u64)
}

/// Writes a size with two or three digits: `1.6 MiB`.
pub fn show(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        assert_eq!(parse("4GiB"), Ok(4 << 30));
        assert_eq!(parse("1.5KiB"), Ok(1536));
        assert_eq!(parse("17"), Ok(17));
        assert!(parse("4 apples").is_err());
        assert!(parse("GiB").is_err());
        assert_eq!(show(1_700_000), "1.6 MiB");
        assert_eq!(show(12), "12 B");
    }
}
