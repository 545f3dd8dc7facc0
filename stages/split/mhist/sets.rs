//! Brings rows and images together: every row finds its file, every file its row, and the images of each partition
//! are decoded on all cores straight into the memory of one tensor. Knows nothing of archives or stages.

use super::annotations::{self, ANNOTATORS, CLASSES, PARTITIONS, Row};
use super::images::{self, Images};
use super::problems::Problems;
use anyhow::{Context as _, Result};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use tch::{Device, Kind, Tensor};

/// Images between two looks at the host.
const PART: usize = 256;

/// What MHIST holds: for each partition, the images of each class (Wei et al. 2021, table 1).
const MHIST: [[usize; 2]; 2] = [[1545, 630], [617, 360]];

/// What the files have to be.
#[derive(Debug)]
pub struct Rules<'a> {
    /// The table's name, for messages.
    pub annotations: &'a str,
    /// The name of what the images come from, for messages.
    pub images: &'a str,
    /// Height and width of every image.
    pub size: usize,
    /// Whether this has to be MHIST: its counts, and no label against its votes.
    pub mhist: bool,
    /// Keeps only images on whose label at least so many annotators agree.
    pub min_agreement: i64,
}

/// The images of one partition, in the order of their rows.
#[derive(Debug)]
pub struct Set {
    /// File names.
    pub names: Vec<String>,
    /// \[N,3,size,size\] u8
    pub images: Tensor,
    /// \[N\] int64, 0 for HP and 1 for SSA
    pub labels: Tensor,
    /// \[N\] int64, 0 to 7: who chose SSA
    pub votes: Tensor,
}

/// The training and the test set, and what a person should know about them.
#[derive(Debug)]
pub struct Split {
    /// In the order of [`PARTITIONS`].
    pub sets: [Set; 2],
    /// Rows whose label is not that of the majority.
    pub contradictions: Problems,
}

/// Splits the images by their rows. `problems` has what is known to be wrong already; everything else that is wrong
/// is found before the error comes. `tell` hears how many images of how many are read and may stop it.
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
        let length = images::bytes_of(rules.size);
        let mut slots = [train, test].map(|set| bytes_mut(&mut set.images).chunks_exact_mut(length));
        let mut jobs = Vec::with_capacity(rows.len());
        for (row, file) in rows.iter().zip(found) {
            let planes = kept_in(row, rules).and_then(|partition| slots[partition].next());
            jobs.push(Job { row, file, planes });
        }
        for (part, jobs) in jobs.chunks_mut(PART).enumerate() {
            let wrong: Vec<String> = jobs
                .par_iter_mut()
                .map_init(Vec::new, |scratch, Job { row, file, planes }| {
                    let bytes = files.read((*file)?, images::file_limit(rules.size));
                    let result =
                        bytes.and_then(|file| images::decode(&file, rules.size, scratch, planes.as_deref_mut()));
                    let why = result.err()?;
                    Some(format!("{}: {} ({}:{}): {why:#}", rules.images, row.image, rules.annotations, row.line))
                })
                .flatten()
                .collect();
            problems.extend(wrong);
            tell((part * PART + jobs.len()).min(rows.len()), rows.len())?;
        }
    }
    problems.finish()?;
    Ok(Split { sets, contradictions })
}

/// One image to decode.
struct Job<'a> {
    row: &'a Row,
    /// Its position among the files; none when it is missing.
    file: Option<usize>,
    /// Where it goes; none when it is only checked.
    planes: Option<&'a mut [u8]>,
}

/// The partition that the row's image goes to, if any.
fn kept_in(row: &Row, rules: &Rules) -> Option<usize> {
    let annotation = row.annotation.filter(|annotation| annotation.agreement() >= rules.min_agreement)?;
    Some(annotation.partition)
}

/// For every row the position of its file. A row without a file and a file without a row are problems.
fn matched(rows: &[Row], files: &dyn Images, rules: &Rules, problems: &mut Problems) -> Vec<Option<usize>> {
    let positions: HashMap<&str, usize> =
        files.names().iter().enumerate().map(|(position, name)| (name.as_str(), position)).collect();
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let position = positions.get(row.image.as_str()).copied();
        if position.is_none() {
            problems.add(format!(
                "{}:{}: {}: the image is not in {}",
                rules.annotations, row.line, row.image, rules.images
            ));
        }
        found.push(position);
    }
    let named: HashSet<&str> = rows.iter().map(|row| row.image.as_str()).collect();
    for name in files.names().iter().filter(|name| !named.contains(name.as_str())) {
        problems.add(format!("{}: {name}: no row of {} names this file", rules.images, rules.annotations));
    }
    found
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
    /// A set of these rows, its images still black.
    fn new(rows: &[&Row], rules: &Rules) -> Result<Self> {
        let annotations: Vec<_> = rows.iter().filter_map(|row| row.annotation).collect();
        let labels: Vec<i64> = annotations.iter().map(|annotation| annotation.label as i64).collect();
        let votes: Vec<i64> = annotations.iter().map(|annotation| annotation.votes).collect();
        let size = rules.size as i64;
        let shape = [rows.len() as i64, images::CHANNELS as i64, size, size];
        let images = Tensor::f_zeros(shape, (Kind::Uint8, Device::Cpu))
            .with_context(|| format!("no memory for {} images of {size} x {size} pixels", rows.len()))?;
        let names = rows.iter().map(|row| row.image.clone()).collect();
        Ok(Set { names, images, labels: Tensor::from_slice(&labels), votes: Tensor::from_slice(&votes) })
    }
}

/// The memory of a contiguous u8 tensor on the host. Decoding into it spares a copy of the whole set.
fn bytes_mut(tensor: &mut Tensor) -> &mut [u8] {
    if tensor.numel() == 0 {
        return &mut [];
    }
    // SAFETY: `f_zeros` made it contiguous, of bytes, on the host, and nothing else shares it yet; the slice borrows the
    // tensor, which therefore neither moves its memory nor goes away.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<u8>(), tensor.numel()) }
}

/// The bytes of the images, \[N,3,size,size\].
pub fn bytes(set: &mut Set) -> &[u8] {
    bytes_mut(&mut set.images)
}
