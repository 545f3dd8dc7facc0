//! Images on their way, kept in the folder of the run so that they can be looked at when their node is done. Of each node there
//! are at most so many: when there are more, every second one goes, so that they stay evenly spread.

use crate::event::{Event, Observer};
use crate::results::file_stem;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder below that of the run.
const FOLDER: &str = "previews";
/// So many pictures of a node are kept.
const MOST: usize = 24;
/// Larger pictures are not kept.
const LARGEST: u64 = 1 << 20;

/// Keeps images on their way. It never keeps a run from going on: what cannot be written is not kept.
pub struct Strip {
    folder: PathBuf,
    kept: HashMap<String, Vec<u64>>,
    /// Of each node, only steps that are this far from the last one are kept.
    apart: HashMap<String, u64>,
}

impl Strip {
    /// Keeps them in the folder of a run.
    pub fn new(run: &Path) -> Self {
        Strip { folder: run.join(FOLDER), kept: HashMap::new(), apart: HashMap::new() }
    }

    fn keep(&mut self, node: &str, step: u64, path: &Path) -> std::io::Result<()> {
        let kept = self.kept.entry(node.to_string()).or_default();
        let apart = self.apart.entry(node.to_string()).or_insert(1);
        if kept.last().is_some_and(|last| step < last + *apart) || fs::metadata(path)?.len() > LARGEST {
            return Ok(());
        }
        let folder = self.folder.join(file_stem(node));
        fs::create_dir_all(&folder)?;
        fs::copy(path, file(&folder, step))?;
        kept.push(step);
        if kept.len() > MOST {
            let every_second: Vec<u64> = kept.iter().skip(1).step_by(2).copied().collect();
            kept.retain(|step| !every_second.contains(step));
            *apart = kept
                .last()
                .zip(kept.first())
                .map_or(1, |(last, first)| (last - first) / (kept.len() as u64 - 1).max(1));
            every_second.iter().try_for_each(|step| fs::remove_file(file(&folder, *step)))?;
        }
        Ok(())
    }
}

fn file(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("{step:012}.png"))
}

/// The pictures on the way of a node that the run in this folder kept, by step.
pub fn kept_pictures(run: &Path, node: &str) -> Vec<(u64, PathBuf)> {
    let folder = run.join(FOLDER).join(file_stem(node));
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let step = |path: PathBuf| Some((path.file_stem()?.to_str()?.parse().ok()?, path));
    let mut pictures: Vec<(u64, PathBuf)> = entries.filter_map(|entry| step(entry.path())).collect();
    pictures.sort();
    pictures
}

impl Observer for Strip {
    fn on_event(&mut self, event: &Event) {
        if let Event::Preview { node, step, path } = event
            && let Err(error) = self.keep(node, *step, path)
        {
            tracing::debug!(%error, node, "an image on its way was not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn pictures_are_kept_evenly_and_few_of_each_node() {
        let temp = tempfile::tempdir().unwrap();
        let picture = temp.path().join("p.png");
        fs::write(&picture, "png").unwrap();
        let mut strip = Strip::new(temp.path());
        for step in 1..=1000u64 {
            strip.on_event(&Event::Preview { node: "a[x=b/c]".into(), step, path: picture.clone() });
        }
        strip.on_event(&Event::Preview { node: "b".into(), step: 1, path: temp.path().join("gone.png") });
        let steps: Vec<u64> = kept_pictures(temp.path(), "a[x=b/c]").into_iter().map(|(step, _)| step).collect();
        assert!(steps.len() >= MOST / 2 && steps.len() <= MOST && steps[0] == 1, "{steps:?}");
        let gaps: Vec<u64> = steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            *gaps.iter().max().unwrap() <= 2 * gaps.iter().min().unwrap() && *steps.last().unwrap() > 900,
            "{steps:?}"
        );
        assert!(kept_pictures(temp.path(), "b").is_empty() && kept_pictures(temp.path(), "c").is_empty());
    }
}
