//! `ddpipe results`: all results on record as one table, with the parameters that differ, and the best of them.

use crate::project::{COUNT_STAGE, Project};
use crate::terminal::Terminal;
use serde_json::Value;

const SWEEP: &str = r#"[pipeline]
name = "sweep"
kinds = ["../kinds"]

[stages.first]
kind = "own.count"
params = { to = 3 }

[stages.second]
kind = "own.count"
matrix = { fault = ["x", "y"], to = [1, 2, 10] }
inputs = { before = "first" }
"#;

fn project(metrics: &str) -> Project {
    let project = Project::counting();
    project.file("kinds/own/count/stage.toml", format!("{COUNT_STAGE}{metrics}"));
    project.file("pipelines/sweep.toml", SWEEP);
    project
}

const DECLARED: &str = "[metrics.sum]\nhelp = \"the sum\"\nbetter = \"higher\"\n";

fn rows(project: &Project, args: &[&str]) -> Vec<Value> {
    serde_json::from_str(&project.run(&[&["results", "--json"], args].concat()).ok().out).unwrap()
}

#[test]
fn results_are_listed_with_axes_and_with_parameters_of_what_came_before() {
    let project = project(DECLARED);
    project.go("pipelines/sweep.toml", &[]).ok();
    project.go("pipelines/sweep.toml", &["--set", "stages.first.params.to=50"]).ok();
    let all = project.run(&["results", "second"]);
    all.ok().says("first.to").says("fault").says("sum").says("made").says("run");
    assert_eq!(all.out.lines().count(), 13, "{}", all.out);
    let far = rows(&project, &["second", "--where", "first.to=50", "--where", "to>=2", "--where", "fault!=y"]);
    assert_eq!(far.len(), 2, "{far:?}");
    assert_eq!((&far[0]["axes"]["fault"], &far[0]["params"]["first.to"]), (&"x".into(), &"50".into()));
    let of_node = rows(&project, &["second[fault=x,to=10]"]);
    assert_eq!(of_node.len(), 2);
    assert_eq!(rows(&project, &["sweep"]).len(), 14, "by the pipeline's name");
    assert_eq!(rows(&project, &["pipelines/sweep.toml"]).len(), 14);
    assert_eq!(rows(&project, &["--since", "2w"]).len(), 14);
    assert_eq!(rows(&project, &["--since", "2999-01-01"]).len(), 0);
    project.run(&["results", "secnod"]).code(2).says("did you mean \"second\"");
    project.run(&["results", "--where", "falut=x"]).code(2).says("did you mean \"fault\"");
    project.run(&["results", "--where", "fault"]).code(2).says("is no condition");
    project.run(&["results", "--since", "soon"]).code(2).says("is no time");
}

#[test]
fn results_are_sorted_and_cut() {
    let project = project(DECLARED);
    project.go("pipelines/sweep.toml", &[]).ok();
    let sums = |args: &[&str]| -> Vec<f64> {
        rows(&project, args).iter().map(|row| row["metrics"]["sum"].as_f64().unwrap()).collect()
    };
    let up = sums(&["second", "--sort", "sum"]);
    assert!(up.len() == 6 && up.is_sorted(), "{up:?}");
    let down = sums(&["second", "--sort", "sum", "--desc", "--limit", "3"]);
    assert!(down.len() == 3 && down.is_sorted_by(|one, other| one >= other), "{down:?}");
    // Numbers are sorted as numbers, also where they are axes.
    let csv = project.run(&["results", "second", "--where", "fault=x", "--sort", "to", "--columns", "to,sum", "--csv"]);
    let lines: Vec<&str> = csv.ok().out.lines().collect();
    assert_eq!(lines[0], "to,sum");
    let firsts: Vec<&str> = lines[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(firsts, ["1", "2", "10"]);
    project.run(&["results", "--columns", "to,smu"]).code(2).says("did you mean \"sum\"");
}

#[test]
fn the_best_goes_by_what_the_kind_declares() {
    let project = project(DECLARED);
    project.go("pipelines/sweep.toml", &[]).ok();
    let best = rows(&project, &["pipelines/sweep.toml", "--best", "sum", "--where", "stage=second", "--by", "fault"]);
    let of = |field: &str| -> Vec<&str> { best.iter().map(|row| row["axes"][field].as_str().unwrap()).collect() };
    assert_eq!(of("to"), ["10", "10"]);
    assert!(best.len() == 2 && of("fault")[0] != of("fault")[1]);
    // Without the manifest, nothing declares what is better for a kind of the project's own.
    project.run(&["results", "second", "--best", "sum"]).code(2).says("does not declare which value is better");
    assert_eq!(rows(&project, &["second", "--best", "sum", "--desc"])[0]["axes"]["to"], "10");
    // Lower is better: the same records, another declaration.
    let manifest = "pipelines/sweep.toml";
    project.edit("kinds/own/count/stage.toml", "better = \"higher\"", "better = \"lower\"");
    let best = rows(&project, &[manifest, "--best", "sum", "--where", "stage=second"]);
    assert_eq!((best.len(), &best[0]["axes"]["to"]), (1, &"1".into()));
}

#[test]
fn a_parquet_file_has_columns_with_types_and_null_for_what_is_missing() {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::Field;
    let project = project(DECLARED);
    project.go("pipelines/sweep.toml", &[]).ok();
    project.run(&["results", "--parquet", "out/results.parquet"]).ok().says("out/results.parquet");
    let file = SerializedFileReader::new(std::fs::File::open(project.path("out/results.parquet")).unwrap()).unwrap();
    let rows: Vec<Vec<(String, Field)>> = file
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect())
        .collect();
    assert_eq!(rows.len(), 7);
    let field = |row: &[(String, Field)], wanted: &str| {
        row.iter().find(|(name, _)| name == wanted).unwrap_or_else(|| panic!("{row:?}")).1.clone()
    };
    let of_stage = |wanted: &str| -> Vec<&Vec<(String, Field)>> {
        rows.iter().filter(|row| field(row, "stage") == Field::Str(wanted.into())).collect()
    };
    let mut counted: Vec<(Field, Field)> =
        of_stage("second").iter().map(|row| (field(row, "fault"), field(row, "to"))).collect();
    counted.sort_by_key(|(fault, to)| format!("{fault} {to}"));
    assert_eq!(counted[0], (Field::Str("x".into()), Field::Long(1)));
    assert!(matches!(field(of_stage("second")[0], "sum"), Field::Double(_)));
    assert_eq!(field(of_stage("first")[0], "fault"), Field::Null);
    // Columns that are named, and the values of the other formats.
    project.run(&["results", "second", "--columns", "to,sum", "--parquet", "two.parquet"]).ok();
    let file = SerializedFileReader::new(std::fs::File::open(project.path("two.parquet")).unwrap()).unwrap();
    assert_eq!(file.metadata().file_metadata().schema().get_fields().len(), 2);
    project.run(&["results", "--parquet", "x", "--csv"]).code(2).says("cannot be used with");
}

