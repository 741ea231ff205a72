//! The chart's values say the same in values.yaml, in its schema and in its README.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use tidegate_tests::chart::{Helm, RELEASE, cases, folder, parse};

fn read(file: &str) -> String {
    let file = folder().join(file);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every key of values.yaml that has a comment with `# --` above it, by its whole path.
fn documented() -> BTreeSet<String> {
    let text = read("values.yaml");
    let mut path: Vec<(usize, &str)> = Vec::new();
    let mut found = BTreeSet::new();
    let mut described = false;
    for line in text.lines() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if let Some(comment) = bare.strip_prefix('#') {
            described |= comment.trim_start().starts_with("--");
            continue;
        }
        if let Some((key, _)) = bare.split_once(':') {
            path.retain(|(at, _)| *at < indent);
            path.push((indent, key));
            if described {
                let keys: Vec<_> = path.iter().map(|(_, key)| *key).collect();
                found.insert(keys.join("."));
            }
        }
        described = false;
    }
    assert!(found.len() > 60, "{}", found.len());
    found
}

/// Whether a path or one above it is documented.
fn is_covered(documented: &BTreeSet<String>, path: &str) -> bool {
    documented.contains(path)
        || path.match_indices('.').any(|(at, _)| documented.contains(&path[..at]))
}

fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, &path, found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

#[test]
fn every_value_is_explained_where_it_stands() {
    let values = parse(&read("values.yaml"));
    let mut all = BTreeSet::new();
    leaves(&values[0], "", &mut all);
    let documented = documented();
    let silent: Vec<_> = all.iter().filter(|path| !is_covered(&documented, path)).collect();
    assert!(silent.is_empty(), "no comment with `# --`: {silent:?}");
}

/// Every property of the schema down to the documented values.
fn properties(schema: &Value, path: &str, stop: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    let Some(map) = schema["properties"].as_object() else { return };
    for (key, schema) in map {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if stop.contains(&path) || schema["properties"].is_null() {
            found.insert(path);
        } else {
            assert_eq!(
                schema["additionalProperties"], false,
                "the schema lets {path} have any key"
            );
            properties(schema, &path, stop, found);
        }
    }
}

#[test]
fn the_schema_knows_every_value_and_no_other() {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    assert_eq!(schema["additionalProperties"], false);
    let documented = documented();
    let mut known = BTreeSet::new();
    properties(&schema, "", &documented, &mut known);
    // A chart that is part of another gets these besides: what Helm hands to all, and the condition for having it.
    for key in ["global", "enabled"] {
        assert!(known.remove(key), "the schema refuses {key}");
    }
    assert_eq!(known, documented);
}

#[test]
fn the_readme_lists_every_value_and_no_other() {
    let text = read("README.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let top: BTreeSet<String> = documented();
    let roots: BTreeSet<_> = top.iter().filter_map(|path| path.split('.').next()).collect();
    let is_value = |key: &&str| roots.contains(key.split('.').next().unwrap_or_default());
    let listed: BTreeSet<String> =
        rows.map(|(key, _)| key).filter(is_value).map(str::to_owned).collect();
    assert_eq!(listed, top);
}

#[test]
fn every_case_says_for_whom_it_is() {
    for case in cases() {
        let text = fs::read_to_string(&case.file).expect("a case");
        assert!(text.starts_with("# For "), "{} does not begin with `# For `", case.file.display());
    }
}

#[test]
fn the_chart_is_of_the_version_of_the_programs() {
    let chart = parse(&read("Chart.yaml"));
    assert_eq!(chart[0]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart[0]["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_readmes_examples_are_values_that_the_chart_takes() {
    let text = read("README.md");
    let known = parse(&read("values.yaml"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("values.yaml");
    let mut taken = 0;
    for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let example = parse(block);
        let Some(map) = example.first().and_then(Value::as_object) else { continue };
        // What users write into manifests of their own is not for the chart.
        if map.keys().any(|key| known[0].get(key).is_none()) {
            continue;
        }
        fs::write(&file, block).expect("written");
        let ran = Helm::Four.template(RELEASE, &["--values", &file.display().to_string()]);
        assert_eq!(ran.code, Some(0), "{block}{}", ran.err);
        taken += 1;
    }
    assert!(taken > 2, "{taken} examples");
}
