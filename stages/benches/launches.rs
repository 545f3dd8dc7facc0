//! What a step of each kind asks of libtorch, counted on a CPU as a GPU would be told to compute it: `cargo bench --bench
//! launches`. Names after `--` choose stages; `--names` lists the operations of those by their number.
//!
//! Counts, not times: they are the same on a busy machine and in any profile.

#![allow(dead_code, clippy::unwrap_used)]

#[path = "../tests/launches/counting.rs"]
mod counting;
#[allow(clippy::arc_with_non_send_sync, reason = "the counted pointer is what stages are given")]
#[path = "../tests/host/mod.rs"]
mod host;
#[path = "../tests/launches/methods.rs"]
mod methods;

use counting::{Step, steps};
use ddpipe_stages::launches;
use methods::Material;

fn main() {
    // cargo passes `--bench`.
    let mut chosen: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let names = chosen.iter().any(|argument| argument == "--names");
    chosen.retain(|argument| argument != "--names");
    println!("| stage | steps | calls | launches | views | uploads | bytes up | reads | of them recorded |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (name, stage) in Material::digits().methods() {
        if !chosen.is_empty() && !chosen.iter().any(|own| own == name) {
            continue;
        }
        let before = launches::by_name();
        let steps = steps(stage);
        let mean = |of: fn(&Step) -> i64| steps.iter().map(of).sum::<i64>() as f64 / steps.len() as f64;
        println!(
            "| {name} | {} | {:.0} | {:.0} | {:.0} | {:.2} | {:.0} | {:.2} | {:.2} |",
            steps.len(),
            mean(|step| step.counts.calls),
            mean(|step| step.counts.launches),
            mean(|step| step.counts.views),
            mean(|step| step.counts.uploads),
            mean(|step| step.counts.uploaded_bytes),
            mean(|step| step.counts.reads),
            mean(|step| step.recorded),
        );
        if names {
            let all = launches::by_name().into_iter().map(|(name, (launches, waits))| {
                let (earlier, earlier_waits) = before.get(&name).copied().unwrap_or_default();
                (launches - earlier, waits - earlier_waits, name)
            });
            let mut all: Vec<_> = all.filter(|(launches, waits, _)| launches + waits > 0).collect();
            all.sort();
            println!("\n launches    reads");
            all.iter().rev().for_each(|(launches, waits, name)| println!("{launches:>9}{waits:>9}  {name}"));
        }
    }
}