#[test]
fn of_a_table_over_several_nodes_all_their_values_are_told() {
    let project = project(DECLARED);
    project.with_gather();
    let all = "\n[stages.all]\nkind = \"own.gather\"\ninputs = { many = { gather = \"second\" } }\n";
    // One of the values is the default.
    project.file("pipelines/sweep.toml", SWEEP.replace("[1, 2, 10]", "[1, 3]") + all);
    project.go("pipelines/sweep.toml", &[]).ok();
    let found = project.run(&["where", "results/sweep/all.json"]);
    found.ok().says("second.to = 1, 3").says("second.fault = x, y").says("second.kind = own.count");
    for wanted in ["second.to=1", "second.to=3", "second.fault=y", "to<2", "second.kind=own.count"] {
        assert_eq!(rows(&project, &["all", "--where", wanted]).len(), 1, "{wanted}");
    }
    assert_eq!(rows(&project, &["all", "--where", "second.to=2"]).len(), 0);
    assert_eq!(rows(&project, &["all", "--where", "second.to!=3"]).len(), 0);
    let params = &rows(&project, &["all"])[0]["params"];
    assert_eq!((&params["second.to"], &params["second.kind"]), (&"1, 3".into(), &"own.count".into()));
}

#[test]
fn axes_come_first_and_what_repeats_them_or_is_the_same_everywhere_is_left_out() {
    let project = project(DECLARED);
    project.go("pipelines/sweep.toml", &["--set", "stages.first.params.to=50"]).ok();
    let table = project.run(&["results", "second"]);
    let head: Vec<&str> = table.ok().out.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["fault", "to", "sum", "made"]);
    // What tells the candidates apart is shown of the best, too.
    let manifest = ["results", "pipelines/sweep.toml", "--where", "stage=second", "--best", "sum"];
    let best = project.run(&manifest);
    let head: Vec<&str> = best.ok().out.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["stage", "fault", "to", "sum", "made", "run"]);
    let csv = project.run(&[manifest.as_slice(), &["--csv"]].concat());
    let lines: Vec<Vec<&str>> = csv.ok().out.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 2);
    let value = |name: &str| lines[1][lines[0].iter().position(|column| *column == name).unwrap()];
    assert_eq!((value("to"), value("first.to"), value("first.kind")), ("10", "50", "own.count"));
    assert_eq!((value("seed").is_empty(), value("pipeline")), (false, "sweep"));
    // A narrow terminal has no room for all.
    let rows = Terminal::start(&project, &["results", "second"], (26, 24)).wait().rows;
    assert!(rows.iter().any(|row| row.starts_with("left out: to")), "{rows:#?}");
}

#[test]
fn results_over_an_axis_are_means_and_the_best_of_them_is_no_lucky_seed() {
    let project = project(DECLARED);
    project.file("pipelines/sweep.toml", SWEEP.replace("fault = [\"x\", \"y\"]", "seed = [0, 1, 7]"));
    project.go("pipelines/sweep.toml", &[]).ok();
    let of = ["pipelines/sweep.toml", "--where", "stage=second"];
    let single = rows(&project, &[&of[..], &["--where", "to=10"]].concat());
    let mean = single.iter().map(|row| row["metrics"]["sum"].as_f64().unwrap()).sum::<f64>() / 3.0;
    let folded = rows(&project, &[&of[..], &["--over", "seed"]].concat());
    assert_eq!(folded.len(), 3, "{folded:?}");
    let best = rows(&project, &[&of[..], &["--over", "seed", "--best", "sum"]].concat());
    assert_eq!((best.len(), &best[0]["n"], &best[0]["axes"]["to"]), (1, &3.into(), &"10".into()));
    assert!((best[0]["metrics"]["sum"].as_f64().unwrap() - mean).abs() < 1e-9);
    assert!(best[0]["deviations"]["sum"].as_f64().unwrap() > 0.0 && best[0]["key"].is_null());
    project.run(&["results", "second", "--over", "seed"]).ok().says(" ± ");
    project.run(&["results", "second", "--over", "seed", "--csv"]).ok().says("sum,sum.std,n,made");
    project.run(&["results", "second", "--over", "sede"]).code(2).says("did you mean \"seed\"");
}
