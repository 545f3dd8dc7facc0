//! Golden cases of family `networks`.

mod golden;

/// The stored inputs are what the fill rule gives, so that cases may leave them out.
#[test]
fn golden_networks_inputs_follow_the_fill_rule() {
    let stored = |case: &golden::Case| case.get("x").is_some() && case.has("input_rule");
    golden::run_where("networks", stored, |case, report| {
        let x = golden::filled(
            case.integer("/input_rule/p") as u64,
            case.text("/input_rule/kind"),
            &case.integers("/input_rule/shape"),
        );
        report.compare_tensors(case, "x", &x, &case.tensor("x"));
        for name in case.expected() {
            report.leave(case, &name, "not about the forward pass");
        }
    });
}
