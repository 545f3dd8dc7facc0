//! Comparisons of results: the single values that are tested, the marks, and what the formats say.

use crate::host::small::Small;
use crate::host::{Stage, json, message, text};
use ddpipe_interface::Value;
use serde_json::json;

fn word(text: &str) -> Value {
    Value::String(text.into())
}

/// A result with this label `method` and seed, folded over seeds.
fn seeded(stage: Stage, method: &str, seed: i64, accuracy: f64) -> Stage {
    let labels = [("stage", word("evaluate")), ("method", word(method)), ("seed", Value::Integer(seed))];
    stage.result("results", &labels, &[("accuracy", accuracy)], &["seed"], json!({ "origin": "MNIST" }))
}

fn methods() -> Stage {
    let mut stage = Stage::of("compare.table").param("rows", ["method"]);
    for (method, accuracies) in
        [("dm", [0.9555, 0.9549, 0.9561]), ("random", [0.9457, 0.9480, 0.9432]), ("data_dam", [0.9562, 0.9553, 0.9562])]
    {
        for (seed, accuracy) in (0..).zip(accuracies) {
            stage = seeded(stage, method, seed, accuracy);
        }
    }
    stage
}

pub fn small() -> Vec<Small> {
    vec![Small::of(methods())]
}

/// p-values of scipy 1.17.1: `scipy.stats.ttest_ind(best, other, equal_var=False).pvalue`.
const DM: f64 = 0.4329378064047759;
const RANDOM: f64 = 0.014469577535042393;

fn close(value: &serde_json::Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - expected).abs() < 1e-9 * expected.abs(), "{value} is not {expected}");
}

#[test]
fn seeds_are_tested_against_the_best() {
    let outputs = methods().run().unwrap();
    let table = json(&outputs, "table");
    assert_eq!((&table["singles"], &table["over"]), (&json!("results"), &json!(["seed"])));
    let marks: Vec<_> = (0..3).map(|row| table["cells"][row][0]["mark"].clone()).collect();
    assert_eq!(marks, ["tied", "worse", "best"]);
    close(&table["cells"][0][0]["p"], DM);
    close(&table["cells"][1][0]["p"], RANDOM);
    assert_eq!((&table["cells"][2][0]["p"], &table["cells"][2][0]["n"]), (&json!(null), &json!(3)));
    assert_eq!(table["cells"][0][0]["values"], json!([0.9555, 0.9549, 0.9561]));
    assert_eq!((outputs.metrics["tied"], outputs.metrics["worse"], outputs.metrics["untested"]), (1.0, 1.0, 0.0));
    assert!((outputs.metrics["best"] - 0.9559).abs() < 1e-12);

    // Two comparisons: the smaller p times 2 is above 0.02, so that both are tied at that level.
    let holm = methods().param("correction", "holm").param("alpha", 0.02).run().unwrap();
    let corrected = json(&holm, "table");
    close(&corrected["cells"][1][0]["p"], 2.0 * RANDOM);
    close(&corrected["cells"][0][0]["p"], DM);
    assert_eq!((&corrected["cells"][1][0]["mark"], holm.metrics["tied"]), (&json!("tied"), 2.0));
    assert_eq!(methods().param("alpha", 0.02).run().unwrap().metrics["tied"], 1.0);
    let lowest = methods().param("best", ["lowest"]).run().unwrap();
    assert_eq!(json(&lowest, "table")["cells"][1][0]["mark"], "best");
}

#[test]
fn the_formats_show_the_marks_and_say_what_they_mean() {
    let outputs = methods().run().unwrap();
    assert_eq!(
        text(&outputs, "markdown"),
        "**accuracy by method**\n\n\
         | method | accuracy |\n\
         | :-- | --: |\n\
         | dm | 95.55 ± 0.06† |\n\
         | random | 94.56 ± 0.24 |\n\
         | data\\_dam | **95.59 ± 0.05** |\n\n\
         accuracy in %; mean ± standard deviation over seed; n = 3; bold: best of its column; †: not significantly \
         worse (two-sided Welch t-test against the best, p at least 0.05)\n"
    );
    assert_eq!(
        text(&outputs, "latex"),
        "% needs \\usepackage{booktabs}\n\\begin{table}\n\\centering\n\\caption{accuracy by method}\n\
         \\begin{tabular}{lr}\n\\toprule\nmethod & accuracy \\\\\n\\midrule\n\
         dm & \\underline{95.55 $\\pm$ 0.06} \\\\\n\
         random & 94.56 $\\pm$ 0.24 \\\\\n\
         data\\_dam & \\textbf{95.59 $\\pm$ 0.05} \\\\\n\\bottomrule\n\\end{tabular}\n\
         \\par\\small accuracy in \\%; mean $\\pm$ standard deviation over seed; n = 3; bold: best of its column; \
         underlined: not significantly worse (two-sided Welch t-test against the best, p at least 0.05)\n\\end{table}\n"
    );
    let csv = text(&outputs, "csv");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "method,accuracy mean,accuracy std,accuracy n,accuracy p,accuracy mark");
    let fields: Vec<&str> = lines[1].split(',').collect();
    assert_eq!((fields[0], fields[3], fields[5], fields.len()), ("dm", "3", "tied", 6));
    assert!((fields[4].parse::<f64>().unwrap() - DM).abs() < 1e-9, "{csv}");
    assert!(lines[3].ends_with(",3,,best"), "{csv}");

    let counted = methods().param("show_n", true).param("caption", "Digits").run().unwrap();
    let counted = text(&counted, "markdown");
    assert!(counted.starts_with("**Digits**\n") && counted.contains("| 95.55 ± 0.06 (n = 3)† |"), "{counted}");
    assert!(!counted.contains("n = 3;"), "{counted}");
    let holm = methods().param("correction", "holm").run().unwrap();
    assert!(text(&holm, "markdown").contains("p after Holm's correction for 2 comparisons at least 0.05"));
}

