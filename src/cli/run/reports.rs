//! Who is told of a run beside the terminal: `--junit`, `--summary`, `--report`, and with `--json` whatever no observer tells. Knows
//! not how a run goes; only that it begins and ends.

use super::super::Done;
use super::super::project::ManifestArgs;
use crate::diagnostic::{Diagnosed, Diagnostic, Report, Severity};
use crate::event::{Event, Observer};
use crate::exit::{Exit, Fault};
use crate::note::tell;
use crate::progress;
use crate::report::notice;
use crate::results::write_whole;
use crate::run_report::RunReport;
use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

/// The variable in which GitHub names the file that every step of a job adds its summary to.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// The arguments for reports.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// Write a JUnit XML file: a case for each node and each expectation
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write a summary in Markdown, for a pull request; it is added to a file that GITHUB_STEP_SUMMARY names
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Write a report as one HTML file, anew every few seconds while the run goes on
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Compare with a baseline of `ddpipe baseline record`; exit code 4 when a metric is worse [default name: main]
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = crate::baseline::MAIN)]
    pub baseline: Option<String>,
}

/// The reports of one run.
pub struct Reports {
    junit: Option<PathBuf>,
    summary: Option<PathBuf>,
    page: Option<PathBuf>,
    page_is_written: Cell<bool>,
    manifest: String,
    json: bool,
    begun: (SystemTime, Instant),
    /// What the manifest or another file of the user is at fault with, for programs.
    faults: RefCell<Vec<Diagnosed>>,
    /// What was written at the end of the run.
    told: RefCell<Option<RunReport>>,
}

impl Reports {
    /// The reports that are asked for.
    pub fn new(args: &ReportArgs, manifest: &ManifestArgs, json: bool) -> Self {
        let named = manifest.manifest.as_ref().map(|file| file.display().to_string());
        Reports {
            junit: args.junit.clone(),
            summary: args.summary.clone(),
            page: args.report.clone(),
            page_is_written: Cell::new(false),
            manifest: named.or_else(|| manifest.from_run.clone()).unwrap_or_default(),
            json,
            begun: (SystemTime::now(), Instant::now()),
            faults: RefCell::default(),
            told: RefCell::default(),
        }
    }

    /// Writes what is to be read in case the process is killed. So a file that cannot be written is found before anything
    /// runs, and one of an earlier job is never taken for this one's.
    pub fn begin(&self) -> Result<(), Fault> {
        let blank = self.blank();
        if let Some(file) = &self.junit {
            put(file, blank.junit().as_bytes())?;
        }
        match &self.summary {
            Some(file) if adds_to(file) => {}
            Some(file) => put(file, blank.markdown(&folder_of(file)).as_bytes())?,
            None => {}
        }
        match &self.page {
            Some(file) => put(file, notice::called(&self.manifest).as_bytes()),
            None => Ok(()),
        }
    }

    /// The HTML file, where one is asked for.
    pub fn page(&self) -> Option<&Path> {
        self.page.as_deref()
    }

    /// The HTML file has its last state, and says so.
    pub fn page_is_written(&self, quietly: bool) {
        self.page_is_written.set(true);
        if let Some(file) = self.page.as_ref().filter(|_| !quietly) {
            tell(format_args!("\nreport in {}", file.display()));
        }
    }

    /// A report of a run of which nothing is known yet.
    pub fn blank(&self) -> RunReport {
        RunReport {
            pipeline: self.manifest.clone(),
            run: None,
            manifest: self.manifest.clone(),
            commit: None,
            began: self.begun.0,
            seconds: self.begun.1.elapsed().as_secs_f64(),
            nodes: Vec::new(),
            expectations: Vec::new(),
            comparison: None,
            tables: Vec::new(),
            files: Vec::new(),
            faults: Vec::new(),
            exit: Exit::Interrupted,
            ended: false,
        }
    }

    /// Whether anything but a person reads what comes of the run.
    pub fn are_wanted(&self) -> bool {
        self.json || self.page.is_some() || self.are_files()
    }

