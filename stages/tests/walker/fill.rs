//! The fill rule of the cases: weights made by an integer hash instead of being stored.

use tch::Tensor;

/// The `i`-th number of entry `p`, in [-1, 1), exact in float32.
fn number(p: u64, i: u64) -> f64 {
    let mut x = (p.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(i.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03));
    x ^= x >> 30;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    (x >> 40) as f64 / (1u64 << 23) as f64 - 1.0
}

/// The tensor (float32) of entry `p` of a given kind: `weight`, `norm_weight`, `bias`, `running_mean`, `running_var`
/// or `input`.
pub fn filled(p: u64, kind: &str, shape: &[i64]) -> Tensor {
    let count: i64 = shape.iter().product();
    let fan_in = if shape.is_empty() { 1 } else { count / shape[0].max(1) };
    let scale = (6.0 / fan_in as f64).sqrt();
    let value = |s: f64| match kind {
        "weight" => scale * s,
        "norm_weight" => 1.0 + 0.1 * s,
        "bias" => 0.1 * s,
        "running_mean" => 0.05 * s,
        "running_var" => 1.0 + 0.1 * s.abs(),
        "input" => 3f64.sqrt() * s,
        other => panic!("the fill rule has no kind {other:?}"),
    };
    let values: Vec<f32> = (0..count as u64).map(|i| value(number(p, i)) as f32).collect();
    Tensor::from_slice(&values).reshape(shape)
}

#[test]
fn golden_fill_rule_gives_the_numbers_of_its_description() {
    let close = |got: Tensor, expected: &[f64]| {
        let got = Vec::<f64>::try_from(got.flatten(0, -1)).unwrap();
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() <= 1e-7, "{got} is not {expected}");
        }
    };
    close(filled(3, "weight", &[2, 1, 3, 3]), &[-0.228909954, 0.682810903, -0.051475659, 0.388729125]);
    close(filled(1001, "input", &[1, 1, 2, 2]), &[0.19736433, 0.425103813, 0.323861986, 0.29479751]);
    assert!((number(0, 3) - -0.0182579756).abs() < 1e-9);
    assert!((number(7, 1) - -0.762792587).abs() < 1e-9);
}
