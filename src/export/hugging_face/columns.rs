//! The Parquet file of a set: `image`, `label` or `soft_label`, `pixels`, with the description that the library `datasets` reads
//! of what they are.

use super::rows::{self, Rows, has_pictures};
use crate::image_set::ImageSet;
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int64Type};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io;
use std::sync::Arc;

/// So many images are in memory at once.
const GROUP: usize = 1000;
/// The name of the description.
const DESCRIPTION: &str = "huggingface";

/// What columns a set has.
struct Form {
    pictures: bool,
    labels: bool,
    /// Channels, height and width of the numbers.
    pixels: Option<[usize; 3]>,
    soft: Option<usize>,
}

/// Writes all images of a set.
///
/// # Errors
/// The set ends early, or the file cannot be written.
pub fn write(set: &mut ImageSet, file: &mut File) -> io::Result<()> {
    let form = Form::of(set);
    let description = json!({ "info": { "features": form.features(set) } }).to_string();
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(vec![KeyValue::new(DESCRIPTION.to_string(), description)]))
        .build();
    let write = || -> Result<()> {
        let mut writer = SerializedFileWriter::new(file, Arc::new(form.schema()?), Arc::new(properties))?;
        let images = set.shape()[0];
        for begin in (0..images).step_by(GROUP) {
            let rows = rows::at(set, begin..(begin + GROUP).min(images))?;
            form.group(&rows, &mut writer)?;
        }
        writer.close()?;
        Ok(())
    };
    write().map_err(io::Error::other)
}

impl Form {
    fn of(set: &ImageSet) -> Self {
        let [_, channels, height, width] = set.shape();
        Form {
            pictures: has_pictures(set),
            labels: set.labels().is_some(),
            pixels: (!set.is_raw() || !has_pictures(set)).then_some([channels, height, width]),
            soft: set.soft_size().filter(|_| set.labels().is_none()),
        }
    }

    /// The columns of which `datasets` does not see what they are: it takes this for those whose types are just so, with nulls
    /// allowed, though there are none.
    fn features(&self, set: &ImageSet) -> Map<String, Value> {
        let mut features = Map::new();
        if self.pictures {
            features.insert("image".into(), json!({ "_type": "Image" }));
        }
        if self.labels {
            features.insert("label".into(), json!({ "names": set.class_names(), "_type": "ClassLabel" }));
        }
        features
    }

    fn schema(&self) -> Result<Type> {
        let mut fields = Vec::new();
        if self.pictures {
            let bytes = leaf("bytes", Physical::BYTE_ARRAY, None)?;
            let path = leaf("path", Physical::BYTE_ARRAY, Some(LogicalType::String))?;
            fields.push(group("image", Repetition::OPTIONAL, vec![bytes, path], None)?);
        }
        if self.labels {
            fields.push(leaf("label", Physical::INT64, None)?);
        }
        if self.soft.is_some() {
            fields.push(list("soft_label", leaf("element", Physical::FLOAT, None)?)?);
        }
        if self.pixels.is_some() {
            let row = list("element", leaf("element", Physical::FLOAT, None)?)?;
            fields.push(list("pixels", list("element", row)?)?);
        }
        Type::group_type_builder("set").with_fields(fields).build()
    }

    /// Writes some rows, column by column in the order of the schema.
    fn group(&self, rows: &Rows, writer: &mut SerializedFileWriter<&mut File>) -> Result<()> {
        let mut group = writer.next_row_group()?;
        let texts = |texts: &[String]| texts.iter().map(|text| ByteArray::from(text.as_str())).collect::<Vec<_>>();
        if self.pictures {
            let pictures: Vec<ByteArray> = rows.pictures.iter().map(|bytes| ByteArray::from(bytes.clone())).collect();
            for values in [pictures, texts(&rows.names)] {
                if let Some(mut column) = group.next_column()? {
                    column.typed::<ByteArrayType>().write_batch(&values, Some(&vec![2; values.len()]), None)?;
                    column.close()?;
                }
            }
        }
        if self.labels
            && let Some(mut column) = group.next_column()?
        {
            column.typed::<Int64Type>().write_batch(&rows.labels, Some(&vec![1; rows.labels.len()]), None)?;
            column.close()?;
        }
        let soft = self.soft.map(|size| (&rows.soft, vec![size]));
        let pixels = self.pixels.map(|shape| (&rows.pixels, shape.to_vec()));
        for (values, sizes) in soft.into_iter().chain(pixels) {
            if let Some(mut column) = group.next_column()? {
                // A list counts for two: it is there, and it has an element.
                let defined = i16::try_from(2 * sizes.len() + 1).unwrap_or(i16::MAX);
                let repeated: Vec<i16> = (0..values.len()).map(|at| level(at, &sizes)).collect();
                column.typed::<FloatType>().write_batch(values, Some(&vec![defined; values.len()]), Some(&repeated))?;
                column.close()?;
            }
        }
        group.close()?;
        Ok(())
    }
}

/// How deep a value goes on with the list of the value before it: 0 where a new image begins.
fn level(at: usize, sizes: &[usize]) -> i16 {
    let mut level = sizes.len();
    let mut inner = 1;
    for size in sizes.iter().rev() {
        inner *= (*size).max(1);
        if !at.is_multiple_of(inner) {
            break;
        }
        level -= 1;
    }
    i16::try_from(level).unwrap_or(i16::MAX)
}

fn leaf(name: &str, physical: Physical, logical: Option<LogicalType>) -> Result<Arc<Type>> {
    let field = Type::primitive_type_builder(name, physical).with_logical_type(logical);
    Ok(Arc::new(field.with_repetition(Repetition::OPTIONAL).build()?))
}

fn group(
    name: &str,
    repetition: Repetition,
    fields: Vec<Arc<Type>>,
    logical: Option<LogicalType>,
) -> Result<Arc<Type>> {
    let field = Type::group_type_builder(name).with_fields(fields).with_logical_type(logical);
    Ok(Arc::new(field.with_repetition(repetition).build()?))
}

/// A list in the form of three levels that Parquet asks for.
fn list(name: &str, element: Arc<Type>) -> Result<Arc<Type>> {
    let entries = group("list", Repetition::REPEATED, vec![element], None)?;
    group(name, Repetition::OPTIONAL, vec![entries], Some(LogicalType::List))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_how_deep_it_goes_on_with_the_one_before() {
        let levels: Vec<i16> = (0..13).map(|at| level(at, &[2, 3, 2])).collect();
        assert_eq!(levels, [0, 3, 2, 3, 2, 3, 1, 3, 2, 3, 2, 3, 0]);
        assert_eq!((0..5).map(|at| level(at, &[2])).collect::<Vec<_>>(), [0, 1, 0, 1, 0]);
    }
}
