//! How every program is configured: flag over environment over file over default.
//!
//! A program lists its scalar keys once, as [`Setting`]s. Each becomes a flag
//! (`heartbeat.listen` -> `--heartbeat-listen`) and an environment variable
//! (`TIDEGATE_REDIRECTOR__HEARTBEAT__LISTEN`). Lists are written with commas there. An unknown key
//! in the file is an error that names it; unknown variables are ignored.

use std::{fs, path::Path};

use clap::{Arg, ArgMatches, Command};
use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

/// One scalar key of a program's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The key's path in the file, for example `heartbeat.listen`.
    pub path: &'static str,
    /// What it does, for `--help`.
    pub help: &'static str,
}

impl Setting {
    fn flag(&self) -> String {
        self.path.replace(['.', '_'], "-")
    }

    fn variable(&self, prefix: &str) -> String {
        format!("{prefix}__{}", self.path.replace('.', "__").to_uppercase())
    }
}

/// Why a configuration was refused. The message names the place and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file could not be read.
    #[error("cannot read the configuration {path}: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or a key in it is unknown or of the wrong kind.
    #[error("{path}: {source}")]
    BadFile {
        /// Which file.
        path: String,
        /// Names line, column and key.
        source: Box<toml::de::Error>,
    },
    /// A flag or variable has a value of the wrong kind.
    #[error("{place}: {text:?} is not {wanted}")]
    BadValue {
        /// The flag and its variable.
        place: String,
        /// What was given.
        text: String,
        /// What would be right.
        wanted: &'static str,
    },
    /// Everything is of the right kind, but a value is not acceptable.
    #[error("{0}")]
    Refused(String),
}

/// Adds a flag with its environment twin for every setting. `defaults` supplies the text of
/// `[default: …]`.
pub fn add_flags<C: Serialize>(
    command: Command,
    prefix: &str,
    settings: &[Setting],
    defaults: &C,
) -> Command {
    let defaults = table_of(defaults);
    settings.iter().fold(command, |command, setting| {
        let default = lookup(&defaults, setting.path).map(show).unwrap_or_default();
        let help = if default.is_empty() {
            setting.help.to_owned()
        } else {
            format!("{} [default: {default}]", setting.help)
        };
        command.arg(
            Arg::new(setting.path)
                .long(setting.flag())
                .env(setting.variable(prefix))
                .hide_env_values(true)
                .value_name("VALUE")
                .help(help)
                .help_heading("Settings (each also a key of the file and a variable)"),
        )
    })
}

/// Layers file, environment and flags over the defaults.
pub fn load<C>(
    file: Option<&Path>,
    matches: &ArgMatches,
    settings: &[Setting],
) -> Result<C, SettingsError>
where
    C: Default + Serialize + DeserializeOwned,
{
    let mut table = match file {
        Some(path) => read_file::<C>(path)?,
        None => Table::new(),
    };
    let defaults = table_of(&C::default());
    for setting in settings {
        let Some(text) = matches.get_one::<String>(setting.path) else { continue };
        let kind = lookup(&defaults, setting.path)
            .unwrap_or_else(|| panic!("the setting {} is in the defaults", setting.path));
        let value = convert(kind, text).map_err(|wanted| SettingsError::BadValue {
            place: format!("--{} (or its environment twin)", setting.flag()),
            text: text.clone(),
            wanted,
        })?;
        insert(&mut table, setting.path, value);
    }
    C::deserialize(Value::Table(table)).map_err(|error| SettingsError::Refused(error.to_string()))
}

/// Parses once as `C`, so that errors carry line and key, and once as a table to lay more over.
fn read_file<C: DeserializeOwned>(path: &Path) -> Result<Table, SettingsError> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|source| SettingsError::Unreadable { path: shown.clone(), source })?;
    parse_file::<C>(&text)
        .map_err(|source| SettingsError::BadFile { path: shown, source: Box::new(source) })
}

/// Checks a file's text against `C` and returns its table.
pub fn parse_file<C: DeserializeOwned>(text: &str) -> Result<Table, toml::de::Error> {
    toml::from_str::<C>(text)?;
    toml::from_str(text)
}

/// Every scalar key of `defaults`, to hold a list of settings to.
pub fn scalar_paths<C: Serialize>(defaults: &C) -> Vec<String> {
    fn walk(prefix: &str, table: &Table, paths: &mut Vec<String>) {
        for (key, value) in table {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                Value::Table(inner) => walk(&path, inner, paths),
                _ => paths.push(path),
            }
        }
    }
    let mut paths = Vec::new();
    walk("", &table_of(defaults), &mut paths);
    paths
}

fn table_of<C: Serialize>(config: &C) -> Table {
    Table::try_from(config).expect("a configuration is made of tables, text, numbers and lists")
}

fn lookup<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    let mut keys = path.split('.');
    let first = table.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))
}

fn insert(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

fn convert(kind: &Value, text: &str) -> Result<Value, &'static str> {
    match kind {
        Value::Boolean(_) => text.parse().map(Value::Boolean).map_err(|_| "true or false"),
        Value::Integer(_) => {
            text.replace('_', "").parse().map(Value::Integer).map_err(|_| "a whole number")
        }
        Value::Float(_) => text.parse().map(Value::Float).map_err(|_| "a number"),
        Value::Array(_) => Ok(Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.to_owned()))
                .collect(),
        )),
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        dir: String,
        net: Net,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, Default)]
    #[serde(default, deny_unknown_fields)]
    struct Net {
        port: u16,
        open: bool,
        allow: Vec<String>,
    }

    impl Default for Config {
        fn default() -> Self {
            Self { dir: "/var".into(), net: Net::default() }
        }
    }

    const SETTINGS: &[Setting] = &[
        Setting { path: "dir", help: "Where" },
        Setting { path: "net.port", help: "Port" },
        Setting { path: "net.open", help: "Open" },
        Setting { path: "net.allow", help: "Who" },
    ];

    fn loaded(file: Option<&Path>, flags: &[&str]) -> Result<Config, SettingsError> {
        let command = add_flags(Command::new("x"), "TIDEGATE_X", SETTINGS, &Config::default());
        let words = std::iter::once("x").chain(flags.iter().copied());
        load(file, &command.try_get_matches_from(words).expect("flags are known"), SETTINGS)
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_the_default() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("x.toml");
        fs::write(&path, "[net]\nport = 7\nopen = true\n").expect("written");
        let config = loaded(Some(&path), &["--net-port", "8", "--net-allow", "a, b"]);
        let net = Net { port: 8, open: true, allow: vec!["a".into(), "b".into()] };
        assert_eq!(config.expect("valid"), Config { dir: "/var".into(), net });
    }

    #[test]
    fn faults_name_their_place() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("x.toml");
        fs::write(&path, "[net]\nprot = 7\n").expect("written");
        let said = loaded(Some(&path), &[]).expect_err("unknown key").to_string();
        assert!(said.contains("prot") && said.contains("line 2"), "{said}");
        let said = loaded(None, &["--net-open", "yes"]).expect_err("no bool").to_string();
        assert!(said.contains("--net-open") && said.contains("true or false"), "{said}");
        let said = loaded(None, &["--net-port", "70000"]).expect_err("no port").to_string();
        assert!(said.contains("net.port") || said.contains("u16"), "{said}");
    }

    #[test]
    fn every_scalar_key_is_found() {
        assert_eq!(scalar_paths(&Config::default()), ["dir", "net.allow", "net.open", "net.port"]);
    }
}
