//! The head: what this is, how it ended in words, when, where and from what, and the command that makes it again.

use super::standing::Standing;
use super::subject::Subject;
use super::words::{Pair, counted};
use crate::command;
use crate::commit;
use crate::exit::Exit;
use crate::history::State;
use crate::progress::duration;
use crate::when;
use indexmap::IndexSet;

/// The head of a report.
pub struct Head {
    /// The pipeline's name.
    pub name: String,
    /// What it is about.
    pub about: String,
    /// The outcome in a sentence.
    pub outcome: String,
    /// The class of its colours.
    pub class: &'static str,
    /// The nodes by what became of them.
    pub counts: Vec<Count>,
    /// When, where and from what.
    pub facts: Vec<Pair>,
    /// The command that makes it again.
    pub again: String,
    /// Whether the data is generated, so that the numbers mean nothing.
    pub is_sample: bool,
}

/// How many nodes stand so.
pub struct Count {
    /// How they stand.
    pub standing: Standing,
    /// How many.
    pub count: usize,
}

/// The head.
pub fn of(subject: &Subject) -> Head {
    let counts = Standing::ALL.iter().map(|standing| Count { standing: *standing, count: subject.count(*standing) });
    let counts: Vec<Count> = counts.filter(|it| it.count > 0).collect();
    let (outcome, class) = outcome(subject);
    Head {
        name: subject.pipeline.name.clone(),
        about: subject.pipeline.about.clone().unwrap_or_default(),
        outcome,
        class,
        counts,
        facts: facts(subject),
        again: again(subject),
        is_sample: is_sample(subject),
    }
}

/// The outcome in a sentence, with the class of its colours.
fn outcome(subject: &Subject) -> (String, &'static str) {
    let missed = subject.expected.iter().filter(|expected| !expected.met).count();
    let failed = subject.count(Standing::Failed);
    let ran = subject.count(Standing::Ran);
    let mut trouble = Vec::new();
    if failed > 0 {
        trouble.push(format!("{} failed", counted(failed, "node")));
    }
    if missed > 0 {
        trouble.push(format!("{} missed", counted(missed, "expectation")));
    }
    let Some(run) = &subject.run else {
        let there = subject.count(Standing::OnRecord);
        let all = subject.nodes.len() - subject.count(Standing::NotSelected) - subject.count(Standing::LeftOut);
        let none = if there == 0 { "Nothing is on record yet" } else { "No run is reported on" };
        let begin = if there == all && all > 0 {
            "All is on record".to_string()
        } else {
            format!("{none}: {there} of {all} nodes are on record")
        };
        let class = if there == all && all > 0 && trouble.is_empty() { "ran" } else { "record" };
        return (sentence(&begin, &trouble), class);
    };
    let took = |seconds: f64| format!("{} ran in {}", counted(ran, "node"), duration(seconds));
    match &run.state {
        State::Running(_) => {
            (sentence(&format!("The run goes on: {} so far", took(subject.journal.seconds)), &trouble), "work")
        }
        State::DidNotEnd(_) => (
            sentence("The run did not end: its process is gone; the same command continues it", &trouble),
            "interrupted",
        ),
        State::Ended(ended) => {
            let begin = match Exit::of_code(ended.exit) {
                Some(Exit::Ok) if missed == 0 => "All is well",
                Some(Exit::Ok) => "The run is complete",
                Some(Exit::Stage) => "The run failed",
                Some(Exit::Missed) => "The run is complete, but its results are not as asked",
                Some(Exit::Interrupted | Exit::HungUp | Exit::Terminated) => {
                    "The run was interrupted; the same command continues it"
                }
                Some(Exit::Usage) => "Nothing could be run: the manifest, a source or the command line is at fault",
                _ => "The run did not end well",
            };
            let class = match (Exit::of_code(ended.exit), missed) {
                (Some(Exit::Ok), 0) => "ran",
                (Some(Exit::Interrupted | Exit::HungUp | Exit::Terminated), _) => "interrupted",
                _ => "failed",
            };
            let there = subject.count(Standing::OnRecord);
            let there = if there > 0 { format!("{there} on record, ") } else { String::new() };
            let words = format!("{there}{}", took(ended.seconds));
            trouble.push(words);
            (sentence(begin, &trouble), class)
        }
    }
}

fn sentence(begin: &str, parts: &[String]) -> String {
    let between = if begin.contains(':') { "; " } else { ": " };
    if parts.is_empty() { format!("{begin}.") } else { format!("{begin}{between}{}.", parts.join(", ")) }
}

fn facts(subject: &Subject) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut add = |name: &str, value: String| pairs.push(Pair::of(name, value));
    if let Some(run) = &subject.run {
        add("run", run.seen.id.clone());
        add("began", when::long(run.begun()));
        if let Some(ended) = run.ended() {
            add("took", duration(ended.seconds));
        }
    }
    let machines: IndexSet<String> = subject
        .records()
        .map(|(_, record)| format!("{} ({})", record.provenance.host, record.provenance.device_name))
        .collect();
    match machines.len() {
        0 => {}
        1..=3 => add("machine", machines.iter().cloned().collect::<Vec<_>>().join(", ")),
        more => add("machine", format!("{more} machines; each node has its own below")),
    }
    match &subject.commit {
        Some(of) => add("commit", commit::in_words(of)),
        None => add("commit", "none: not in a git repository".into()),
    }
    let version = subject.started.as_ref().map_or(env!("CARGO_PKG_VERSION"), |started| started.ddpipe.as_str());
    let libtorch: IndexSet<&str> = subject.records().map(|(_, record)| record.provenance.libtorch.as_str()).collect();
    let libtorch: Vec<&str> = libtorch.into_iter().filter(|version| !version.is_empty()).collect();
    let torch = if libtorch.is_empty() { String::new() } else { format!(", libtorch {}", libtorch.join(" and ")) };
    add("software", format!("ddpipe {version}{torch}"));
    if let Some(started) = &subject.started {
        add("command", command::line(&started.command));
    }
    pairs
}

/// The command that makes it again: it names what a reader elsewhere has, the manifest and what was laid over it.
fn again(subject: &Subject) -> String {
    let root = &subject.pipeline.root;
    let file = subject.pipeline.file.strip_prefix(root).unwrap_or(&subject.pipeline.file);
    let mut words = vec!["ddpipe".to_string(), "run".to_string(), file.display().to_string()];
    let call = &subject.call;
    words.extend(call.profile.iter().flat_map(|name| ["--profile".to_string(), name.clone()]));
    words.extend(call.sets.iter().flat_map(|(path, value)| ["--set".to_string(), format!("{path}={value}")]));
    words.extend(call.select.iter().flat_map(|node| ["--select".to_string(), node.clone()]));
    let own = |kind: &str| subject.pipeline.catalog.declaration(kind).is_some_and(|kind| kind.command.is_some());
    if subject.pipeline.nodes.iter().any(|node| own(&node.kind)) {
        words.push("--allow-commands".into());
    }
    // Where data may be downloaded to is not what was asked for.
    let env = call.env.iter().filter(|(name, _)| name.starts_with("DDPIPE_VAR_"));
    let env: Vec<String> = env.map(|(name, value)| format!("{name}={} ", command::quoted(value))).collect();
    env.concat() + &command::line(&words)
}

/// Whether a document of a result says that its data is generated.
fn is_sample(subject: &Subject) -> bool {
    subject.records().any(|(id, _)| {
        subject.documents(id).iter().any(|(_, document)| document["sample_data"].as_bool() == Some(true))
    })
}
