//! The path of a source as its manifest writes it: `~` and variables of the environment at the start of a part are what a
//! shell would put there. Looks at no file.

use std::path::PathBuf;

/// The path that a text means. `env` is the environment.
///
/// # Errors
/// What is wrong with the text, and what to do about it.
pub fn expanded(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<PathBuf, (String, String)> {
    let value = |name: &str, written: &str| {
        env(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            let help = format!("set it, or write the path; a folder that is really called so is \"./{written}\"");
            (format!("{written:?} is not known: the environment has no variable {name}"), help)
        })
    };
    let mut parts = Vec::new();
    for (index, part) in text.split('/').enumerate() {
        let name = part.strip_prefix('$').map(|name| name.trim_start_matches('{').trim_end_matches('}'));
        parts.push(match (part, name) {
            ("~", _) if index == 0 => value("HOME", "~")?,
            (user, _) if index == 0 && user.starts_with('~') && user.len() > 1 => {
                let help = format!("write the path of that folder; a folder that is really called so is \"./{user}\"");
                return Err((format!("{user:?}: home folders of others are not looked up"), help));
            }
            (_, Some(name)) if is_variable(name) => value(name, part)?,
            _ => part.to_string(),
        });
    }
    Ok(PathBuf::from(parts.join("/")))
}

/// Whether this is the name of a variable as environments have them, in capitals.
fn is_variable(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.bytes().all(fits) && !name.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn home_and_variables_are_put_in_and_nothing_else_is_changed() {
        let env = |name: &str| match name {
            "HOME" => Some("/users/me".to_string()),
            "DATA" => Some("/mnt/data".into()),
            _ => None,
        };
        let read = |text: &str| expanded(text, env).map(|path| path.display().to_string());
        for (text, path) in [
            ("data/mnist", "data/mnist"),
            ("/data", "/data"),
            ("~", "/users/me"),
            ("~/mnist", "/users/me/mnist"),
            ("$DATA/mnist", "/mnt/data/mnist"),
            ("data/~", "data/~"),
            ("./~/x", "./~/x"),
            ("a$b/$c/cost$", "a$b/$c/cost$"),
            ("", ""),
        ] {
            assert_eq!(read(text).unwrap(), path);
        }
        assert!(read("$NOWHERE/x").unwrap_err().0.contains("no variable NOWHERE"));
        assert!(read("~other/x").unwrap_err().0.contains("not looked up"));
    }
}
