//! Results as a Parquet file: one column for each name, with the type that all its values have; what a row lacks is null.

use crate::exit::Fault;
use crate::ranking::{Cell, Row};
use crate::results;
use indexmap::IndexSet;
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use std::path::Path;
use std::sync::Arc;

/// Names whose values are words, even if they look like numbers.
const WORDS: [&str; 7] = ["pipeline", "stage", "node", "kind", "run", "made", "key"];

/// A column with its values; none where a row lacks one.
enum Column {
    Text(Vec<Option<ByteArray>>),
    Integer(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
}

/// Writes these columns of these rows, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write(rows: &[Row], names: &[String], file: &Path) -> std::result::Result<(), Fault> {
    let bytes = bytes(rows, names).map_err(|error| Fault::io("write", file, &std::io::Error::other(error)))?;
    results::write_whole(file, &bytes)
}

fn bytes(rows: &[Row], names: &[String]) -> Result<Vec<u8>> {
    let names: IndexSet<&String> = names.iter().collect();
    let columns: Vec<Column> = names.iter().map(|name| Column::of(rows, name)).collect();
    let fields: Result<Vec<_>> = names.iter().zip(&columns).map(|(name, column)| column.field(name)).collect();
    let schema = Arc::new(Type::group_type_builder("results").with_fields(fields?).build()?);
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::default()))?;
    let mut group = writer.next_row_group()?;
    for column in &columns {
        if let Some(mut writer) = group.next_column()? {
            column.write(&mut writer)?;
            writer.close()?;
        }
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}

impl Column {
    fn of(rows: &[Row], name: &str) -> Self {
        let cells: Vec<Option<Cell>> = rows.iter().map(|row| row.cell(name)).collect();
        let there = || cells.iter().flatten();
        let is_integer = |cell: &Cell| matches!(cell, Cell::Text(text) if text.parse::<i64>().is_ok());
        if there().next().is_some() && !WORDS.contains(&name) {
            if there().all(is_integer) {
                return Column::Integer(cells.iter().map(|cell| cell.as_ref()?.exact().parse().ok()).collect());
            }
            if there().all(|cell| matches!(cell, Cell::Number(_)) || cell.is_number()) {
                let number = |cell: &Cell| match cell {
                    Cell::Number(number) => Some(*number),
                    Cell::Text(text) => text.parse().ok(),
                };
                return Column::Float(cells.iter().map(|cell| number(cell.as_ref()?)).collect());
            }
        }
        Column::Text(cells.iter().map(|cell| Some(ByteArray::from(cell.as_ref()?.exact().into_bytes()))).collect())
    }

    fn field(&self, name: &str) -> Result<Arc<Type>> {
        let (physical, logical) = match self {
            Column::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Column::Integer(_) => (Physical::INT64, None),
            Column::Float(_) => (Physical::DOUBLE, None),
        };
        let field = Type::primitive_type_builder(name, physical).with_logical_type(logical);
        Ok(Arc::new(field.with_repetition(Repetition::OPTIONAL).build()?))
    }

    fn write(&self, writer: &mut SerializedColumnWriter<'_>) -> Result<()> {
        match self {
            Column::Text(values) => write_values::<ByteArrayType>(writer, values),
            Column::Integer(values) => write_values::<Int64Type>(writer, values),
            Column::Float(values) => write_values::<DoubleType>(writer, values),
        }
    }
}

fn write_values<T: DataType>(writer: &mut SerializedColumnWriter<'_>, values: &[Option<T::T>]) -> Result<()> {
    let there: Vec<T::T> = values.iter().flatten().cloned().collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    writer.typed::<T>().write_batch(&there, Some(&levels), None)?;
    Ok(())
}
