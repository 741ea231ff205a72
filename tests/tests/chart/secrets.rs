//! Where keys, tokens and certificates are, and where they never are.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_tests::chart::{HELMS, Manifest, Rendering, rendering, renderings};

/// What nobody but a Secret may hold, of one rendering.
fn secret_texts(one: &Rendering) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    // Where redirectors are is no secret, and the targets hold nothing else.
    let secrets = one.of_kind("Secret").filter(|secret| !secret.name().ends_with("-targets"));
    for secret in secrets {
        let data = secret.secret_data();
        for (key, text) in data.iter().filter(|(key, _)| !key.ends_with(".crt")) {
            texts.insert(secret.text(&format!("/data/{key}")).to_owned());
            texts.extend(text.lines().filter(|line| line.len() > 20).map(str::to_owned));
            texts.extend(text.trim().strip_prefix("ehb1:").map(str::to_owned));
        }
    }
    texts.retain(|text| !text.starts_with("-----"));
    texts
}

#[test]
fn what_is_secret_stands_in_secrets_and_nowhere_else() {
    let mut looked_for = 0;
    for one in renderings() {
        let secrets = secret_texts(one);
        looked_for += secrets.len();
        for manifest in one.manifests.iter().filter(|manifest| manifest.kind() != "Secret") {
            let text = manifest.0.to_string();
            for secret in &secrets {
                assert!(!text.contains(secret.as_str()), "{one}: {}", manifest.name());
            }
        }
    }
    assert!(looked_for > 200, "{looked_for} secret texts");
}

#[test]
fn no_container_gets_a_secret_as_variable_or_argument() {
    for one in renderings() {
        for pod in one.manifests.iter().filter_map(Manifest::pod) {
            for container in pod.containers() {
                let place = format!("{one}: {}", container.text("/name"));
                assert_eq!(container.at("/envFrom"), &Value::Null, "{place}");
                for entry in container.list("/env") {
                    assert!(entry.pointer("/valueFrom/secretKeyRef").is_none(), "{place}: {entry}");
                }
            }
        }
    }
}

#[test]
fn pods_get_no_more_of_the_secrets_than_they_need() {
    let never = ["operator-token", "ca.key"];
    for one in renderings() {
        for pod in one.manifests.iter().filter_map(Manifest::pod) {
            for volume in pod.list("/spec/volumes") {
                let items = volume.pointer("/secret/items").and_then(Value::as_array);
                for item in items.into_iter().flatten() {
                    assert!(!never.contains(&item["key"].as_str().unwrap_or_default()), "{one}");
                }
            }
        }
        let pod = one.redirectors().pod().expect("a pod");
        let mounted: BTreeSet<_> = pod
            .list("/spec/volumes")
            .iter()
            .filter_map(|volume| volume.pointer("/secret/items")?.as_array())
            .flatten()
            .filter_map(|item| item["path"].as_str())
            .collect();
        let needed = ["ca.crt", "keys", "tls.crt", "tls.key", "tokens"].into();
        assert!(mounted.is_subset(&needed), "{one}: {mounted:?}");
    }
}

#[test]
fn the_private_key_of_the_authority_is_not_kept() {
    let secrets = rendering("default").secrets();
    let keys: Vec<_> = secrets["live-tidegate-admin"].keys().map(String::as_str).collect();
    assert_eq!(keys, ["ca.crt", "metrics-token", "operator-token", "tls.crt", "tls.key", "tokens"]);
    let text = &secrets["live-tidegate-admin"]["ca.crt"];
    assert!(!text.contains("PRIVATE KEY"));
}

#[test]
fn the_fleet_keys_alone_outlive_the_release() {
    for one in renderings() {
        for manifest in &one.manifests {
            let kept = manifest.text("/metadata/annotations/helm.sh~1resource-policy") == "keep";
            assert_eq!(kept, manifest.name() == "live-tidegate-keys", "{one}: {}", manifest.name());
        }
    }
}

#[test]
fn with_secrets_of_ones_own_none_is_made_and_two_renderings_are_the_same() {
    let case = &rendering("existing-secrets").case;
    let file = case.file.display().to_string();
    for helm in HELMS {
        let render = || helm.template("live", &["--values", &file]).ok();
        assert_eq!(render(), render());
    }
    let secrets = rendering("existing-secrets").secrets();
    assert_eq!(secrets.into_keys().collect::<Vec<_>>(), ["live-tidegate-targets"]);
}

#[test]
fn every_installation_has_secrets_of_its_own() {
    let texts = |helm: usize| {
        let one = renderings().iter().filter(|one| one.case.name == "default").nth(helm);
        secret_texts(one.expect("the default by each Helm"))
    };
    assert!(texts(0).len() >= 5);
    assert!(texts(0).is_disjoint(&texts(1)), "a random text is the same twice");
}

#[test]
fn every_secret_that_is_mounted_is_made_here_or_named_in_the_values() {
    for one in renderings() {
        let made: BTreeSet<_> = one.of_kind("Secret").map(Manifest::name).collect();
        let values = one.case.values().to_string();
        for pod in one.manifests.iter().filter_map(Manifest::pod) {
            for volume in pod.list("/spec/volumes") {
                let Some(secret) = volume.get("secret") else { continue };
                let name = secret["secretName"].as_str().expect("a name");
                if !made.contains(name) {
                    assert!(values.contains(&format!("\"{name}\"")), "{one}: {name}");
                    continue;
                }
                let data = one.the("Secret", name).secret_data();
                for item in secret["items"].as_array().expect("items") {
                    assert!(
                        data.contains_key(item["key"].as_str().expect("a key")),
                        "{one}: {item}"
                    );
                }
            }
        }
    }
}
