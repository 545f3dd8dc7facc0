//! Placeholders in the commands and templates of a batch system: `{name}` stands for a value, `{{` and `}}` for braces. A
//! function of values.

use super::PilotOrder;
use super::script::{command, exports, line, program};
use crate::machine::{Machine, PilotType};

/// What is filled in.
#[derive(Clone, Copy, Debug)]
pub struct Filled<'a> {
    /// The settings.
    pub machine: &'a Machine,
    /// What the pilot gets.
    pub pilot: &'a PilotType,
    /// The pilot.
    pub order: &'a PilotOrder,
    /// Its variables.
    pub variables: &'a [(String, String)],
    /// What the batch system calls it, where that is known.
    pub id: Option<&'a str>,
}

/// All names; `options` stands alone, for several words.
const NAMES: &str = "name run number script template log folder cpus gpus memory_mb memory_bytes time_s time_min time_hms id \
                     ddpipe command_sh command_json env_sh options";

/// Fills in a text.
///
/// # Errors
/// A placeholder is not known or has no value here, or a brace stands alone.
pub fn fill(text: &str, values: &Filled<'_>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("{{") {
            filled.push('{');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("}}") {
            filled.push('}');
            rest = after;
        } else {
            let named = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let (name, after) = named.ok_or_else(|| format!("a brace stands alone in {text:?}; write it twice"))?;
            filled.push_str(&values.value(name)?);
            rest = after;
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

impl Filled<'_> {
    fn value(&self, name: &str) -> Result<String, String> {
        let Filled { machine, pilot, order, variables, id } = *self;
        let seconds = pilot.time.as_secs();
        Ok(match name {
            "name" => order.name(),
            "run" => order.run.clone(),
            "number" => order.number.to_string(),
            "script" => order.script_file().display().to_string(),
            "template" => order.template_file().display().to_string(),
            "log" => order.log.display().to_string(),
            "folder" => order.folder.display().to_string(),
            "cpus" => pilot.cpus.to_string(),
            "gpus" => pilot.gpus().to_string(),
            "memory_mb" => pilot.memory_mib().to_string(),
            "memory_bytes" => pilot.memory.to_string(),
            "time_s" => seconds.to_string(),
            "time_min" => seconds.div_ceil(60).to_string(),
            "time_hms" => format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
            "id" => id.ok_or("{id} is known only after the submission")?.to_string(),
            "ddpipe" => program(machine),
            "command_sh" => line(&command(machine, order)),
            "command_json" => serde_json::to_string(&command(machine, order)).map_err(|error| error.to_string())?,
            "env_sh" => exports(variables),
            _ => return Err(format!("there is no placeholder {{{name}}}; there are {NAMES}")),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn placeholders_are_filled_in_and_unknown_ones_are_errors() {
        let machine = "queue = \"slurm\"\nddpipe = \"/lab/bin/ddpipe\"\n[pilots]\n\
                       gpu = { cpus = 8, memory = \"1.5GiB\", time = \"90min\", slots = 2 }\n";
        let machine: Machine = toml::from_str(machine).unwrap();
        let (order, variables) = (PilotOrder::sample(), [("A".to_string(), "b c".to_string())]);
        let values =
            |id| Filled { machine: &machine, pilot: &machine.pilots["gpu"], order: &order, variables: &variables, id };
        let text = "{cpus} {gpus} {memory_mb} {memory_bytes} {time_s} {time_min} {time_hms} {number} {{x}} {env_sh}";
        assert_eq!(fill(text, &values(None)).unwrap(), "8 2 1536 1610612736 5400 90 01:30:00 2 {x} export A='b c'\n");
        assert_eq!(
            fill("{ddpipe}|{command_sh}", &values(None)).unwrap(),
            "/lab/bin/ddpipe|/lab/bin/ddpipe run --pilot 2"
        );
        assert_eq!(fill("{command_json}", &values(None)).unwrap(), r#"["/lab/bin/ddpipe","run","--pilot","2"]"#);
        assert_eq!(fill("{name} {id}", &values(Some("7"))).unwrap(), "ddpipe-20261129t1200-x-2 7");
        assert!(fill("{id}", &values(None)).unwrap_err().contains("only after the submission"));
        assert!(fill("{memory}", &values(None)).unwrap_err().contains("memory_mb"));
        assert!(fill("{ x", &values(None)).is_err() && fill("x }", &values(None)).is_err());
        for name in NAMES.split_whitespace().filter(|name| *name != "options") {
            assert!(fill(&format!("{{{name}}}"), &values(Some("7"))).is_ok(), "{name}");
        }
    }
}
