//! Where files may be written for a manifest: in its project, and where the user says so. A manifest alone, which may be
//! a stranger's, cannot have a file downloaded to another place.

use crate::diagnostic::Diagnostic;
use crate::manifest::{Overrides, SourceTable};
use crate::pipeline::{Source, SourceFile};
use std::path::{Component, Path, PathBuf};

/// The variable of the environment that names a folder which sources may lie in and be downloaded to.
const DATA: &str = "DDPIPE_DATA";

/// The folders that files may be written to.
#[derive(Clone, Debug)]
pub struct Territory {
    everywhere: bool,
    folders: Vec<PathBuf>,
}

impl Territory {
    /// The project's folder and those that the user named: in `DDPIPE_DATA`, in a variable that the environment or
    /// `--set` gives, or as the path of a source by `--set`. Everything with `--allow-outside`.
    pub fn new(root: &Path, overrides: &Overrides) -> Self {
        let mut folders = vec![real(root)];
        if overrides.texts.is_some() {
            // Variables and settings of an earlier run are what a file says, and not the user's word.
            return Territory { everywhere: overrides.allow_outside, folders };
        }
        for (name, text) in &overrides.env {
            let base = if name == DATA { std::env::current_dir().unwrap_or_default() } else { root.to_path_buf() };
            folders.extend(named(&base, text));
        }
        let names_path =
            |path: &str| path.starts_with("vars.") || (path.starts_with("sources.") && path.ends_with(".path"));
        let sets = overrides.sets.iter().filter(|(path, _)| names_path(path));
        folders.extend(sets.filter_map(|(_, text)| named(root, text.trim_matches(['"', '\'']))));
        Territory { everywhere: overrides.allow_outside, folders }
    }

    /// Whether a file may be written at this path, wherever links on the way lead.
    pub fn holds(&self, path: &Path) -> bool {
        let target = real(path);
        self.everywhere || self.folders.iter().any(|folder| target.starts_with(folder))
    }

    /// What is wrong with the files of a source that would be downloaded to other places, if there are any.
    pub fn fault(&self, table: &SourceTable, source: &Source) -> Option<Diagnostic> {
        let outside = |file: &&SourceFile| !file.url.is_empty() && !file.path.is_file() && !self.holds(&file.path);
        let file = source.files.values().find(outside)?;
        let folder = real(file.path.parent().unwrap_or(&file.path));
        let message =
            format!("{}/{} would be downloaded to {}, outside the project", source.name, file.name, folder.display());
        let help = format!(
            "if this is what you want, allow it: --allow-outside, or {DATA}={} for this folder alone",
            folder.display()
        );
        Some(Diagnostic::at(table.place.as_ref().unwrap_or(&table.key), message).help(help))
    }
}

/// The folder that a user's text names. The root of everything is none: a single `/` is hardly meant as a folder.
fn named(base: &Path, text: &str) -> Option<PathBuf> {
    let folder = Some(text).filter(|text| !text.is_empty()).map(|text| real(&base.join(text)))?;
    folder.parent().is_some().then_some(folder)
}

/// The path that a path leads to once links are followed, also those that lead to nothing yet, and without `..`.
fn real(path: &Path) -> PathBuf {
    followed(path, &mut 0)
}

/// So many links are followed for one path, as systems do; one that needs more leads nowhere.
const MAX_LINKS: usize = 40;

fn followed(path: &Path, links: &mut usize) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut real = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => {
                real.pop();
            }
            Component::Normal(name) => {
                real.push(name);
                if let Ok(target) = std::fs::read_link(&real) {
                    *links += 1;
                    if *links > MAX_LINKS {
                        return PathBuf::from("/");
                    }
                    real = followed(&real.parent().unwrap_or(&real).join(target), links);
                }
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    real
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    fn territory(root: &Path, change: impl FnOnce(&mut Overrides)) -> Territory {
        let mut overrides = Overrides::default();
        change(&mut overrides);
        Territory::new(root, &overrides)
    }

    #[test]
    fn a_project_ends_where_its_folder_ends() {
        let folder = tempfile::tempdir().unwrap();
        let (root, out) = (folder.path().join("project"), folder.path().join("out"));
        std::fs::create_dir_all(root.join("data")).unwrap();
        std::fs::create_dir_all(&out).unwrap();
        symlink(&out, root.join("link")).unwrap();
        symlink(out.join("later"), root.join("dangling")).unwrap();
        symlink("data", root.join("inner")).unwrap();
        symlink("link/deeper", root.join("chain")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let own = territory(&root, |_| {});
        for inside in ["data/a", "new/a", "inner/a", "data/../a", "new/../new/a"] {
            assert!(own.holds(&root.join(inside)), "{inside}");
        }
        for outside in [
            "../out/a",
            "data/../../a",
            "link/a",
            "link/../a",
            "dangling/a",
            "chain/a",
            "loop/a",
            "../project2/a",
            "/a",
        ] {
            assert!(!own.holds(&root.join(outside)), "{outside}");
        }
        assert!(territory(&root, |it| it.allow_outside = true).holds(&out));
    }

    #[test]
    fn a_folder_that_the_user_names_is_allowed_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        let out = folder.path().join("out").display().to_string();
        let set = |path: &str, text: &str| {
            let pair = (path.to_string(), text.to_string());
            territory(&root, |it| it.sets.push(pair))
        };
        let env = |name: &str, text: &str| {
            let pair = (name.to_string(), text.to_string());
            territory(&root, |it| it.env.push(pair))
        };
        let quoted = format!("{out:?}");
        for allowed in [
            env("DDPIPE_DATA", &out),
            env("DDPIPE_VAR_DATA", &out),
            set("vars.data", &quoted),
            set("vars.data", "../out"),
            set("sources.a.path", &out),
        ] {
            assert!(allowed.holds(Path::new(&format!("{out}/a"))));
            assert!(!allowed.holds(Path::new(&format!("{out}2/a"))));
            assert!(!allowed.holds(Path::new(&format!("{out}/../a"))));
        }
        let of_a_run = territory(&root, |it| {
            it.env.push(("DDPIPE_DATA".into(), out.clone()));
            it.texts = Some(Default::default());
        });
        assert!(!of_a_run.holds(Path::new(&format!("{out}/a"))) && of_a_run.holds(&root.join("a")));
        for other in [env("DDPIPE_VAR_SEP", "/"), set("stages.a.params.x", &out), env("DDPIPE_DATA", "")] {
            assert!(!other.holds(Path::new(&format!("{out}/a"))));
        }
    }
}
