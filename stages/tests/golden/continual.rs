//! Golden cases of family `continual`: in which order classes come, and which of them come together.

use crate::walker;
use ddpipe_stages::learn::continual::order::ClassOrder;
use serde_json::Value;

fn whole(value: &Value) -> Vec<i64> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn cases() {
    walker::run("continual", |case, report| {
        for row in case.list("rows") {
            let [classes, steps, seed] = ["num_classes", "steps", "seed"].map(|name| row[name].as_u64().unwrap());
            let what = format!("{classes} classes in {steps} steps, seed {seed}");
            let order = ClassOrder::drawn(seed as u32, classes as u32);
            report.equal(case, &what, order.classes.clone(), whole(&row["class_order"]));
            let tasks: Vec<Vec<i64>> = order.tasks(steps).unwrap().into_iter().map(<[i64]>::to_vec).collect();
            let expected = row["classes_per_step"].as_array().unwrap().iter().map(whole).collect();
            report.equal(case, &what, tasks, expected);
            let given = ClassOrder::given(&whole(&row["class_order"]), classes as i64).unwrap();
            report.equal(case, "the same order, given", given.tasks(steps).unwrap(), order.tasks(steps).unwrap());
        }
        if case.has("fixed_order") {
            let fixed = whole(case.value("/fixed_order/order"));
            let given = ClassOrder::given(&fixed, fixed.len() as i64).map(|order| order.classes);
            report.equal(case, "an order that is published as a list", given.ok(), Some(fixed));
        }
    });
}
