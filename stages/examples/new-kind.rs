//! Copies `stages/TEMPLATE/` to a new stage kind: `cargo run --example new-kind -- distill mymethod`.
//! The files are made ready to compile; what is left to do is printed.

use anyhow::{Context as _, Result, bail, ensure};
use std::fs;
use std::path::Path;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [group, kind] = words.as_slice() else {
        bail!("two names are needed, for example: cargo run --example new-kind -- distill mymethod");
    };
    for name in [group, kind] {
        let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        let first = name.starts_with(|letter: char| letter.is_ascii_lowercase());
        ensure!(
            first && name.chars().all(fits),
            "{name:?}: a name has letters a-z, digits and _, and begins with a letter"
        );
    }
    let stages = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = stages.join(group).join(kind);
    ensure!(!target.exists(), "{} is there already", target.display());
    let index = stages.join(group).join("mod.rs");
    let listed = fs::read_to_string(&index).with_context(|| {
        format!("{}: a new group needs this file and a line `pub mod {group};` in stages/lib.rs", index.display())
    })?;

    fs::create_dir_all(&target)?;
    let copied = |file: &str| -> Result<String> {
        let text =
            fs::read_to_string(stages.join("TEMPLATE").join(file)).with_context(|| format!("TEMPLATE/{file}"))?;
        let lines = text.lines().filter(|line| !line.starts_with("# A template:"));
        let renamed =
            |line: &str| line.replace("distill.template", &format!("{group}.{kind}")).replace("template", kind);
        Ok(lines.map(|line| renamed(line) + "\n").collect())
    };
    for file in ["stage.toml", "mod.rs", "loss.rs", "README.md"] {
        fs::write(target.join(file), copied(file)?)?;
    }
    let golden = stages.join("golden").join(kind);
    fs::create_dir_all(&golden)?;
    fs::write(golden.join(format!("{kind}.json")), copied("golden/template.json")?)?;
    fs::write(&index, format!("{}\npub mod {kind};\n", listed.trim_end()))?;

    println!(
        "made stages/{group}/{kind}/ and stages/golden/{kind}/, and added `pub mod {kind};` to stages/{group}/mod.rs"
    );
    println!("next: write the declaration, the loss and the loop; then");
    println!(
        "  a test of the golden case in stages/tests/golden/{kind}.rs, and its line in stages/tests/golden/mod.rs"
    );
    println!("  a small stage in stages/tests/kinds/, with its `mod` there, listed in `all` of promises.rs");
    println!("  DDPIPE_UPDATE=1 cargo test --workspace --test stages what_results_depend_on");
    println!("  lines in docs/kinds.md, docs/methods.md and CHANGELOG.md, and a node in pipelines/ci.toml");
    Ok(())
}
