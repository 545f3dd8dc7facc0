//! Pictures of curves: what becomes a line, what folds into what, and what is refused.

use crate::host::small::Small;
use crate::host::{Stage, message, text};
use ddpipe_interface::Value;
use serde_json::{Value as Json, json};

fn with(stage: Stage, method: &str, seed: i64, curves: Json) -> Stage {
    let labels = [("method", Value::String(method.into())), ("seed", Value::Integer(seed))];
    stage.result("curves", &labels, &[], &["seed"], json!({ "curves": curves }))
}

fn two_methods() -> Stage {
    let stage = Stage::of("report.curve");
    let stage = with(stage, "dm", 0, json!({ "loss": [[1, 4.0], [2, 2.0], [3, 1.0]] }));
    // Longer runs record fewer of their steps.
    let stage = with(stage, "dm", 1, json!({ "loss": [[1, 6.0], [3, 3.0], [5, 2.0]], "noise": [[1, 0.5]] }));
    with(stage, "dc, old", 0, json!({ "loss": [[1, 8.0]] }))
}

pub fn small() -> Vec<Small> {
    vec![Small::of(two_methods())]
}

#[test]
fn every_setting_has_a_line_and_seeds_fold_at_the_steps_that_they_share() {
    let outputs = two_methods().run().unwrap();
    // 4 and 6: mean 5, deviation 2 / sqrt(2). 1 and 3: mean 2.
    assert_eq!(
        text(&outputs, "csv"),
        "method,step,mean,std,n\r\ndm,1,5,1.4142135623730951,2\r\ndm,3,2,1.4142135623730951,2\r\n\"dc, old\",1,8,,1\r\n"
    );
    let picture = text(&outputs, "picture");
    for part in [">loss by method</text>", ">dm</text>", ">dc, old</text>", "fill-opacity", "over seed</text>"] {
        assert!(picture.contains(part), "{part}: {picture}");
    }
    let noise = with(Stage::of("report.curve"), "dm", 1, json!({ "noise": [[1, 0.5], [2, 0.1]] }));
    let noise = noise.param("value", "noise").param("caption", "<noise>").param("log", true).run().unwrap();
    assert!(text(&noise, "picture").contains(">&lt;noise&gt;</text>"));
    assert_eq!(text(&noise, "csv"), ",step,mean,std,n\r\n,1,0.5,,1\r\n,2,0.1,,1\r\n");
}

#[test]
fn what_cannot_be_drawn_is_refused_in_words() {
    let stage = || Stage::of("report.curve");
    assert!(message(two_methods().param("value", "lost").run()).contains("there is no curve \"lost\"; there are loss"));
    let plain = stage().result("curves", &[], &[("accuracy", 0.5)], &[], json!({ "accuracy": 0.5 }));
    assert!(message(plain.run()).contains("these metrics have no curves; gather an output \"curve\""));
    let apart = with(with(stage(), "dm", 0, json!({ "loss": [[1, 1.0]] })), "dm", 1, json!({ "loss": [[2, 1.0]] }));
    assert!(message(apart.run()).contains("have no step in common"));
    let twins = with(with(stage(), "dm", 0, json!({ "loss": [[1, 1.0]] })), "dm", 0, json!({ "loss": [[1, 1.0]] }));
    assert!(message(twins.run()).contains("have the same labels"));
    let odd = with(stage(), "dm", 0, json!({ "loss": [["a", 1.0]] }));
    assert!(message(odd.run()).contains("not a list of pairs of step and number"));
    assert!(message(with(stage(), "dm", 0, json!({ "loss": [] })).run()).contains("has no points"));
}
