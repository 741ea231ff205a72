//! Keys and tokens, made on this machine alone. Secrets go to standard output, words about them to
//! standard error, so that `> FILE` keeps exactly the secret.

use std::path::Path;

use tidegate_control::admin::tokens::NewToken;
use tidegate_proto::{
    edge::EdgeId,
    key::{format_edge_key, format_fleet_key, parse_fleet_key, without_comment},
    seal::FleetKey,
    secret_file,
};

use crate::{
    args::{Key, Token},
    failure::Failure,
    show::{say, tell},
};

/// `key …`.
pub(crate) fn key(command: Key) -> Result<(), Failure> {
    match command {
        Key::Generate => {
            let key = FleetKey::random();
            tell(&format!(
                "Fleet key {}: add it to the keys file of every redirector (chmod 600), then to the agents.",
                key.id()
            ));
            say(&format_fleet_key(&key))
        }
        Key::Issue { edge, keys_file, key_id } => {
            let edge = parse_edge(&edge)?;
            let fleet = choose(&keys_file, key_id.as_deref())?;
            tell(&format!(
                "Key of edge {edge}, derived from fleet key {}: put it into that edge's targets file (chmod 600) and nowhere else.",
                fleet.id()
            ));
            say(&format_edge_key(&fleet, edge))
        }
    }
}

/// `token …`.
pub(crate) fn token(command: Token) -> Result<(), Failure> {
    let Token::Generate { role, name } = command;
    let new = NewToken::generate(role, &name)
        .map_err(|error| Failure::Usage(format!("--name: {error}")))?;
    tell(
        "First the token, for its holder alone (tidegatectl --token-file); then its line for admin.tokens_file.",
    );
    say(&new.token)?;
    say(&new.line)
}

fn parse_edge(text: &str) -> Result<EdgeId, Failure> {
    if text == "new" {
        return Ok(EdgeId::random());
    }
    text.parse().map_err(|_| {
        Failure::Usage(format!("--edge: {text:?} is not a UUID; give the edge's UUID, or new"))
    })
}

/// The key of a fingerprint, or the file's last, which is the newest where keys are appended.
fn choose(file: &Path, key_id: Option<&str>) -> Result<FleetKey, Failure> {
    let text = secret_file::read(file).map_err(|error| Failure::Failed(error.to_string()))?;
    let fault = |what: String| Failure::Failed(format!("{}: {what}", file.display()));
    let mut chosen = None;
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line);
        if line.is_empty() {
            continue;
        }
        let key =
            parse_fleet_key(line).map_err(|error| fault(format!("line {}: {error}", index + 1)))?;
        if key_id.is_none_or(|id| key.id().to_string().eq_ignore_ascii_case(id)) {
            chosen = Some(key);
        }
    }
    chosen.ok_or_else(|| match key_id {
        Some(id) => fault(format!("there is no key with the fingerprint {id:?} in it")),
        None => fault("there is no key in it; make one with `tidegatectl key generate`".into()),
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use tidegate_proto::key::SendKey;

    use super::*;

    fn keys_file(dir: &Path, text: &str) -> std::path::PathBuf {
        let path = dir.join("keys");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode set");
        path
    }

    #[test]
    fn an_issued_key_is_its_edges_and_descends_from_the_chosen_fleet_key() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (old, new) = (FleetKey::random(), FleetKey::random());
        let text =
            format!("# keys\n{}\n{} # newest\n", *format_fleet_key(&old), *format_fleet_key(&new));
        let file = keys_file(dir.path(), &text);
        let edge = EdgeId::random();
        for (key_id, fleet) in [(None, &new), (Some(old.id().to_string()), &old)] {
            let chosen = choose(&file, key_id.as_deref()).expect("it is there");
            let issued: SendKey = format_edge_key(&chosen, edge).parse().expect("our own form");
            assert_eq!((issued.edge(), issued.key_id()), (Some(edge), fleet.id()));
        }
        assert!(choose(&file, Some("00000000")).is_err());
    }

    #[test]
    fn a_fault_names_the_file_and_the_line_and_no_key() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = keys_file(dir.path(), "\nehb1:secretsecret\n");
        let said = choose(&file, None).expect_err("no key").to_string();
        assert!(said.contains("keys: line 2") && !said.contains("secret"), "{said}");
        assert!(parse_edge("edge-1").is_err() && parse_edge("new").is_ok());
    }
}
