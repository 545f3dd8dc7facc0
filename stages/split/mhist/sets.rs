//! Matches rows of the table with image files: every row needs a file and every file a row. The images of each
//! partition are decoded on all cores directly into the memory of one tensor.

use super::{annotations, picture};
use crate::artifact::memory;
use crate::data::images::Images;
use crate::data::problems::Problems;
use crate::data::resize;
use crate::split::mhist::annotations::{ANNOTATORS, CLASSES, PARTITIONS, Row};
use crate::split::mhist::matched::matched;
use anyhow::Result;
use rayon::prelude::*;
use tch::Tensor;

/// The number of images that are decoded between two checks for cancellation.
const PART: usize = 256;

/// The numbers of images of MHIST: for each partition, those of each class (Wei et al. 2021, table 1).
const MHIST: [[usize; 2]; 2] = [[1545, 630], [617, 360]];

/// What is required of the files.
#[derive(Debug)]
pub struct Rules<'a> {
    /// The name of the table, for messages.
    pub annotations: &'a str,
    /// The name of the archive or folder of the images, for messages.
    pub images: &'a str,
    /// Height and width of every image in the files, in pixels.
    pub size: usize,
    /// Height and width to which the images are resized, in pixels; `None` to keep their size.
    pub resize: Option<usize>,
    /// Whether the files have to be MHIST: its numbers of images, and no label that contradicts its votes.
    pub mhist: bool,
    /// The smallest number of annotators who agree with the label of an image that is kept.
    pub min_agreement: i64,
}

impl Rules<'_> {
    /// Height and width of the images in the sets, in pixels.
    pub fn made(&self) -> usize {
        self.resize.unwrap_or(self.size)
    }
}

/// The images of one partition, in the order of their rows.
#[derive(Debug)]
pub struct Set {
    /// File names.
    pub names: Vec<String>,
    /// \[N,3,H,W\] u8; H and W are [`Rules::made`].
    pub images: Tensor,
    /// \[N\] int64, 0 for HP and 1 for SSA
    pub labels: Tensor,
    /// \[N\] int64, how many of the seven annotators chose SSA.
    pub votes: Tensor,
}

/// The training and the test set, and what the user should be warned of.
#[derive(Debug)]
pub struct Split {
    /// The training set, then the test set.
    pub sets: [Set; 2],
    /// Rows whose label is not that of the majority of votes.
    pub contradictions: Problems,
}

/// Splits the images by the rows of the table. `problems` holds what is known to be wrong already; everything else that
/// is wrong is collected before the error is returned. `tell` is called with the numbers of images read and of all
/// images, and may return an error to stop.
pub fn split(
    table: &[u8],
    files: &dyn Images,
    rules: &Rules,
    mut problems: Problems,
    mut tell: impl FnMut(usize, usize) -> Result<()>,
) -> Result<Split> {
    let rows = annotations::parse(table, rules.annotations, &mut problems)?;
    let mut contradictions = Problems::default();
    for row in &rows {
        let Some(annotation) = row.annotation.filter(|annotation| annotation.contradicts_itself()) else { continue };
        let (label, votes) = (CLASSES[annotation.label], annotation.votes);
        let text = format!(
            "{}:{}: {}: label {label}, but {votes} of {ANNOTATORS} chose SSA",
            rules.annotations, row.line, row.image
        );
        if rules.mhist { &mut problems } else { &mut contradictions }.add(text);
    }
    count(&rows, rules, &mut problems);
    let found = matched(&rows, files, rules, &mut problems);

    let kept =
        |partition: usize| rows.iter().filter(move |row| kept_in(row, rules) == Some(partition)).collect::<Vec<_>>();
    let mut sets = [Set::new(&kept(0), rules)?, Set::new(&kept(1), rules)?];
    for (set, partition) in sets.iter().zip(PARTITIONS) {
        if set.names.is_empty() && problems.is_empty() {
            let few = if rules.min_agreement > 0 { " on whose label enough annotators agree" } else { "" };
            problems.add(format!("{}: no image of partition {partition}{few}", rules.annotations));
        }
    }
    {
        let [train, test] = &mut sets;
        let length = picture::bytes_of(rules.made());
        let mut slots = [
            memory::bytes_mut(&mut train.images)?.chunks_exact_mut(length),
            memory::bytes_mut(&mut test.images)?.chunks_exact_mut(length),
        ];
        let mut jobs = Vec::with_capacity(rows.len());
        for (row, file) in rows.iter().zip(found) {
            let planes = kept_in(row, rules).and_then(|partition| slots[partition].next());
            jobs.push(Job { row, file, planes });
        }
        for (part, jobs) in jobs.chunks_mut(PART).enumerate() {
            let wrong: Vec<(&Row, anyhow::Error)> = jobs
                .par_iter_mut()
                .map_init(Scratch::default, |scratch, Job { row, file, planes }| {
                    let why = one(files, (*file)?, rules, scratch, planes.as_deref_mut()).err()?;
                    Some((*row, why))
                })
                .flatten()
                .collect();
            for (row, why) in wrong {
                let more: Vec<String> = why.chain().skip(1).map(|cause| cause.to_string()).collect();
                let file = format!("{} ({}:{})", row.image, rules.annotations, row.line);
                problems.at_with(rules.images, file, why.to_string(), &more.join(": "));
            }
            tell((part * PART + jobs.len()).min(rows.len()), rows.len())?;
        }
    }
    problems.finish()?;
    Ok(Split { sets, contradictions })
}

