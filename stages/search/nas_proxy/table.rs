//! The comparison as a table, in Markdown for reading and in JSON for programs.

use super::{Params, TopBy, Verdict};
use crate::search::nas_proxy::agreement::Agreement;
use serde_json::{Value, json};

/// The finished table of the comparison.
pub(super) struct Table {
    caption: String,
    note: String,
    columns: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    title: String,
    cells: Vec<Cell>,
}

enum Cell {
    Count(u64),
    Text(String),
    /// A number, if it is defined, and its digits after the decimal point.
    Number(Option<f64>, usize),
    Percent(f64),
}

impl Table {
    /// Makes the table: one row for every proxy, and the last one for the whole set.
    pub fn of(params: &Params, whole: &Verdict, proxies: &[Verdict], origins: &[String]) -> Self {
        let top = whole.top.n;
        let columns = [
            "images".to_string(),
            "steps".into(),
            "Spearman".into(),
            "Kendall".into(),
            format!("Spearman, top {top}"),
            format!("Kendall, top {top}"),
            "its best architecture".into(),
            "accuracy (%)".into(),
            "rank".into(),
            "seconds".into(),
            "of them training".into(),
        ];
        let mut caption = params.caption.clone().unwrap_or_else(|| "Proxies for the whole set in a search".into());
        if origins.iter().any(|origin| origin.contains("sample data")) {
            caption.push_str(" (sample data)");
        }
        let by = match params.top_by {
            TopBy::Proxy => "those that the row's own set ranks highest",
            TopBy::Whole => "those that the whole set ranks highest",
        };
        let folded = match proxies.iter().map(|proxy| proxy.runs).chain([whole.runs]).max() {
            Some(runs) if runs > 1 => format!("; accuracies are means over up to {runs} runs, seconds of one"),
            _ => String::new(),
        };
        let note = format!(
            "{} candidates; correlations with the ranking on the whole set ({}); top {top}: {by}; accuracy and rank of the \
             best architecture are those on the whole set{folded}",
            whole.all.n, whole.search
        );
        let rows = proxies.iter().chain([whole]).map(row).collect();
        Table { caption, note, columns: columns.into(), rows }
    }

    /// The table as a JSON document: caption, note, rows, columns, cells and origins.
    pub fn document(&self, origins: &[String]) -> Value {
        let cells: Vec<Vec<Value>> = self.rows.iter().map(|row| row.cells.iter().map(Cell::value).collect()).collect();
        json!({
            "caption": self.caption,
            "note": self.note,
            "rows": self.rows.iter().map(|row| &row.title).collect::<Vec<_>>(),
            "columns": self.columns,
            "cells": cells,
            "origins": origins,
            "sample_data": origins.iter().any(|origin| origin.contains("sample data")),
        })
    }

    /// The table in Markdown: caption, table and note.
    pub fn markdown(&self) -> String {
        let mut lines = vec![format!("**{}**", escape(&self.caption)), String::new()];
        let mut line = |cells: Vec<String>| lines.push(format!("| {} |", cells.join(" | ")));
        line(std::iter::once("trained on".to_string()).chain(self.columns.iter().cloned()).collect());
        line(std::iter::once(":--".to_string()).chain(self.columns.iter().map(|_| "--:".into())).collect());
        for row in &self.rows {
            line(std::iter::once(escape(&row.title)).chain(row.cells.iter().map(Cell::text)).collect());
        }
        lines.extend([String::new(), escape(&self.note), String::new()]);
        lines.join("\n")
    }
}

fn row(verdict: &Verdict) -> Row {
    let correlations = |Agreement { spearman, kendall, .. }| [Cell::Number(spearman, 3), Cell::Number(kendall, 3)];
    let mut cells = vec![Cell::Count(verdict.images), Cell::Count(verdict.steps)];
    cells.extend(correlations(verdict.all));
    cells.extend(correlations(verdict.top));
    cells.extend([
        Cell::Text(verdict.best.name.clone()),
        Cell::Percent(verdict.best.accuracy),
        Cell::Count(verdict.best.rank as u64),
        Cell::Number(Some(verdict.seconds), 1),
        Cell::Number(Some(verdict.training_seconds), 1),
    ]);
    Row { title: verdict.search.clone(), cells }
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Cell::Count(count) => count.to_string(),
            Cell::Text(text) => escape(text),
            Cell::Number(Some(number), digits) => format!("{number:.digits$}"),
            Cell::Number(None, _) => "–".into(),
            Cell::Percent(share) => format!("{:.2}", 100.0 * share),
        }
    }

    fn value(&self) -> Value {
        match self {
            Cell::Count(count) => json!(count),
            Cell::Text(text) => json!(text),
            Cell::Number(number, _) => json!(number),
            Cell::Percent(share) => json!(share),
        }
    }
}

fn escape(text: &str) -> String {
    let letter = |letter: char| match letter {
        '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' => format!("\\{letter}"),
        letter if letter.is_control() => " ".into(),
        letter => letter.to_string(),
    };
    text.chars().map(letter).collect()
}
