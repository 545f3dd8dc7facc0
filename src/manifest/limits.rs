//! Reads `timeout` and `retries` of a stage. Neither can depend on an axis: they say how patient a run is with the stage,
//! not what it computes.

use super::document::{Item, Raw, Table};
use crate::diagnostic::{Diagnostic, Report, did_you_mean};
use crate::limits::{Limits, RETRIED, Retries, Trouble, duration, parse_duration};
use ddpipe_interface::protocol::Cause;
use std::time::Duration;

/// The most further attempts that make sense.
const MOST: i64 = 100;

/// Reads both keys of a stage's table.
pub fn read(table: &Table, report: &mut Report) -> Limits {
    let timeout = table.get("timeout").and_then(|entry| timeout(&entry.item, report));
    let retries = table.get("retries").and_then(|entry| retries(&entry.item, report));
    Limits { timeout, retries: retries.unwrap_or_default() }
}

fn timeout(item: &Item, report: &mut Report) -> Option<Duration> {
    let read = match &item.raw {
        Raw::String(text) => parse_duration(text),
        Raw::Integer(seconds) => duration(*seconds as f64).ok_or_else(|| "a timeout is above 0 seconds".to_string()),
        Raw::Float(seconds) => duration(*seconds).ok_or_else(|| "a timeout is above 0 seconds".to_string()),
        Raw::Faulty => return None,
        _ => Err(format!("a timeout is a number of seconds or a text such as \"2h\"; found {}", item.describe())),
    };
    read.map_err(|message| report.push(item.fault(message))).ok()
}

fn retries(item: &Item, report: &mut Report) -> Option<Retries> {
    match &item.raw {
        Raw::Faulty => None,
        Raw::Table(table) => {
            for (name, entry) in table.iter().filter(|(name, _)| !["times", "on"].contains(&name.as_str())) {
                let near = did_you_mean(name, ["times", "on"]);
                let fault = Diagnostic::at(&entry.key, format!("key {name:?} is not known here{near}"));
                report.push(fault.help("the keys of retries are times, on"));
            }
            let Some(given) = table.get("times") else {
                report.push(item.fault("retries needs times: how many further attempts the stage has"));
                return None;
            };
            let retries = Retries::of(times(&given.item, report)?);
            let on = table.get("on").map(|entry| troubles(&entry.item, report));
            Some(Retries { on: on.unwrap_or_else(|| retries.on.clone()), ..retries })
        }
        _ => times(item, report).map(Retries::of),
    }
}

fn times(item: &Item, report: &mut Report) -> Option<u32> {
    if let Raw::Integer(number @ 0..=MOST) = item.raw {
        return u32::try_from(number).ok();
    }
    if !matches!(item.raw, Raw::Faulty) {
        let found = item.describe();
        let fault = item.fault(format!("a stage has 0 to {MOST} further attempts; found {found}"));
        report.push(fault.help("write retries = 2, or retries = { times = 2, on = [\"worker_died\", 75] }"));
    }
    None
}

/// Names of causes, and exit statuses of programs.
fn troubles(item: &Item, report: &mut Report) -> Vec<Trouble> {
    let items = match &item.raw {
        Raw::List(items) => items.as_slice(),
        _ => std::slice::from_ref(item),
    };
    let mut troubles = Vec::new();
    for item in items {
        match &item.raw {
            Raw::Faulty => {}
            Raw::Integer(status @ 1..=255) => troubles.extend(i32::try_from(*status).ok().map(Trouble::Exit)),
            Raw::String(text) if cause(text).is_some() => troubles.extend(cause(text).map(Trouble::Cause)),
            _ => {
                let names = RETRIED.map(Cause::name);
                let near = match &item.raw {
                    Raw::String(text) => did_you_mean(text, names),
                    _ => String::new(),
                };
                let fault = item.fault(format!("a stage is not tried again after {}{near}", item.describe()));
                let help = format!("name failures ({}) and exit statuses from 1 to 255", names.join(", "));
                report.push(fault.help(help));
            }
        }
    }
    troubles
}

fn cause(text: &str) -> Option<Cause> {
    RETRIED.into_iter().find(|cause| cause.name() == text)
}
