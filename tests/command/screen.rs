//! A run as a person sees it: rows and columns of a terminal while it goes on, after a change of size, and when it is over.

use crate::project::{COUNT_STAGE, Done, Project, TWO};
use crate::terminal::Terminal;

pub const RUN: &[&str] = &["run", "pipelines/two.toml", "--allow-commands", "--jobs", "1"];
const LONG: &str = "count_with_a_rather_long_name_that_some_people_like_to_give_their_stages";

/// Counts, and waits at the third step until there is the file that it was told.
const WAITS: &str = r#"import json, os, sys, time
params = json.load(open("params.json"))["params"]
for step in range(params["to"]):
    # A stage tells its progress ten times a second; this one has to be told.
    time.sleep(0.3 if step == 2 else 0)
    print(f"progress {step + 1}/{params['to']} loss 0.5", flush=True)
    while step == 2 and params["fault"].startswith("/") and not os.path.exists(params["fault"]):
        time.sleep(0.01)
json.dump({"sum": 1}, open("outputs/counted.json", "w"))
json.dump({"metrics": {"sum": 1.0}}, open("outputs/metrics.json", "w"))
"#;

/// A project whose first stage stands at step 3 of 10 until there is a file `go`.
pub fn waiting() -> Project {
    let mut project = Project::counting();
    project.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
    let go = project.path("go").display().to_string();
    project.file("kinds/own/count/count.py", WAITS);
    let stage = format!("params = {{ to = 10, fault = \"{go}\" }}");
    project.edit("pipelines/two.toml", "params = { to = 3 }", &stage);
    project
}

fn with_long_names(project: &Project) {
    let text = project.read("pipelines/two.toml").replace("[stages.a]", &format!("[stages.{LONG}]"));
    project.file("pipelines/two.toml", text.replace("before = \"a\"", &format!("before = \"{LONG}\"")));
}

/// No row looks like a piece of a frame.
#[track_caller]
pub fn assert_no_frame(rows: &[String]) {
    let left: Vec<_> =
        rows.iter().filter(|row| row.contains("3/10") || row.contains("left") || row.contains("━")).collect();
    assert!(left.is_empty(), "a dead frame: {left:#?}\n{}", rows.join("\n"));
}

#[test]
fn a_run_has_a_header_a_counter_and_one_line_for_each_running_stage() {
    for columns in [60, 80, 200] {
        let project = waiting();
        with_long_names(&project);
        let terminal = Terminal::start(&project, RUN, (columns, 24));
        let rows = terminal.until_row("3/10");
        let place = rows.iter().position(|row| row.contains("3/10")).unwrap();
        assert!(rows[place - 2].starts_with("two  2 nodes, 0 on record"), "{rows:#?}");
        assert!(rows[place - 1].starts_with("  [0/2]  "), "{rows:#?}");
        // Of the second stage nothing is known, and of the first one its rate at best.
        let counter = &rows[place - 1];
        assert!(counter.ends_with("time left unknown") || counter.contains(", at least "), "{rows:#?}");
        assert_eq!(rows.len(), place + 1, "{rows:#?}");
        assert!(rows[place].starts_with("  count_with"), "{rows:#?}");
        let frame = &rows[place - 2..];
        assert!(frame.iter().all(|row| row.chars().count() < usize::from(columns)), "{rows:#?}");
        match columns {
            200 => assert!(rows[place].contains(LONG) && rows[place].contains("loss 0.500"), "{rows:#?}"),
            _ => assert!(rows[place].contains('…') && rows[place].contains("loss 0.500"), "{rows:#?}"),
        }
        // Why it runs stands above.
        assert!(rows[..place - 2].iter().any(|row| row.starts_with("· count_with") && row.contains("never ran")));
        project.file("go", "");
        let left = terminal.wait();
        assert_eq!(left.code, Some(0), "{:#?}", left.rows);
        assert_no_frame(&left.rows);
        let done: Vec<_> = left.rows.iter().filter(|row| row.starts_with("✓ ")).collect();
        assert_eq!(done.len(), 2, "{:#?}", left.rows);
        assert!(done.iter().all(|row| row.contains("sum ") && row.ends_with(" s")), "{done:#?}");
        assert!(left.rows.last().unwrap().starts_with("two: 2 ran in "), "{:#?}", left.rows);
    }
}