    /// Whether the run leaves a report in a file.
    pub fn are_files(&self) -> bool {
        self.junit.is_some() || self.summary.is_some()
    }

    /// Tells programs what is worth saying about the manifest.
    pub fn warned(&self, warnings: &[Diagnostic]) {
        for warning in warnings {
            self.event(&Event::Diagnostic(warning.for_programs(Severity::Warning)));
        }
    }

    /// Tells programs of something that concerns no file of the user.
    pub fn warn(&self, text: String) {
        self.event(&Event::Warning { text });
    }

    /// Tells programs what is wrong with a file that the user wrote, place by place.
    pub fn faulty(&self, report: &Report) {
        for fault in &report.diagnostics {
            let fault = fault.for_programs(Severity::Error);
            self.event(&Event::Diagnostic(fault.clone()));
            self.faults.borrow_mut().push(fault);
        }
    }

    /// Writes the reports of a run that has come to its end. What could not be written.
    pub fn tell(&self, report: RunReport) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(file) = &self.junit {
            faults.extend(put(file, report.junit().as_bytes()).err());
        }
        if let Some(file) = &self.summary {
            let text = report.markdown(&folder_of(file));
            let written = if adds_to(file) { add(file, &text) } else { put(file, text.as_bytes()) };
            faults.extend(written.err());
        }
        *self.told.borrow_mut() = Some(report);
        faults
    }

    /// The last word on a run that could not come to its end: one that has told it itself.
    pub fn end(&self, done: Done) -> Done {
        if let Err(fault) = &done {
            self.event(&Event::Error { message: fault.message.clone(), code: fault.exit as u8 });
            self.failed(fault);
            self.event(&Event::Exit { code: fault.exit as u8, outcome: fault.exit.name().into() });
        }
        done
    }

    fn failed(&self, fault: &Fault) {
        let told = self.told.borrow_mut().take();
        let again = told.is_some();
        let mut report = told.unwrap_or_else(|| self.blank());
        let of_files: Vec<String> = self.faults.borrow().iter().map(|fault| fault.text.clone()).collect();
        let plain = || vec![fault.message.clone()];
        if let Some(file) = self.page.as_ref().filter(|_| !self.page_is_written.get()) {
            // The fault itself goes to the user, as below.
            let message = if of_files.is_empty() { fault.message.clone() } else { of_files.join("\n") };
            let _ = put(file, notice::at_fault(&self.manifest, &message).as_bytes());
        }
        report.faults.extend(if of_files.is_empty() { plain() } else { of_files });
        (report.exit, report.ended) = (fault.exit, true);
        if let Some(file) = &self.junit {
            // The fault itself goes to the user; a second one about its report would only hide it.
            let _ = put(file, report.junit().as_bytes());
        }
        if let Some(file) = self.summary.as_ref().filter(|file| !(again && adds_to(file))) {
            let text = report.markdown(&folder_of(file));
            let _ = if adds_to(file) { add(file, &text) } else { put(file, text.as_bytes()) };
        }
    }

    /// An event of a moment at which nobody observes the run.
    fn event(&self, event: &Event) {
        if self.json {
            progress::Json.on_event(event);
        }
    }
}

/// The folder that links in a file refer to, absolute and without links in its path, as the project's folder is.
fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let absolute = |_| std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    folder.canonicalize().unwrap_or_else(absolute)
}

/// Whether this is the file that several steps of a job add to.
fn adds_to(file: &Path) -> bool {
    std::env::var_os(STEP_SUMMARY).is_some_and(|named| Path::new(&named) == file)
}

fn add(file: &Path, text: &str) -> Result<(), Fault> {
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(file);
    opened.and_then(|mut file| writeln!(file, "{text}")).map_err(|error| Fault::io("write", file, &error))
}

/// A pipe or a device is written to; a file is written whole or not at all.
fn put(file: &Path, bytes: &[u8]) -> Result<(), Fault> {
    if std::fs::metadata(file).is_ok_and(|seen| !seen.is_file() && !seen.is_dir()) {
        return std::fs::write(file, bytes).map_err(|error| Fault::io("write", file, &error));
    }
    write_whole(file, bytes)
}
