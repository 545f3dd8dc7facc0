//! What programs say, as it reaches a terminal: nothing that a terminal would obey.

use crate::project::{COUNT_PROGRAM, Project};

/// Sets the title, clears the screen, turns the direction of writing.
const WORDS: &str = r#"print("\x1b]0;title\x07 \x1b[2J\x9b31m \u202e the last words", file=sys.stderr)"#;

#[test]
fn last_words_of_a_program_are_shown_and_not_obeyed() {
    let project = Project::counting();
    let program = COUNT_PROGRAM.replace("print(\"the last words\", file=sys.stderr)", WORDS);
    assert_ne!(program, COUNT_PROGRAM);
    project.file("kinds/own/count/count.py", program).edit("pipelines/two.toml", "to = 3", "to = 3, fault = \"fail\"");
    for more in [&[][..], &["--quiet"], &["--json"]] {
        let mut args = vec!["run", "pipelines/two.toml", "--allow-commands"];
        args.extend(more);
        let failed = project.run(&args);
        failed.code(1).says("the last words").says("title");
        let obeyed = |letter: char| (letter.is_control() && letter != '\n') || letter == '\u{202e}';
        assert!(!failed.err.contains(obeyed), "{:?}", failed.err);
        if more != ["--json"] {
            failed.says("\\u{1b}]0;title\\u{7}").says("\\u{202e}");
        }
    }
    project.run(&["runs"]).ok().says("two");
}
