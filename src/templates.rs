//! The projects that `ddpipe init` makes: files of `templates/`, embedded at build time. Knows no manifest and writes nothing.

/// A project to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Template {
    /// Sample digits, distilled and evaluated: no download, no GPU
    Quickstart,
    /// MNIST, two methods and two seeds; downloaded on first use
    Mnist,
    /// Class folders of your own PNG and JPEG pictures
    Folder,
    /// A kind of stage of your own, in Python
    OwnKind,
}

/// What every project has.
const GITIGNORE: (&str, &str) = (".gitignore", include_str!("../templates/gitignore"));

impl Template {
    /// The manifest, as its path in the project.
    pub fn manifest(self) -> &'static str {
        match self {
            Template::Quickstart => "pipelines/quickstart.toml",
            Template::Mnist => "pipelines/mnist.toml",
            Template::Folder => "pipelines/pictures.toml",
            Template::OwnKind => "pipelines/own.toml",
        }
    }

    /// What has to be done before the first run, if anything.
    pub fn before(self) -> Option<&'static str> {
        match self {
            Template::Folder => Some("put your pictures into data/pictures/<class>/"),
            _ => None,
        }
    }

    /// What `ddpipe run` has to be told beside the manifest.
    pub fn run_options(self) -> &'static str {
        match self {
            Template::OwnKind => " --allow-commands",
            _ => "",
        }
    }

    /// The files, by their paths in the project.
    pub fn files(self) -> Vec<(&'static str, &'static str)> {
        let own: &[(&str, &str)] = match self {
            Template::Quickstart => &[
                ("README.md", include_str!("../templates/quickstart/README.md")),
                ("pipelines/quickstart.toml", include_str!("../pipelines/quickstart.toml")),
            ],
            Template::Mnist => &[
                ("README.md", include_str!("../templates/mnist/README.md")),
                ("pipelines/mnist.toml", include_str!("../templates/mnist/pipelines/mnist.toml")),
            ],
            Template::Folder => &[
                ("README.md", include_str!("../templates/folder/README.md")),
                ("pipelines/pictures.toml", include_str!("../templates/folder/pipelines/pictures.toml")),
            ],
            Template::OwnKind => &[
                ("README.md", include_str!("../templates/own-kind/README.md")),
                ("pipelines/own.toml", include_str!("../templates/own-kind/pipelines/own.toml")),
                (
                    "kinds/own/class_means/stage.toml",
                    include_str!("../templates/own-kind/kinds/own/class_means/stage.toml"),
                ),
                (
                    "kinds/own/class_means/class_means.py",
                    include_str!("../templates/own-kind/kinds/own/class_means/class_means.py"),
                ),
                (
                    "kinds/own/class_means/tensors.py",
                    include_str!("../templates/own-kind/kinds/own/class_means/tensors.py"),
                ),
            ],
        };
        own.iter().copied().chain([GITIGNORE]).collect()
    }
}