/// A training of the whole set (one network) and evaluations of two synthetic sets (three students each).
fn summary() -> Stage {
    let stage = Stage::of("compare.table").param("rows", ["stage", "method"]);
    let whole = [("accuracy", 0.99), ("train_accuracy", 0.999), ("peak_memory_bytes", 400e6), ("seconds", 510.0)];
    let stage = stage.result("results", &[("stage", word("whole"))], &whole, &[], json!({ "origin": "sample data" }));
    let sets = [("dm", [0.95, 0.96, 0.955], 2u32), ("datadam", [0.955, 0.957, 0.956], 3)];
    sets.into_iter().fold(stage, |stage, (method, accuracies, seconds)| {
        let labels = [("stage", word("condensed")), ("method", word(method))];
        let mean = accuracies.iter().sum::<f64>() / 3.0;
        let metrics = [
            ("accuracy", mean),
            ("train_accuracy", 1.0),
            ("peak_memory_bytes", f64::from(seconds) * 104_857_600.0),
            ("seconds", f64::from(seconds)),
        ];
        let document = json!({ "accuracies": accuracies, "train_accuracies": [1.0, 1.0, 1.0] });
        stage.result("results", &labels, &metrics, &[], document)
    })
}

const FOUR: [&str; 4] = ["accuracy", "train_accuracy", "peak_memory_bytes", "seconds"];

#[test]
fn several_values_stand_side_by_side_each_in_its_own_unit() {
    let stage = summary().param("values", FOUR).param("digits", [2, 1, 0, 1]);
    let outputs = stage.param("titles", ["test", "train", "peak memory", "time"]).run().unwrap();
    assert_eq!(
        text(&outputs, "markdown"),
        "**test, train, peak memory and time by stage and method (sample data)**\n\n\
         | stage, method | test (%) | train (%) | peak memory (MiB) | time (s) |\n\
         | :-- | --: | --: | --: | --: |\n\
         | whole | **99.00 (n = 1)** | 99.9 (n = 1)‡ | 381‡ | 510.0‡ |\n\
         | condensed, dm | 95.50 ± 0.50 (n = 3)‡ | **100.0 ± 0.0 (n = 3)** | **200** | **2.0** |\n\
         | condensed, datadam | 95.60 ± 0.10 (n = 3)‡ | **100.0 ± 0.0 (n = 3)** | 300‡ | 3.0‡ |\n\n\
         mean ± standard deviation over the single values of every result; bold: best of its column; ‡: \
         not tested, for want of two single values or of spread\n"
    );
    assert!(text(&outputs, "latex").contains("whole & \\textbf{99.00 (n = 1)} & 99.9 (n = 1)$^\\ddagger$ & "));
    assert!(text(&outputs, "latex").contains("; $^\\ddagger$: not tested, for want of"));
    // Programs get the scalars as they are, by their names.
    let csv = text(&outputs, "csv");
    assert!(
        csv.starts_with("\"stage, method\",accuracy mean,accuracy std,accuracy n,accuracy p,accuracy mark,"),
        "{csv}"
    );
    assert!(csv.contains(",209715200,,1,,best,2,,1,,best\r\n"), "{csv}");
    assert_eq!(outputs.metrics["best"], 0.99);
}

