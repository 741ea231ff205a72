//! Reads the text format of Prometheus.

use std::collections::BTreeMap;

/// One page of metrics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    series: Vec<Series>,
    /// The kind of each metric, from its `# TYPE` line.
    pub kinds: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads a page; a line that is not of the format is an error that shows it.
    pub fn parse(page: &str) -> Result<Self, String> {
        let mut metrics = Self::default();
        for line in page.lines().filter(|line| !line.is_empty()) {
            if let Some(comment) = line.strip_prefix('#') {
                let mut words = comment.split_whitespace();
                if let (Some("TYPE"), Some(name), Some(kind)) =
                    (words.next(), words.next(), words.next())
                {
                    metrics.kinds.insert(name.into(), kind.into());
                }
                continue;
            }
            let series = series(line).ok_or_else(|| format!("not a series: {line:?}"))?;
            metrics.series.push(series);
        }
        Ok(metrics)
    }

    /// The sum of every series of that name that carries all these labels. A name that no series
    /// has is a mistake of the test: its sum would be 0 whatever happens.
    #[must_use]
    #[track_caller]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let carries = |series: &&Series| {
            series.name == name
                && labels
                    .iter()
                    .all(|(key, value)| series.labels.get(*key).is_some_and(|known| known == value))
        };
        assert!(self.series.iter().any(|series| series.name == name), "there is no metric {name}");
        self.series.iter().filter(carries).map(|series| series.value).sum()
    }

    /// Every series of that name, by the value of one label.
    #[must_use]
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let of_name = self.series.iter().filter(|series| series.name == name);
        of_name.filter_map(|s| Some((s.labels.get(label)?.clone(), s.value))).collect()
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

fn series(line: &str) -> Option<Series> {
    let (head, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, rest)) = head.split_once('{') else {
        return Some(Series { name: head.into(), labels: BTreeMap::new(), value });
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest.strip_suffix('}')?;
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.insert(key.to_owned(), value);
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Some(Series { name: name.into(), labels, value })
}

/// Text up to the closing quote, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_labels() {
        let page =
            "# HELP a b\n# TYPE a counter\na{x=\"1\",y=\"q\\\"}\\n\"} 2\na{x=\"2\"} 3e0\nb 4\n";
        let metrics = Metrics::parse(page).expect("the format is right");
        assert_eq!(metrics.sum("a", &[]), 5.0);
        assert_eq!(metrics.sum("a", &[("y", "q\"}\n")]), 2.0);
        assert_eq!(metrics.by("a", "x"), [("1".into(), 2.0), ("2".into(), 3.0)].into());
        assert_eq!((metrics.sum("b", &[]), metrics.len()), (4.0, 3));
        assert_eq!(metrics.kinds["a"], "counter");
        assert!(Metrics::parse("nonsense").is_err());
    }
}
