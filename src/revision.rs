//! A manifest as a git revision has it: the texts of its files, and the folders of its project's own kinds, which are put
//! into a temporary folder. Read by a library, so that no program, hook or filter of the repository is run; the work tree and
//! the index stay as they are. Knows not what a manifest means.

mod export;

use crate::diagnostic::Report;
use crate::exit::Fault;
use crate::manifest::{MAX_FILE, MAX_FILES, MAX_INCLUDES, Manifest, Overrides, normal};
use crate::resolve::kind_folders;
use ddpipe_interface::is_too_deep;
use git2::{ObjectType, Repository, Tree};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A manifest of a revision.
#[derive(Debug)]
pub struct Revision {
    /// The commit's hash.
    pub commit: String,
    /// The manifest's file as if it were in the work tree, absolute.
    pub manifest: PathBuf,
    /// Where the kinds of the project's own lie, as long as this lives.
    _kinds: Option<TempDir>,
}

impl Revision {
    /// Finds a manifest in a revision (`HEAD~2`, a branch, a tag, a hash) of the git repository around it, and has the
    /// overrides read that instead of the files. The manifest is named by its path in the work tree, where it need not be.
    ///
    /// # Errors
    /// There is no repository, no such revision, or no such file in it.
    pub fn find(revision: &str, manifest: &Path, overrides: &mut Overrides) -> Result<Self, Fault> {
        let named = format!("{revision}:{}", manifest.display());
        let fault = |why: String| Fault::usage(format!("{named}: {why}"));
        let (repository, root, manifest) = around(manifest).map_err(fault)?;
        let object = repository.revparse_single(revision).map_err(|error| {
            let root = root.display();
            fault(format!("there is no revision {revision:?} in the git repository {root}: {}", error.message()))
        })?;
        let commit = object
            .peel_to_commit()
            .map_err(|_| fault(format!("{revision} is no commit\n  name a commit, a branch or a tag")))?;
        let tree = commit.tree().map_err(|error| fault(error.message().into()))?;
        let texts = Texts { repository: &repository, tree: &tree, root: &root }.of(&manifest).map_err(fault)?;
        overrides.texts = Some(texts);
        // What is wrong with the manifest is said when it is loaded.
        let read = Manifest::read(&manifest, overrides, &mut Report::default(), &mut Vec::new());
        let folders: Vec<PathBuf> = match &read {
            Some(read) => kind_folders(read, &manifest).map(|(folder, ..)| normal(&folder)).collect(),
            None => Vec::new(),
        };
        let mut kinds = None;
        if !folders.is_empty() {
            let to = tempfile::Builder::new().prefix("ddpipe-revision-").tempdir()?;
            let mut export = export::Export::new(&repository);
            for folder in folders.iter().filter_map(|folder| folder.strip_prefix(&root).ok()) {
                export.folder(&tree, folder, &to.path().join(folder)).map_err(fault)?;
            }
            overrides.kinds = Some((to.path().to_path_buf(), root));
            kinds = Some(to);
        }
        Ok(Revision { commit: commit.id().to_string(), manifest, _kinds: kinds })
    }
}

/// The repository around a file, the folder of its work tree, and the file's true path; the file need not exist.
fn around(file: &Path) -> Result<(Repository, PathBuf, PathBuf), String> {
    let file = normal(file);
    let missing = || "it is in no git repository".to_string();
    let folder = file.ancestors().skip(1).find(|folder| folder.is_dir()).ok_or_else(missing)?;
    let repository = Repository::discover(folder).map_err(|error| match error.code() {
        git2::ErrorCode::NotFound => missing(),
        _ => format!("its git repository cannot be read: {}", error.message()),
    })?;
    let root = repository.workdir().ok_or_else(|| "its git repository has no work tree".to_string())?;
    let real = |path: &Path| path.canonicalize().map_err(|error| format!("could not find {}: {error}", path.display()));
    let (root, real_folder) = (real(root)?, real(folder)?);
    let file = real_folder.join(file.strip_prefix(folder).unwrap_or(&file));
    Ok((repository, root, file))
}

/// Reads texts of a tree.
struct Texts<'a> {
    repository: &'a Repository,
    tree: &'a Tree<'a>,
    root: &'a Path,
}

impl Texts<'_> {
    /// The text of a file and of all that it includes. What is missing or no TOML is left for whoever reads the manifest;
    /// the file itself has to be there.
    fn of(&self, manifest: &Path) -> Result<BTreeMap<PathBuf, String>, String> {
        let mut texts = BTreeMap::new();
        let mut open = vec![manifest.to_path_buf()];
        let mut bytes = 0;
        while let Some(file) = open.pop() {
            if texts.contains_key(&file) || texts.len() > MAX_INCLUDES || bytes > MAX_FILES {
                continue;
            }
            let text = match self.text(&file)? {
                Some(text) => text,
                None if file == manifest => return Err("that revision has no such file".into()),
                None => continue,
            };
            bytes += text.len();
            for name in included(&text) {
                open.push(normal(&file.parent().unwrap_or(Path::new("")).join(name)));
            }
            texts.insert(file, text);
        }
        Ok(texts)
    }

    fn text(&self, file: &Path) -> Result<Option<String>, String> {
        let Ok(name) = file.strip_prefix(self.root) else { return Ok(None) };
        let Some(entry) = self.tree.get_path(name).ok().filter(|entry| entry.kind() == Some(ObjectType::Blob)) else {
            return Ok(None);
        };
        let failed = |error: git2::Error| format!("could not read {} there: {}", name.display(), error.message());
        let (size, _) = self.repository.odb().and_then(|odb| odb.read_header(entry.id())).map_err(failed)?;
        if size as u64 > MAX_FILE {
            return Err(format!("{} has more than {MAX_FILE} bytes there", name.display()));
        }
        let blob = self.repository.find_blob(entry.id()).map_err(failed)?;
        let text =
            std::str::from_utf8(blob.content()).map_err(|_| format!("{} is not UTF-8 text there", name.display()));
        Ok(Some(text?.to_string()))
    }
}

/// The files that a text of a manifest includes.
fn included(text: &str) -> Vec<String> {
    if is_too_deep(text) {
        return Vec::new();
    }
    let Ok(document) = text.parse::<toml::Table>() else { return Vec::new() };
    let names = document.get("include").and_then(toml::Value::as_array).into_iter().flatten();
    names.filter_map(toml::Value::as_str).map(String::from).collect()
}