#[test]
fn a_window_that_is_pulled_shows_one_frame() {
    let project = waiting();
    with_long_names(&project);
    let terminal = Terminal::start(&project, RUN, (140, 24));
    terminal.until_row("3/10");
    for (columns, height) in [(60, 24), (100, 10), (30, 12), (140, 24)] {
        terminal.resize(columns, height);
        let fits = |rows: &[String]| {
            let running = rows.iter().filter(|row| row.contains("3/10")).count();
            let counters = rows.iter().filter(|row| row.contains("[0/2]")).count();
            running == 1 && counters == 1 && rows.last().is_some_and(|row| row.contains("3/10"))
        };
        let rows = terminal.until(&format!("one frame at {columns} columns"), fits);
        assert!(rows.iter().filter(|row| row.contains("two  2 nodes")).count() == 1, "{rows:#?}");
    }
    project.file("go", "");
    let left = terminal.wait();
    assert_eq!(left.code, Some(0));
    assert_no_frame(&left.rows);
}

#[test]
fn ctrl_c_twice_leaves_no_dead_frame() {
    let project = waiting();
    let program = project.read("kinds/own/count/count.py");
    let deaf =
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n";
    project.file("kinds/own/count/count.py", format!("{deaf}{program}"));
    let terminal = Terminal::start(&project, RUN, (80, 24));
    terminal.until_row("3/10");
    terminal.types("\u{3}");
    terminal.until_row("again to stop at once");
    terminal.types("\u{3}");
    let left = terminal.wait();
    assert_eq!(left.code, Some(130), "{:#?}", left.rows);
    assert_no_frame(&left.rows);
    assert!(left.rows.last().unwrap().starts_with("two: 1 interrupted, 1 not run in"), "{:#?}", left.rows);
    assert!(left.rows.iter().any(|row| row.contains("the same command continues")), "{:#?}", left.rows);
}

#[test]
fn a_terminal_that_is_closed_ends_a_run_with_129() {
    let project = waiting();
    let terminal = Terminal::start(&project, RUN, (80, 24));
    terminal.until_row("3/10");
    assert_eq!(terminal.close(), Some(129));
    project.file("go", "");
    project.go("pipelines/two.toml", &[]).ok().ran(&["a", "b"]);
}

#[test]
fn ctrl_z_takes_the_frame_away_and_fg_brings_it_back() {
    let project = waiting();
    let terminal = Terminal::start(&project, RUN, (80, 24));
    terminal.until_row("3/10");
    terminal.types("\u{1a}");
    let rows = terminal.until("no frame", |rows| !rows.iter().any(|row| row.contains("3/10") || row.contains("[0/2]")));
    assert_no_frame(&rows);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(terminal.pid()), nix::sys::signal::Signal::SIGCONT).unwrap();
    terminal.until_row("3/10");
    project.file("go", "");
    let left = terminal.wait();
    assert_eq!(left.code, Some(0));
    assert_no_frame(&left.rows);
}

/// One node fails, and 999 depend on it.
fn thousand() -> Project {
    let mut project = Project::counting();
    project.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
    let many: Vec<String> = (0..999).map(|number| number.to_string()).collect();
    let matrix = format!("matrix = {{ to = [{}] }}", many.join(", "));
    let stages = TWO.replace("params = { to = 3 }", "params = { to = 3, fault = \"fail\" }");
    let stages = stages.replace("params = { to = 4 }", &matrix);
    project.file("pipelines/two.toml", stages);
    project
}

#[test]
fn of_a_thousand_nodes_the_one_that_failed_is_told_last() {
    let project = thousand();
    let left = Terminal::start(&project, RUN, (80, 24)).wait();
    assert_eq!(left.code, Some(1), "{:#?}", left.rows);
    assert!(left.rows.len() < 24, "{:#?}", left.rows);
    let last = left.rows.last().unwrap();
    assert!(left.rows.join("").contains("two: 1 failed, 999 not run in "), "{last}");
    assert!(left.rows.join("").contains("; failed: a (run "), "{last}");
    let place = left.rows.iter().position(|row| row == "FAILED a").unwrap_or_else(|| panic!("{:#?}", left.rows));
    let rest = left.rows[place..].join("\n");
    assert!(rest.contains("| the last words") && rest.contains("999 nodes were not run"), "{rest}");
    assert_eq!(left.rows.iter().filter(|row| row.contains("| the last words")).count(), 1, "{:#?}", left.rows);
    // The same in a pipe, in a few plain lines.
    let piped = project.run(RUN);
    piped.code(1).says("FAILED a").says("999 nodes were not run").says("two: 1 failed, 999 not run in ");
    assert!(piped.err.lines().count() < 15 && !piped.err.contains('\u{1b}'), "{}", piped.err);
    let quiet = project.run(&[RUN, &["--quiet"]].concat());
    quiet.code(1).says("| the last words").says("two: 1 failed").is_silent_about("nodes, 0 on record");
}

