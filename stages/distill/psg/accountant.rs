//! What a number of steps costs: Rényi differential privacy of the Gaussian mechanism on Poisson samples (Mironov,
//! Talwar and Zhang 2019, section 3.3), and its conversion to (epsilon, delta) (Balle et al. 2020, theorem 21).
//! Neighbouring data sets differ by one image that is there or not. Knows no images, no loop and no budget.

use statrs::function::erf::erfc;
use std::f64::consts::{PI, SQRT_2};

/// What was spent after some steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spent {
    /// The smallest epsilon that any order proves; infinite when none does.
    pub epsilon: f64,
    /// The Rényi order that proves it.
    pub order: f64,
}

/// The cost of one step at every order.
#[derive(Clone, Debug)]
pub struct Accountant {
    per_step: Vec<(f64, f64)>,
}

/// The published orders: 1.1, 1.2, …, 10.9 and 12, 13, …, 63.
pub fn orders() -> impl Iterator<Item = f64> {
    (1..100).map(|tenth| 1.0 + f64::from(tenth) / 10.0).chain((12..64).map(f64::from))
}

impl Accountant {
    /// For steps that see every image with probability `rate` (in \[0,1\]) and add noise of `noise` times the norm
    /// that gradients are clipped to.
    pub fn new(rate: f64, noise: f64) -> Self {
        Accountant { per_step: orders().map(|order| (order, renyi(rate, noise, order))).collect() }
    }

    /// What `steps` steps cost at this delta.
    pub fn spent(&self, steps: u64, delta: f64) -> Spent {
        let mut least = Spent { epsilon: f64::INFINITY, order: f64::NAN };
        if steps == 0 {
            return Spent { epsilon: 0.0, ..least };
        }
        for &(order, per_step) in &self.per_step {
            let epsilon = per_step * steps as f64 - (delta.ln() + order.ln()) / (order - 1.0) + (-1.0 / order).ln_1p();
            if epsilon < least.epsilon {
                least = Spent { epsilon, order };
            }
        }
        least.epsilon = least.epsilon.max(0.0);
        least
    }

    /// The largest number of steps, at most `most`, that cost no more than `epsilon`.
    pub fn steps_within(&self, epsilon: f64, delta: f64, most: u64) -> u64 {
        let (mut within, mut beyond) = (0, most.saturating_add(1));
        while beyond - within > 1 {
            let middle = within + (beyond - within) / 2;
            if self.spent(middle, delta).epsilon <= epsilon { within = middle } else { beyond = middle }
        }
        within
    }
}

