//! Tables of results: what folds into what, what is refused, and what the three formats say.

use crate::host::small::Small;
use crate::host::{Stage, json, message, text};
use ddpipe_interface::Value;
use serde_json::json;

fn word(text: &str) -> Value {
    Value::String(text.into())
}

/// A result of this method, network and seed.
fn with(stage: Stage, method: &str, arch: &str, seed: i64, accuracy: f64, origin: &str) -> Stage {
    let labels =
        [("stage", word("evaluate")), ("method", word(method)), ("arch", word(arch)), ("seed", Value::Integer(seed))];
    let metrics = [("accuracy", accuracy), ("accuracy_std", 0.01)];
    stage.result("results", &labels, &metrics, &["seed"], json!({ "origin": origin }))
}

fn two_methods(origin: &str) -> Stage {
    let stage = Stage::of("report.table").param("rows", ["method"]).param("columns", ["arch"]);
    let stage = with(stage, "dm", "convnet3", 0, 0.97, origin);
    let stage = with(stage, "dm", "convnet3", 1, 0.98, origin);
    let stage = with(stage, "dm", "mlp", 0, 0.80, origin);
    let stage = with(stage, "dm", "mlp", 1, 0.84, origin);
    let stage = with(stage, "data_dam", "convnet3", 0, 0.99, origin);
    with(stage, "data_dam", "convnet3", 1, 0.98, origin)
}

pub fn small() -> Vec<Small> {
    vec![Small::of(two_methods("MNIST"))]
}

#[test]
fn seeds_fold_into_mean_and_sample_deviation() {
    let outputs = two_methods("MNIST").run().unwrap();
    let table = json(&outputs, "table");
    assert_eq!((&table["rows"], &table["columns"]), (&json!(["dm", "data_dam"]), &json!(["convnet3", "mlp"])));
    let cell = &table["cells"][0][1];
    // 0.80 and 0.84: mean 0.82, deviation 0.04 / sqrt(2).
    assert!((cell["mean"].as_f64().unwrap() - 0.82).abs() < 1e-12);
    assert!((cell["std"].as_f64().unwrap() - 0.04 / 2f64.sqrt()).abs() < 1e-12);
    assert_eq!((&cell["n"], &table["cells"][1][1]), (&json!(2), &json!(null)));
    assert_eq!((&table["over"], &table["origins"]), (&json!(["seed"]), &json!(["MNIST"])));
    let lowest = two_methods("MNIST").param("best", "lowest").run().unwrap();
    for (best, expected) in [(outputs.metrics["best"], 0.985), (lowest.metrics["best"], 0.82)] {
        assert!((best - expected).abs() < 1e-12, "{best} is not {expected}");
    }
}

#[test]
fn the_formats_escape_what_they_have_to() {
    let outputs = two_methods("MNIST").run().unwrap();
    assert_eq!(
        text(&outputs, "markdown"),
        "**accuracy by method and arch**\n\n\
         | method | convnet3 | mlp |\n\
         | :-- | --: | --: |\n\
         | dm | 97.50 ± 0.71 | 82.00 ± 2.83 |\n\
         | data\\_dam | 98.50 ± 0.71 | – |\n\n\
         accuracy in %; mean ± standard deviation over seed, n = 2\n"
    );
    assert_eq!(
        text(&outputs, "latex"),
        "% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n\\caption{accuracy by method and arch}\n\
         \\begin{tabular}{lrr}\n\\toprule\nmethod & convnet3 & mlp \\\\\n\\midrule\n\
         dm & 97.50 $\\pm$ 0.71 & 82.00 $\\pm$ 2.83 \\\\\n\
         data\\_dam & 98.50 $\\pm$ 0.71 & -- \\\\\n\\bottomrule\n\\end{tabular}\n\
         \\par\\small accuracy in \\%; mean $\\pm$ standard deviation over seed, n = 2\n\\end{table}\n"
    );
    let labels = [("stage", word("a,\"b\" | 50% & [c]\n#1_~^\\{<"))];
    let odd = Stage::of("report.table").result("results", &labels, &[("accuracy", 0.5)], &[], json!({}));
    let odd = odd.run().unwrap();
    assert_eq!(
        text(&odd, "csv"),
        "stage,accuracy mean,accuracy std,accuracy n\r\n\"a,\"\"b\"\" | 50% & [c]\n#1_~^\\{<\",0.5,,1\r\n"
    );
    assert!(text(&odd, "markdown").contains("| a,\"b\" \\| 50% \\& \\[c\\] \\#1\\_\\~^\\\\{\\< | 50.00 |\n"));
    let latex = "a,\"b\" \\textbar{} 50\\% \\& {[}c] \\#1\\_\\textasciitilde{}\\textasciicircum{}\\textbackslash{}\\{\\textless{} & 50.00 \\\\\n";
    assert!(text(&odd, "latex").contains(latex), "{}", text(&odd, "latex"));
}

