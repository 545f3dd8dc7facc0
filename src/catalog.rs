//! The kinds that a manifest may use: the built-in ones, whose declarations are embedded at build time, and those that
//! a project brings along. Validation, defaults, help and the JSON Schema read them from here. Knows no manifest.

use ddpipe_interface::{Declaration, DeclarationError};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Path and text of every built-in `stage.toml`.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/declarations.rs"));

/// The known kinds, by name, sorted.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    kinds: IndexMap<String, Kind>,
}

/// One known kind.
#[derive(Clone, Debug)]
pub struct Kind {
    /// What its `stage.toml` says.
    pub declaration: Arc<Declaration>,
    /// The folder of a project's own kind, absolute: what relative names in its `command` refer to.
    pub folder: Option<PathBuf>,
}

/// Two declarations, or a declaration and its folder, that contradict each other; or one that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The declaration itself is at fault.
    #[error("{file}: {error}")]
    Declaration {
        /// Its file.
        file: String,
        /// What is wrong.
        error: DeclarationError,
    },
    /// A file or folder could not be read.
    #[error("could not read {path}: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Well-formed, but cannot be added.
    #[error("{file}: {message}")]
    Refused {
        /// The declaration's file.
        file: String,
        /// Why.
        message: String,
    },
}

impl Catalog {
    /// The kinds that ddpipe brings along.
    pub fn built_in() -> Result<Self, CatalogError> {
        let mut catalog = Catalog::default();
        for (file, text) in BUILT_IN {
            let declaration = Declaration::parse(text)
                .map_err(|error| CatalogError::Declaration { file: file.to_string(), error })?;
            let folder = Path::new(file).parent().unwrap_or(Path::new(""));
            let expected = folder.strip_prefix("stages").unwrap_or(folder).display().to_string().replace('/', ".");
            if declaration.name != expected {
                let message = format!("declares {:?}, but lies in the folder of {expected:?}", declaration.name);
                return Err(CatalogError::Refused { file: file.to_string(), message });
            }
            catalog.insert(file, declaration, None)?;
        }
        catalog.kinds.sort_unstable_keys();
        Ok(catalog)
    }

    /// A catalog of exactly these kinds.
    pub fn from_declarations(declarations: impl IntoIterator<Item = Declaration>) -> Result<Self, CatalogError> {
        let mut catalog = Catalog::default();
        for declaration in declarations {
            catalog.insert(&declaration.name.clone(), declaration, None)?;
        }
        catalog.kinds.sort_unstable_keys();
        Ok(catalog)
    }

    /// The kind of this name.
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }

    /// The declaration of this name.
    pub fn declaration(&self, name: &str) -> Option<&Declaration> {
        self.kinds.get(name).map(|kind| kind.declaration.as_ref())
    }

    /// All kinds, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Kind)> {
        self.kinds.iter().map(|(name, kind)| (name.as_str(), kind))
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    fn insert(&mut self, file: &str, declaration: Declaration, folder: Option<PathBuf>) -> Result<(), CatalogError> {
        let refused = |message: String| Err(CatalogError::Refused { file: file.to_string(), message });
        if self.kinds.contains_key(&declaration.name) {
            return refused(format!("kind {:?} is declared twice", declaration.name));
        }
        let name = declaration.name.clone();
        self.kinds.insert(name, Kind { declaration: Arc::new(declaration), folder });
        Ok(())
    }
}