#[test]
fn lists_in_the_documents_are_the_single_values_unless_results_are_asked_for() {
    let students = summary().param("values", ["accuracy"]).run().unwrap();
    let table = json(&students, "table");
    assert_eq!((&table["singles"], &table["cells"][1][0]["n"]), (&json!("lists"), &json!(3)));
    assert_eq!(table["cells"][1][0]["values"], json!([0.95, 0.96, 0.955]));
    let results = summary().param("values", ["accuracy"]).param("singles", "results").run().unwrap();
    assert_eq!(json(&results, "table")["cells"][1][0]["n"], 1);
    assert!(!text(&results, "markdown").contains('±'), "{}", text(&results, "markdown"));
}

/// Two methods on two networks, and one on the first network only.
fn networks() -> Stage {
    let cells = [
        ("dm", "mlp", 0.8),
        ("dm", "convnet3", 0.9),
        ("dc", "mlp", 0.7),
        ("dc", "convnet3", 0.95),
        ("real", "mlp", 0.6),
    ];
    let stage = Stage::of("compare.table").param("rows", ["method"]).param("columns", ["arch"]);
    cells.into_iter().fold(stage, |stage, (method, arch, accuracy)| {
        let metrics = [("accuracy", accuracy), ("seconds", accuracy)];
        stage.result("results", &[("method", word(method)), ("arch", word(arch))], &metrics, &[], json!({}))
    })
}

fn marks(stage: Stage) -> Vec<Vec<String>> {
    let outputs = stage.run().unwrap();
    let mark = |cell: &serde_json::Value| cell["mark"].as_str().unwrap_or("-").to_string();
    let rows = json(&outputs, "table")["cells"].as_array().unwrap();
    rows.iter().map(|row| row.as_array().unwrap().iter().map(mark).collect()).collect()
}

#[test]
fn the_best_is_looked_for_where_the_manifest_says() {
    let table = |against: &str| networks().param("against", against);
    let (b, u) = ("best", "untested");
    assert_eq!(marks(table("column")), [[b, u], [u, b], [u, "-"]]);
    // A cell that is alone in its row is not the best of anything.
    assert_eq!(marks(table("row")), [[u, b], [u, b], ["-", "-"]]);
    assert_eq!(marks(table("table")), [[u, u], [u, b], [u, "-"]]);
    // Columns: mlp accuracy, mlp seconds, convnet3 accuracy, convnet3 seconds; fewer seconds are better.
    let both = |against| marks(table(against).param("values", ["accuracy", "seconds"]));
    assert_eq!(both("row")[0], [u, b, b, u]);
    assert_eq!(both("table"), [[u, u, u, u], [u, u, b, u], [u, b, "-", "-"]]);
    let titled = table("column").param("values", ["accuracy", "seconds"]).run().unwrap();
    let heading = "| method | mlp, accuracy (%) | mlp, seconds (s) | convnet3, accuracy (%) | convnet3, seconds (s) |";
    assert!(text(&titled, "markdown").contains(heading), "{}", text(&titled, "markdown"));
    let none = marks(networks().param("best", ["none"]));
    assert!(none.iter().flatten().all(|mark| mark == "-"), "{none:?}");
}

#[test]
fn what_cannot_be_shown_is_an_error_that_says_why() {
    let text = message(methods().param("values", ["accurcy"]).run());
    assert!(text.contains("no result has the metric \"accurcy\"; result 0 has accuracy"), "{text}");
    let text = message(summary().param("values", FOUR).param("units", ["percent", "percent"]).run());
    assert!(text.contains("`units` has 2 entries for 4 `values`"), "{text}");
    let text = message(methods().param("rows", ["methd"]).run());
    assert!(text.contains("no result has the label \"methd\""), "{text}");
    let labels = |seed: i64| [("method", word("dm")), ("seed", Value::Integer(seed))];
    let stage = Stage::of("compare.table").param("rows", ["method"]).param("values", ["seconds"]);
    let stage = stage.result("results", &labels(0), &[("seconds", 1.0)], &["seed"], json!({}));
    let text = message(stage.result("results", &labels(1), &[("accuracy", 1.0)], &["seed"], json!({})).run());
    assert!(text.contains("result 1 has no metric \"seconds\", which other results of its cell have"), "{text}");
}

#[test]
fn a_table_can_be_made_of_what_is_there() {
    let stage = || {
        let labels = |seed| [("method", word("dsa")), ("seed", Value::Integer(seed))];
        // A training that diverged has no accuracy; another was left out.
        let stage = methods().result("results", &labels(8), &[("loss", 7.0)], &["seed"], json!({}));
        stage.absent("results", 0, &labels(9))
    };
    let outputs = stage().run().unwrap();
    assert!(!text(&outputs, "markdown").contains("missing"), "{}", text(&outputs, "markdown"));
    let outputs = stage().param("missing", "show").run().unwrap();
    let table = text(&outputs, "markdown");
    assert!(table.contains("missing: method=dsa (2 results)"), "{table}");
}
