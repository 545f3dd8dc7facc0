//! One cell of a table.

/// A cell as it is shown.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// The number, or a text; empty where there is none.
    pub text: String,
    /// Its deviation: `± 1.54`.
    pub spread: String,
    /// How many values, where that is worth saying: `n 3`.
    pub count: String,
    /// A word on how it compares: `tied`.
    pub mark: String,
    /// Whether it is the best of its column.
    pub best: bool,
    /// Where its proof stands; empty where it has none.
    pub href: String,
    /// What it is sorted by.
    pub order: String,
}