/// Sequences that set colours.
fn colours(text: &str) -> usize {
    text.matches("\u{1b}[").count() - text.matches("\u{1b}[J").count() - text.matches("\u{1b}[K").count() - ups(text)
}

fn ups(text: &str) -> usize {
    let up = |rest: &&str| rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).starts_with('A');
    text.split("\u{1b}[").skip(1).filter(up).count()
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    for (name, value, shown) in [("TERM", "xterm", true), ("NO_COLOR", "1", false), ("TERM", "dumb", false)] {
        let mut project = Project::counting();
        project.env(name, value).edit("pipelines/two.toml", "to = 4", "to = 4, fault = \"fail\"");
        let left = Terminal::start(&project, RUN, (80, 24)).wait();
        assert_eq!(colours(&left.bytes) > 0, shown, "{name}={value}: {:?}", left.bytes);
        // Without a locale there is ASCII alone.
        assert!(left.bytes.is_ascii(), "{:?}", left.bytes);
        if value == "dumb" {
            assert!(!left.bytes.contains('\u{1b}'), "{:?}", left.bytes);
        }
    }
    let mut project = Project::counting();
    project.edit("pipelines/two.toml", "to = 4", "to = 4, fault = \"fail\"");
    let piped = |project: &Project| -> Done { project.run(RUN) };
    assert_eq!(colours(&piped(&project).err), 0);
    project.env("CLICOLOR_FORCE", "1");
    assert!(piped(&project).err.contains("\u{1b}[31mFAILED\u{1b}[0m b"));
}

#[test]
fn warnings_are_plain_words_in_a_pipe() {
    let project = Project::counting();
    project.run(RUN).ok();
    // A record that is no record is set aside with a warning.
    let records = std::fs::read_dir(project.path(".ddpipe/records-v1")).unwrap().flatten();
    for file in records.filter_map(|shard| std::fs::read_dir(shard.path()).ok()).flatten().flatten() {
        std::fs::write(file.path(), "{}").unwrap();
    }
    let done = project.run(RUN);
    done.ok().says("a broken record was set aside").is_silent_about("ddpipe_cache::");
    assert!(!done.err.contains('\u{1b}'), "{:?}", done.err);
}

#[test]
fn what_a_stage_will_take_is_worked_out_from_what_others_took() {
    let project = Project::counting();
    project.file(
        "kinds/own/count/stage.toml",
        COUNT_STAGE.replace("help = \"how far\"", "help = \"how far\", work = true"),
    );
    project.run(&["plan", "pipelines/two.toml"]).ok().says("time unknown for 2 nodes");
    let first = project.go("pipelines/two.toml", &[]);
    let events = first.ok().events();
    let expected = events.iter().find(|event| event["event"] == "expected").unwrap();
    assert_eq!(expected["seconds"], serde_json::json!({ "a": null, "b": null }));
    project.edit("pipelines/two.toml", "to = 4", "to = 4000");
    let plan = project.run(&["plan", "pipelines/two.toml", "--json"]);
    let nodes: serde_json::Value = serde_json::from_str(&plan.ok().out).unwrap();
    let took = first.outcome("b")["seconds"].as_f64().unwrap();
    let guess = nodes[1]["seconds"].as_f64().unwrap();
    assert!((guess / took / 1000.0 - 1.0).abs() < 0.01, "{took} s became {guess}");
    project.run(&["plan", "pipelines/two.toml"]).ok().says("of computing in all, by what earlier runs took");
}

#[test]
fn a_gpu_that_is_not_there_is_found_at_once() {
    let project = Project::counting();
    if std::path::Path::new("/dev/nvidia0").exists() || std::path::Path::new("/dev/dxg").exists() {
        project.run(&[RUN, &["--device", "cuda:99"]].concat()).code(2).says("--device cuda:99: this machine shows");
        return;
    }
    let refused = project.run(&[RUN, &["--device", "cuda"]].concat());
    refused.code(2).says("--device cuda:0: this machine shows no NVIDIA GPU").is_silent_about("FAILED");
    project
        .run(&["plan", "pipelines/two.toml", "--device", "cuda"])
        .ok()
        .says("warning: --device cuda:0")
        .says("1 to run");
}
