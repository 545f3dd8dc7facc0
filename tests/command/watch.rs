//! `ddpipe watch`: a run of another terminal, seen from this one.

use crate::project::{Project, Running};
use crate::screen::{RUN, assert_no_frame, waiting};
use crate::terminal::Terminal;
use nix::sys::signal::Signal;

/// A run whose first stage stands at step 3 of 10 until there is a file `go`.
fn begun(project: &Project) -> Running {
    let mut run = project.start(RUN);
    assert!(run.until("a: runs on cpu"), "{}", run.out());
    run
}

#[test]
fn a_terminal_shows_the_same_view_with_the_steps_of_running_stages() {
    let project = waiting();
    let run = begun(&project);
    let terminal = Terminal::start(&project, &["watch"], (80, 24));
    let rows = terminal.until_row("3/10");
    let place = rows.iter().position(|row| row.contains("3/10")).unwrap();
    assert!(rows[place - 2].starts_with("two  2 nodes, 0 on record"), "{rows:#?}");
    assert!(rows[place - 1].starts_with("  [0/2]  ") && rows[place].starts_with("  a "), "{rows:#?}");
    assert!(rows[place].contains("loss 0.500"), "{rows:#?}");
    assert!(rows.iter().any(|row| row.starts_with("· a ") && row.contains("never ran")), "{rows:#?}");
    project.file("go", "");
    let left = terminal.wait();
    assert_eq!(left.code, Some(0), "{:#?}", left.rows);
    assert_no_frame(&left.rows);
    assert_eq!(left.rows.iter().filter(|row| row.starts_with("✓ ")).count(), 2, "{:#?}", left.rows);
    assert!(left.rows.last().unwrap().starts_with("two: 2 ran in "), "{:#?}", left.rows);
    run.wait().ok();
    // What is only for those who watch is gone with the run.
    let folder = std::fs::read_dir(project.path(".ddpipe/runs")).unwrap().flatten();
    for run in folder.filter(|entry| entry.path().is_dir()) {
        assert!(!run.path().join("progress.jsonl").exists());
    }
}

#[test]
fn ctrl_c_ends_the_watching_and_not_the_run() {
    let project = waiting();
    let mut run = begun(&project);
    let terminal = Terminal::start(&project, &["watch", "last"], (80, 24));
    terminal.until_row("3/10");
    terminal.types("\u{3}");
    let left = terminal.wait();
    assert_eq!(left.code, Some(130), "{:#?}", left.rows);
    assert_no_frame(&left.rows);
    assert!(left.rows.iter().any(|row| row.contains("goes on; `ddpipe watch` shows it")), "{:#?}", left.rows);
    assert!(!run.has_ended());
    project.file("go", "");
    run.wait().ok();
}

#[test]
fn in_a_pipe_it_has_the_lines_of_the_run_and_its_exit_code() {
    let project = waiting();
    project.edit("pipelines/two.toml", "params = { to = 4 }", "params = { to = 4, fault = \"fail\" }");
    let fails = project.read("kinds/own/count/count.py")
        + "if params[\"fault\"] == \"fail\":\n    print(\"the last words\", file=sys.stderr)\n    sys.exit(7)\n";
    project.file("kinds/own/count/count.py", fails);
    let run = begun(&project);
    let mut watch = project.start(&["watch"]);
    assert!(watch.until("a: runs on cpu (never ran)"));
    project.file("go", "");
    let (run, watch) = (run.wait(), watch.wait());
    run.code(1);
    watch.code(1).says("two: 2 nodes, 0 on record (run ").says("| the last words").says("two: 1 ran, 1 failed in ");
    let told = |text: &str| text.lines().filter(|line| line.starts_with("b: ")).map(str::to_string).collect::<Vec<_>>();
    assert_eq!(told(&watch.out), told(&run.err));
    assert!(watch.out.contains("two: 1 ran, 1 failed in ") && !watch.out.contains('\u{1b}'), "{:?}", watch.out);
    assert_eq!(watch.err, "");
    // Afterwards the same end is told at once.
    project
        .run(&["watch", "last"])
        .code(1)
        .says("FAILED b")
        .says("two: 1 ran, 1 failed in ")
        .is_silent_about("runs on");
}

#[test]
fn a_run_that_is_over_or_died_is_told_at_once() {
    let project = waiting();
    project.run(&["watch"]).code(3).says("there is no cache at");
    let run = begun(&project);
    let mut watch = project.start(&["watch"]);
    assert!(watch.until("a: runs on cpu"));
    run.signal(Signal::SIGKILL);
    watch.wait().code(1).says("did not end: its process is gone, 0 of 2 nodes were done").says("--from-run");
    drop(run);
    project.run(&["watch", "last"]).code(1).says("its process is gone");
    project.run(&["watch"]).code(1).says("no run is at work in").says("`ddpipe watch last`");
    project.file("go", "");
    project.go("pipelines/two.toml", &[]).ok();
    project.run(&["watch", "last"]).ok().says("two: 2 ran in ");
    project.go("pipelines/two.toml", &[]).ok();
    project.run(&["watch", "last"]).ok().says("has ended; exit code 0");
    project.run(&["watch", "2999"]).code(2).says("there is no run");
}
