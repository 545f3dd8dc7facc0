//! The path of a source as its manifest writes it: `~`, or a variable of the environment, at its start is what a shell would put
//! there. Looks at no file.

use std::path::{Path, PathBuf};

/// The path that a text means. `env` is the environment, of which only absolute paths are taken: what else it holds is nobody
/// else's business.
///
/// # Errors
/// What is wrong with the text, and what to do about it.
pub fn expanded(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<PathBuf, (String, String)> {
    let (first, rest) = text.split_once('/').map_or((text, None), |(first, rest)| (first, Some(rest)));
    let variable = first.strip_prefix('$').map(|name| name.trim_start_matches('{').trim_end_matches('}'));
    let help = format!("set it, or write the path; a folder that is really called so is \"./{first}\"");
    let name = match (first, variable) {
        ("~", _) => "HOME",
        (_, Some(name)) if is_variable(name) => name,
        (user, _) if user.starts_with('~') => {
            return Err((format!("{user:?}: home folders of others are not looked up"), help));
        }
        _ => return Ok(PathBuf::from(text)),
    };
    match env(name) {
        Some(folder) if Path::new(&folder).is_absolute() => Ok(Path::new(&folder).join(rest.unwrap_or_default())),
        Some(_) => Err((format!("{first:?}: the variable {name} of the environment is no absolute path"), help)),
        None => Err((format!("{first:?} is not known: the environment has no variable {name}"), help)),
    }
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
            "TOKEN" => Some("secret".into()),
            _ => None,
        };
        let read = |text: &str| expanded(text, env).map(|path| path.display().to_string());
        for (text, path) in [
            ("data/mnist", "data/mnist"),
            ("/data", "/data"),
            ("~", "/users/me/"),
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
        let told = read("$TOKEN/x").unwrap_err().0;
        assert!(told.contains("TOKEN of the environment is no absolute path") && !told.contains("secret"), "{told}");
        assert!(read("~other/x").unwrap_err().0.contains("not looked up"));
    }
}
