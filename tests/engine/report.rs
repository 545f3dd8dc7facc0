//! How large a report becomes.

use crate::lab::Lab;

/// The bound that docs/report.md gives for pictures leaves so much for everything else of a thousand nodes.
const BYTES: usize = 4 << 20;

#[test]
fn a_report_of_a_thousand_nodes_can_be_sent() {
    let mut lab = Lab::new(
        r#"
[stages.a]
kind = "make.data"
[stages.b]
kind = "use.step"
matrix = { x = { from = 1, to = 333 } }
inputs = { data = "a" }
[stages.c]
kind = "use.step"
inputs = { data = "b", more = "a" }
[stages.d]
kind = "use.score"
inputs = { data = "c" }
[stages.e]
kind = "use.table"
inputs = { results = { gather = "d" } }
"#,
    );
    lab.run().is_complete();
    let page = lab.report();
    assert!(page.len() < BYTES, "{} bytes", page.len());
    assert_eq!(page.matches("<details class=\"proof\">").count(), 1001);
    assert!(page.contains("All is on record."), "{}", &page[..12_000]);
    // One parameter more, and nothing of the last three stages is on record.
    lab.set("stages.c.params.x", 7);
    assert!(lab.report().contains("334 of 1001 nodes are on record"));
}