#[test]
fn sample_data_is_called_so_in_every_caption() {
    let outputs = two_methods("sample data").param("caption", "Digits").run().unwrap();
    assert!(text(&outputs, "markdown").starts_with("**Digits (sample data)**\n"));
    assert!(text(&outputs, "latex").contains("\\caption{Digits (sample data)}\n"));
    assert_eq!(json(&outputs, "table")["sample_data"], json!(true));
    let real = two_methods("MNIST").param("caption", "Digits").run().unwrap();
    assert!(!text(&real, "markdown").contains("sample data"));
}

#[test]
fn unlike_results_in_one_cell_are_an_error_that_names_the_axis() {
    let text = message(two_methods("MNIST").param("columns", Vec::<String>::new()).run());
    for part in ["cell (dm; accuracy)", "differ in \"arch\" (convnet3, mlp)", "over = [\"arch\"]"] {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
    let twice = message(with(two_methods("MNIST"), "dm", "mlp", 0, 0.8, "MNIST").run());
    assert!(twice.contains("two results with the same labels, result 2 and result 6"), "{twice}");
}

#[test]
fn a_label_that_a_result_lacks_is_left_out_of_its_title() {
    let whole = [("stage", word("whole"))];
    let stage = two_methods("MNIST").result("results", &whole, &[("accuracy", 0.5)], &["seed"], json!({}));
    let outputs = stage.param("rows", ["stage", "method"]).run().unwrap();
    let table = json(&outputs, "table");
    assert_eq!(table["rows"], json!(["evaluate, dm", "evaluate, data_dam", "whole"]));
    assert_eq!(table["columns"], json!(["convnet3", "mlp", "–"]));
    assert_eq!(table["cells"][2], json!([null, null, { "mean": 0.5, "std": null, "n": 1 }]));
}

#[test]
fn unknown_metrics_and_labels_are_errors_that_list_what_there_is() {
    let text = message(two_methods("MNIST").param("value", "accurcy").run());
    assert!(text.contains("result 0 has no metric \"accurcy\"; it has accuracy, accuracy_std"), "{text}");
    let text = message(two_methods("MNIST").param("rows", ["methd"]).run());
    assert!(text.contains("no result has the label \"methd\"; there are stage, method, arch, seed"), "{text}");
}

#[test]
fn a_single_result_shows_its_own_deviation_and_counts_show_where_they_differ() {
    let single = |stage: Stage| stage.param("rows", ["method"]).param("value_std", "accuracy_std").param("digits", 1);
    let one = single(with(Stage::of("report.table"), "dm", "mlp", 0, 0.8, "MNIST")).run().unwrap();
    assert!(text(&one, "markdown").contains("| dm | 80.0 ± 1.0 |"), "{}", text(&one, "markdown"));
    assert!(text(&one, "markdown").contains("of a single result: ± accuracy\\_std"));

    let without = single(Stage::of("report.table"));
    let without = without.result("results", &[("method", word("dm"))], &[("accuracy", 0.8)], &[], json!({})).run();
    let without = without.unwrap();
    let without = text(&without, "markdown");
    assert!(without.contains("| dm | 80.0 |") && !without.contains("of a single result"), "{without}");

    let mixed = with(two_methods("MNIST"), "dc", "mlp", 0, 0.5, "MNIST").param("percent", false).run().unwrap();
    assert!(text(&mixed, "markdown").contains("| dc | – | 0.50 (n = 1) |"), "{}", text(&mixed, "markdown"));
    assert!(text(&mixed, "markdown").contains("| 0.82 ± 0.03 (n = 2) |"), "{}", text(&mixed, "markdown"));
}

#[test]
fn a_table_can_be_made_of_what_is_there() {
    let stage = || {
        let stage = Stage::of("report.table").param("rows", ["method"]).param("columns", ["arch"]);
        let stage = with(stage, "dm", "convnet3", 0, 0.97, "MNIST");
        let labels = |seed| [("method", word("dc")), ("arch", word("convnet3")), ("seed", Value::Integer(seed))];
        // A training that diverged has no accuracy.
        let stage = stage.result("results", &labels(0), &[("loss", 7.0)], &["seed"], json!({}));
        let stage = stage.absent("results", 2, &labels(1));
        let mlp = [("method", word("dm")), ("arch", word("mlp")), ("seed", Value::Integer(0))];
        let stage = stage.absent("results", 3, &mlp);
        with(stage, "dm", "convnet3", 1, 0.99, "MNIST")
    };
    assert!(message(stage().run()).contains("has no metric \"accuracy\"; it has loss"));
    let outputs = stage().param("missing", "show").run().unwrap();
    let table = text(&outputs, "markdown");
    assert!(table.contains("| method | convnet3 | mlp |\n"), "{table}");
    assert!(table.contains("| dm | 98.00 ± 1.41 | – |\n| dc | – | – |\n"), "{table}");
    let note = "over seed, n = 2; missing: method=dc,arch=convnet3 (2 results), method=dm,arch=mlp\n";
    assert!(table.ends_with(note), "{table}");
}
