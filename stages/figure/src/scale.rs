//! How values become places on an axis, and which values get a tick.

/// The scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences have equal lengths.
    Linear,
    /// Equal ratios have equal lengths; only positive values can be shown.
    Log,
}

/// An axis with its ends, which are round numbers around all values.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    scale: Scale,
    from: f64,
    to: f64,
    /// Where ticks are, and their texts.
    pub ticks: Vec<(f64, String)>,
}

/// Ticks of a linear axis, about.
const TICKS: f64 = 6.0;

impl Scale {
    /// Whether a value can be shown: a finite one, positive on a logarithmic axis, whose differences are finite too.
    pub fn shows(self, value: f64) -> bool {
        value.abs() < 1e100 && (self == Scale::Linear || value > 1e-100)
    }

    /// The range around these values; from 0 (or 1) to 1 (or 10) if there are none. A `tight` one ends with the values.
    pub(crate) fn range(self, values: impl Iterator<Item = f64>, tight: bool) -> Range {
        let ends = values.filter(|value| self.shows(*value)).fold(None, |ends: Option<(f64, f64)>, value| {
            Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        match self {
            Scale::Linear => linear(ends.unwrap_or((0.0, 1.0)), tight),
            Scale::Log => logarithmic(ends.unwrap_or((1.0, 10.0)), tight),
        }
    }
}

impl Range {
    /// The place of a value: 0 at the low end of the axis, 1 at the high one.
    pub fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log => (value / self.from).ln() / (self.to / self.from).ln(),
        }
    }
}

fn linear((low, high): (f64, f64), tight: bool) -> Range {
    // A single value, or values that differ less than numbers can tell: the value in the middle.
    let around = (low.abs().max(high.abs()) * 1e-9).max(f64::MIN_POSITIVE * 1e10);
    let (low, high) = if high - low <= around {
        let margin = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        (low - margin, high + margin)
    } else {
        (low, high)
    };
    let step = round_step((high / TICKS) - (low / TICKS));
    let (first, last) = ((low / step).floor(), (high / step).ceil());
    let (from, to) = if tight { (low, high) } else { (first * step, last * step) };
    let digits = if step < 1.0 { (-step.log10().floor()).clamp(0.0, 12.0) as usize } else { 0 };
    let mut ticks = Vec::new();
    let mut index = first;
    while index <= last && ticks.len() < 64 {
        let value = index * step;
        if value >= from - step * 1e-6 && value <= to + step * 1e-6 {
            ticks.push((value, number(value, digits)));
        }
        index += 1.0;
    }
    Range { scale: Scale::Linear, from, to, ticks }
}

fn logarithmic((low, high): (f64, f64), tight: bool) -> Range {
    let (low, high) = if high / low < 1.0 + 1e-9 { (low / 2.0, high * 2.0) } else { (low, high) };
    let decades = (high / low).log10();
    // Few decades get ticks between the powers of ten, many lose some.
    let within: &[f64] = if decades < 1.5 {
        &[1.0, 2.0, 3.0, 5.0, 7.0]
    } else if decades < 3.0 {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0]
    };
    let every = (decades / 8.0).ceil().max(1.0) as i32;
    let candidates: Vec<f64> = ((low.log10().floor() as i32 - 1)..=(high.log10().ceil() as i32 + 1))
        .filter(|power| power.rem_euclid(every) == 0)
        .flat_map(|power| within.iter().map(move |factor| factor * 10f64.powi(power)))
        .filter(|value| value.is_finite() && *value > 0.0)
        .collect();
    let (mut from, mut to) = (low, high);
    if !tight {
        from = candidates.iter().copied().filter(|value| *value <= low * (1.0 + 1e-9)).fold(low, |_, value| value);
        to = candidates.iter().copied().find(|value| *value >= high * (1.0 - 1e-9)).unwrap_or(high);
    }
    let inside = |value: &f64| *value >= from * (1.0 - 1e-9) && *value <= to * (1.0 + 1e-9);
    let text = |value: f64| {
        let digits = if value < 1.0 { (-value.log10().floor()).clamp(0.0, 12.0) as usize } else { 0 };
        (value, number(value, digits))
    };
    Range { scale: Scale::Log, from, to, ticks: candidates.into_iter().filter(inside).map(text).collect() }
}

/// 1, 2 or 5 times a power of ten, at least as large as `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

fn number(value: f64, digits: usize) -> String {
    let value = if value == 0.0 { 0.0 } else { value };
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        return format!("{value:.1e}").replace(".0e", "e");
    }
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: Scale, values: &[f64]) -> Vec<String> {
        scale.range(values.iter().copied(), false).ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_numbers_around_the_values() {
        assert_eq!(texts(Scale::Linear, &[0.0, 1.0]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(Scale::Linear, &[12.0, 97.0]), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(texts(Scale::Linear, &[-0.003, 0.001]), ["-0.003", "-0.002", "-0.001", "0.000", "0.001"]);
        assert_eq!(texts(Scale::Linear, &[0.0, 3e7]).last().map(String::as_str), Some("3e7"));
        assert_eq!(texts(Scale::Log, &[0.02, 300.0]), ["0.01", "0.1", "1", "10", "100", "1000"]);
        assert_eq!(texts(Scale::Log, &[2.5, 6.0]), ["2", "3", "5", "7"]);
    }

    #[test]
    fn places_run_from_0_to_1() {
        let range = Scale::Linear.range([0.0, 10.0].into_iter(), false);
        assert_eq!((range.place(0.0), range.place(5.0), range.place(10.0)), (0.0, 0.5, 1.0));
        let range = Scale::Log.range([1.0, 100.0].into_iter(), true);
        assert!((range.place(10.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn any_values_give_a_range() {
        let odd =
            [f64::NAN, f64::INFINITY, 0.0, -0.0, 5.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 1.0, 1.0 + f64::EPSILON];
        for scale in [Scale::Linear, Scale::Log] {
            for tight in [false, true] {
                for one in odd {
                    for other in odd {
                        let range = scale.range([one, other].into_iter(), tight);
                        assert!(range.from < range.to, "{scale:?} {one} {other}: {range:?}");
                        assert!(range.ticks.len() <= 64, "{scale:?} {one} {other}");
                    }
                }
                assert!(scale.range(std::iter::empty(), tight).ticks.len() > 1);
            }
        }
    }
}