/// Buffers that are reused from image to image.
#[derive(Default)]
struct Scratch {
    pixels: Vec<u8>,
    planes: Vec<u8>,
}

/// Reads, decodes and, if sizes differ, resizes one image into `planes`; without `planes`, only checks it.
fn one(files: &dyn Images, file: usize, rules: &Rules, scratch: &mut Scratch, planes: Option<&mut [u8]>) -> Result<()> {
    let (size, made) = (rules.size, rules.made());
    let bytes = files.read(file, picture::file_limit(size))?;
    let planes = match planes {
        Some(planes) if size != made => planes,
        other => return picture::decode(&bytes, size, &mut scratch.pixels, other),
    };
    scratch.planes.resize(picture::bytes_of(size), 0);
    picture::decode(&bytes, size, &mut scratch.pixels, Some(&mut scratch.planes))?;
    let pairs = scratch.planes.chunks_exact(size * size).zip(planes.chunks_exact_mut(made * made));
    pairs.into_iter().try_for_each(|(from, into)| resize::plane(from, [size; 2], into, [made; 2]))
}

/// One image to decode.
struct Job<'a> {
    row: &'a Row,
    /// The index of its file; `None` when it is missing.
    file: Option<usize>,
    /// The memory for its pixels \[3,H,W\]; `None` when the image is only checked.
    planes: Option<&'a mut [u8]>,
}

/// The index of the partition to which the row's image belongs; `None` if the row is wrong or too few annotators agree.
fn kept_in(row: &Row, rules: &Rules) -> Option<usize> {
    let annotation = row.annotation.filter(|annotation| annotation.agreement() >= rules.min_agreement)?;
    Some(annotation.partition)
}

fn count(rows: &[Row], rules: &Rules, problems: &mut Problems) {
    if !rules.mhist {
        return;
    }
    for (partition, expected) in MHIST.iter().enumerate() {
        for (class, &expected) in expected.iter().enumerate() {
            let there = |row: &&Row| row.annotation.is_some_and(|a| (a.partition, a.label) == (partition, class));
            let found = rows.iter().filter(there).count();
            if found != expected {
                problems.add(format!(
                    "{}: {found} images of class {} in partition {}, where MHIST has {expected}; `expect = \"none\"` takes \
                     other data",
                    rules.annotations, CLASSES[class], PARTITIONS[partition]
                ));
            }
        }
    }
}

impl Set {
    /// A set of these rows with labels and votes; the images are black until they are decoded.
    fn new(rows: &[&Row], rules: &Rules) -> Result<Self> {
        let annotations: Vec<_> = rows.iter().filter_map(|row| row.annotation).collect();
        let labels: Vec<i64> = annotations.iter().map(|annotation| annotation.label as i64).collect();
        let votes: Vec<i64> = annotations.iter().map(|annotation| annotation.votes).collect();
        let size = rules.made() as i64;
        let images = memory::black(&[rows.len() as i64, picture::CHANNELS as i64, size, size])?;
        let names = rows.iter().map(|row| row.image.clone()).collect();
        Ok(Set { names, images, labels: Tensor::from_slice(&labels), votes: Tensor::from_slice(&votes) })
    }
}