/// The smallest noise, to the last few digits and never below it, with which `steps` steps cost at most `epsilon`.
/// None when no noise does: the orders end at 63, so that some epsilon is left however loud the noise.
pub fn noise_for(rate: f64, steps: u64, epsilon: f64, delta: f64) -> Option<f64> {
    const LEAST: f64 = 1e-3;
    const MOST: f64 = 1e6;
    let enough = |noise: f64| Accountant::new(rate, noise).spent(steps, delta).epsilon <= epsilon;
    let (mut low, mut high) = (LEAST, 1.0);
    while !enough(high) {
        if high > MOST {
            return None;
        }
        low = high;
        high *= 2.0;
    }
    while low == LEAST && high > 2.0 * LEAST && enough(high / 2.0) {
        high /= 2.0;
    }
    low = low.max(high / 2.0);
    while high / low - 1.0 > 1e-13 {
        let middle = (low * high).sqrt();
        if middle <= low || middle >= high {
            break;
        }
        if enough(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// The Rényi divergence of one step at this order; infinite where it cannot be bounded.
pub fn renyi(rate: f64, noise: f64, order: f64) -> f64 {
    if rate == 0.0 {
        return 0.0;
    }
    if noise == 0.0 {
        return f64::INFINITY;
    }
    if rate == 1.0 {
        return order / (2.0 * noise * noise);
    }
    let log_a = if order.fract() == 0.0 { log_a_whole(rate, noise, order) } else { log_a_between(rate, noise, order) };
    if log_a.is_nan() { f64::INFINITY } else { log_a.max(0.0) / (order - 1.0) }
}

/// ln A of a whole order: the sum over k of binomial(order, k) (1-q)^(order-k) q^k exp((k² - k) / 2σ²).
fn log_a_whole(q: f64, sigma: f64, order: f64) -> f64 {
    let (log_q, log_rest) = (q.ln(), (-q).ln_1p());
    let mut log_binomial = 0.0;
    let mut sum = f64::NEG_INFINITY;
    for step in 0..=order as u32 {
        let k = f64::from(step);
        sum = log_add(sum, log_binomial + k * log_q + (order - k) * log_rest + (k * k - k) / (2.0 * sigma * sigma));
        log_binomial += ((order - k) / (k + 1.0)).ln();
    }
    sum
}

/// ln A of any other order: the integral, cut in two where both densities meet, as two binomial series whose terms
/// change their sign once they are past the order. Not a number when a term cannot be taken off any more.
fn log_a_between(q: f64, sigma: f64, order: f64) -> f64 {
    // Small enough to end at, and never reached in practice.
    const SMALL: f64 = -30.0;
    const TERMS: u32 = 10_000_000;
    let (log_q, log_rest) = (q.ln(), (-q).ln_1p());
    let cut = sigma * sigma * (1.0 / q - 1.0).ln() + 0.5;
    let (mut below, mut above) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    let (mut log_binomial, mut positive) = (0.0, true);
    for step in 0..TERMS {
        let i = f64::from(step);
        let j = order - i;
        let left = log_binomial + i * log_q + j * log_rest + log_tail(i, i - cut, cut, sigma);
        let right = log_binomial + j * log_q + i * log_rest + log_tail(j, cut - j, cut, sigma);
        let join = if positive { log_add } else { log_subtract };
        (below, above) = (join(below, left), join(above, right));
        if left.max(right) < SMALL || below.is_nan() || above.is_nan() {
            return log_add(below, above);
        }
        log_binomial += (j.abs() / (i + 1.0)).ln();
        positive ^= j < 0.0;
    }
    f64::NAN
}

/// (k² - k) / 2σ² + ln(erfc(distance / √2σ) / 2), where distance is ±(k - cut). Far out both parts are large and all but
/// cancel, so there they are joined before they are rounded.
fn log_tail(k: f64, distance: f64, cut: f64, sigma: f64) -> f64 {
    const FAR: f64 = 5.0;
    let variance = 2.0 * sigma * sigma;
    let x = distance / (SQRT_2 * sigma);
    if x < FAR {
        return (k * k - k) / variance + (0.5 * erfc(x)).ln();
    }
    (2.0 * k * cut - k - cut * cut) / variance + (0.5 * scaled_erfc(x)).ln()
}

/// exp(x²) erfc(x) for x of at least 5, relative error below 1e-12.
fn scaled_erfc(x: f64) -> f64 {
    const ASYMPTOTIC: f64 = 12.0;
    if x < ASYMPTOTIC {
        return (x * x).exp() * erfc(x);
    }
    // 1 - 1/2x² + 1·3/(2x²)² - …, as far as its terms still fall and count.
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..100 {
        term *= -f64::from(2 * n - 1) / (2.0 * x * x);
        sum += term;
        if term.abs() < f64::EPSILON {
            break;
        }
    }
    sum / (x * PI.sqrt())
}

/// ln(e^a + e^b).
fn log_add(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    if small == f64::NEG_INFINITY { large } else { large + (small - large).exp().ln_1p() }
}

/// ln(e^a - e^b); not a number when b is larger.
fn log_subtract(a: f64, b: f64) -> f64 {
    if b == f64::NEG_INFINITY { a } else { a + (-(b - a).exp()).ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both sums at the same place: orders a hair beside a whole one cost what that one costs.
    #[test]
    fn whole_orders_and_their_neighbours_agree() {
        for (q, sigma) in [(0.004, 0.6), (0.05, 1.1), (0.5, 2.0), (0.7, 3.0), (0.9, 1.5)] {
            for order in [2.0, 3.0, 8.0, 30.0] {
                let (whole, beside) = (renyi(q, sigma, order), renyi(q, sigma, order + 1e-9));
                assert!(
                    (whole - beside).abs() <= 1e-6 * whole,
                    "q {q}, sigma {sigma}, order {order}: {whole}, {beside}"
                );
            }
        }
    }

    #[test]
    fn the_cost_falls_with_the_noise_and_grows_with_steps_rate_and_order() {
        let cost = |q, sigma, steps| Accountant::new(q, sigma).spent(steps, 1e-5).epsilon;
        for pair in [0.3, 0.5, 1.0, 3.0, 20.0, 100.0].windows(2) {
            assert!(cost(0.01, pair[0], 100) > cost(0.01, pair[1], 100), "{pair:?}");
            assert!(orders().zip(orders().skip(1)).all(|(a, b)| renyi(0.01, pair[0], a) <= renyi(0.01, pair[0], b)));
        }
        assert!(cost(0.01, 1.0, 10) < cost(0.01, 1.0, 100));
        assert!(cost(0.01, 1.0, 10) < cost(0.02, 1.0, 10));
        assert_eq!(cost(0.01, 1.0, 0), 0.0);
        assert_eq!(cost(0.01, 0.0, 1), f64::INFINITY);
    }

    #[test]
    fn nothing_overflows_where_hardly_anything_is_private_or_all_is() {
        for (q, sigma) in [(1e-9, 1e-3), (0.3, 1e-3), (0.999, 1e-3), (1e-9, 1e6), (0.999, 1e6), (1.0, 1e6)] {
            let spent = Accountant::new(q, sigma).spent(1000, 1e-5);
            assert!(spent.epsilon.is_finite() && spent.epsilon > 0.0, "q {q}, sigma {sigma}: {spent:?}");
        }
    }

    #[test]
    fn the_noise_found_and_the_steps_found_use_the_budget_up_and_no_more() {
        for (q, steps, epsilon) in [(0.004, 10_000, 10.0), (0.05, 40, 1.0), (1.0, 5, 3.0), (0.01, 1, 200.0)] {
            let noise = noise_for(q, steps, epsilon, 1e-5).unwrap_or_default();
            let accountant = Accountant::new(q, noise);
            let spent = accountant.spent(steps, 1e-5).epsilon;
            assert!(spent <= epsilon && spent > epsilon * (1.0 - 1e-9), "{q}, {steps}: {spent} of {epsilon}");
            assert_eq!(accountant.steps_within(epsilon, 1e-5, steps), steps);
            assert_eq!(accountant.steps_within(epsilon, 1e-5, 10 * steps), steps, "{q}: a step more costs more");
            assert_eq!(accountant.steps_within(epsilon, 1e-5, 3.min(steps)), 3.min(steps));
        }
        assert_eq!(noise_for(0.01, 10, 0.05, 1e-5), None);
        assert_eq!(Accountant::new(0.01, 0.2).steps_within(0.5, 1e-5, 100), 0);
    }
}
