//! What an operator writes: the configurations of both programs and the targets file.

use std::sync::Arc;

use tidegate_agent::{
    config::Config as AgentConfig,
    targets::{self, Flaw, KeyPlace},
};
use tidegate_proto::{
    key::{KeyError, SendKey},
    settings,
};
use tidegate_redirector::config::Config as RedirectorConfig;
use toml::Table;

use super::Verdict;

/// A text as each of the three files: it is read or refused. A configuration that is taken stays
/// the same when it is written out, and every profile that the agent's admits can be sent.
pub fn config(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let taken = [redirector_config(text), agent_config(text), targets_file(text)];
    if taken.contains(&true) { Verdict::Accepted } else { Verdict::Refused }
}

fn redirector_config(text: &str) -> bool {
    let Ok(table) = settings::parse_file::<RedirectorConfig>(text) else { return false };
    let config: RedirectorConfig = table.try_into().expect("parsed as one a moment ago");
    if config.check().is_err() {
        return false;
    }
    let written = Table::try_from(&config).expect("a configuration is a table");
    assert_eq!(written.try_into::<RedirectorConfig>().as_ref(), Ok(&config));
    true
}

fn agent_config(text: &str) -> bool {
    let Ok(table) = settings::parse_file::<AgentConfig>(text) else { return false };
    let config: AgentConfig = table.try_into().expect("parsed as one a moment ago");
    let Ok(mut checked) = config.check(environment, || Some("edge-1".to_owned())) else {
        return false;
    };
    checked.profile.drop_labels_that_do_not_fit();
    assert_eq!(checked.profile.check(), Ok(()));
    true
}

fn targets_file(text: &str) -> bool {
    targets::parse(text, environment, unstretched).is_ok_and(|targets| !targets.is_empty())
}

/// Every key but those in files, and those that are stretched from text, which takes 0.1 s each.
fn unstretched(place: KeyPlace<'_>) -> Result<Arc<SendKey>, Flaw> {
    match place {
        KeyPlace::Here(text) if text.starts_with("ehb1:") || text.starts_with("ehb1e:") => {
            Ok(Arc::new(text.parse()?))
        }
        _ => Err(KeyError::UnknownForm.into()),
    }
}

fn environment(name: &str) -> Option<String> {
    (name == "HOST").then(|| "lb1.example.com".to_owned())
}
