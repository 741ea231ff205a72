//! YAML as values, and what Kubernetes' objects have in common.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

static NOTHING: Value = Value::Null;

/// The documents of a YAML text that hold anything.
#[track_caller]
#[must_use]
pub fn parse(text: &str) -> Vec<Value> {
    let documents = serde_saphyr::from_multiple::<Value>(text);
    let documents = documents.unwrap_or_else(|error| panic!("no YAML: {error}\n{text}"));
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// Every object of what Helm wrote.
#[track_caller]
pub(super) fn all(text: &str) -> Vec<Manifest> {
    parse(text).into_iter().map(Manifest).collect()
}

/// One object of Kubernetes.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest(pub Value);

impl Manifest {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// What stands at a JSON pointer; null where nothing does.
    #[must_use]
    pub fn at(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or(&NOTHING)
    }

    /// The text at a JSON pointer; empty where there is none.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    /// The list at a JSON pointer; empty where there is none.
    #[must_use]
    pub fn list(&self, pointer: &str) -> &[Value] {
        self.at(pointer).as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The pod that it makes, or is.
    #[must_use]
    pub fn pod(&self) -> Option<Self> {
        let pod = match self.kind() {
            "StatefulSet" | "DaemonSet" | "Deployment" | "Job" => self.at("/spec/template"),
            "Pod" => &self.0,
            _ => return None,
        };
        Some(Self(pod.clone()))
    }

    /// The containers of a pod, those that run first included.
    #[must_use]
    pub fn containers(&self) -> Vec<Self> {
        let lists = ["/spec/initContainers", "/spec/containers"];
        lists.iter().flat_map(|list| self.list(list)).cloned().map(Self).collect()
    }

    /// The variables of a container that have a value of their own.
    #[must_use]
    pub fn env(&self) -> BTreeMap<&str, &str> {
        let text = |entry: &'_ Value, key: &str| entry.get(key).and_then(Value::as_str).is_some();
        let list = self.list("/env").iter();
        list.filter(|entry| text(entry, "name") && text(entry, "value"))
            .filter_map(|entry| Some((entry["name"].as_str()?, entry["value"].as_str()?)))
            .collect()
    }

    /// Labels that a selector or a list of labels at a pointer holds.
    #[must_use]
    pub fn labels(&self, pointer: &str) -> BTreeMap<&str, &str> {
        let map: Option<&Map<_, _>> = self.at(pointer).as_object();
        let entries = map.into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
    }

    /// What a Secret holds, decoded.
    #[track_caller]
    #[must_use]
    pub fn secret_data(&self) -> BTreeMap<String, String> {
        let decode = |(key, text): (&str, &str)| {
            let bytes = STANDARD.decode(text).expect("base64 in a Secret");
            (key.to_owned(), String::from_utf8(bytes).expect("text in a Secret"))
        };
        self.labels("/data").into_iter().map(decode).collect()
    }
}
