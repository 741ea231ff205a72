//! The text that exporters speak: Prometheus' format 0.0.4 and what OpenMetrics 1.0 adds to it.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>. Types and help texts are skipped: a
//! figure is chosen by name and labels alone. A line that is none makes the whole page no page.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// Ten thousand streams with a sample for each of twenty metrics fit.
const SAMPLES_MAX: usize = 250_000;
/// Labels of one sample.
const LABELS_MAX: usize = 64;
/// How much of a wrong line is shown.
const SHOWN_LEN_MAX: usize = 60;

/// One value of one time series.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::source) struct Sample {
    pub(in crate::source) name: String,
    pub(in crate::source) labels: BTreeMap<String, String>,
    pub(in crate::source) value: f64,
}

/// Every sample of a page, in its order. The error says which line is wrong, and why.
pub(in crate::source) fn samples(text: &str) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_matches(BLANKS);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if samples.len() == SAMPLES_MAX {
            return Err(format!("it has more than {SAMPLES_MAX} samples"));
        }
        let wrong = |why| {
            let shown: String = line.chars().take(SHOWN_LEN_MAX).collect();
            format!("line {} is no sample: {why} in {shown:?}", at + 1)
        };
        samples.push(sample(line).map_err(wrong)?);
    }
    Ok(samples)
}

/// `NAME{LABELS} VALUE TIMESTAMP # EXEMPLAR`, of which only name and value must be there.
fn sample(line: &str) -> Result<Sample, &'static str> {
    let mut cursor = Cursor(line);
    let (name, labels) = cursor.series()?;
    let rest = cursor.0;
    if !rest.starts_with(BLANKS) {
        return Err("no blank before the value");
    }
    // An exemplar begins with a hash; no value or timestamp has one.
    let (numbers, _exemplar) = rest.split_once('#').unwrap_or((rest, ""));
    let mut words = numbers.split(BLANKS).filter(|word| !word.is_empty());
    let value = words.next().and_then(|word| word.parse().ok()).ok_or("no number")?;
    if words.next().is_some_and(|timestamp| timestamp.parse::<f64>().is_err()) {
        return Err("a timestamp that is no number");
    }
    match words.next() {
        None => Ok(Sample { name, labels, value }),
        Some(_) => Err("something after the timestamp"),
    }
}

/// Which samples are meant: all of a name that have these labels, among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    name: String,
    labels: BTreeMap<String, String>,
}

impl Selector {
    pub(super) fn matches(&self, sample: &Sample) -> bool {
        sample.name == self.name
            && self.labels.iter().all(|(label, value)| sample.labels.get(label) == Some(value))
    }
}

/// `NAME` or `NAME{LABEL="VALUE",…}`; labels are compared for equality alone.
impl FromStr for Selector {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut cursor = Cursor(text);
        let (name, labels) = cursor.series()?;
        match cursor.0 {
            "" => Ok(Self { name, labels }),
            _ => Err("something after the name and its labels"),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (at, (label, value)) in self.labels.iter().enumerate() {
            write!(f, "{}{label}={value:?}", if at == 0 { '{' } else { ',' })?;
        }
        f.write_str(if self.labels.is_empty() { "" } else { "}" })
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

/// What of a line is still to be read.
struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    /// A name and its labels, if there are any.
    fn series(&mut self) -> Result<(String, BTreeMap<String, String>), &'static str> {
        let name = self.name(":").ok_or("no metric name")?;
        let labels = if self.skip("{") { self.labels()? } else { BTreeMap::new() };
        Ok((name, labels))
    }

    fn labels(&mut self) -> Result<BTreeMap<String, String>, &'static str> {
        let mut labels = BTreeMap::new();
        while !self.skip("}") {
            let label = self.name("").ok_or("no label name")?;
            if !self.skip("=") || !self.skip("\"") {
                return Err("a label without =\"VALUE\"");
            }
            let value = self.quoted()?;
            if labels.insert(label, value).is_some() {
                return Err("a label named twice");
            }
            if labels.len() > LABELS_MAX {
                return Err("too many labels");
            }
            if !self.skip(",") && !self.0.trim_start_matches(BLANKS).starts_with('}') {
                return Err("no comma between labels");
            }
        }
        Ok(labels)
    }

    /// Letters, digits and `_`, and what else may be in this kind of name; no digit comes first.
    fn name(&mut self, more: &str) -> Option<String> {
        self.0 = self.0.trim_start_matches(BLANKS);
        let belongs = |c: char| c.is_ascii_alphanumeric() || c == '_' || more.contains(c);
        let end = self.0.find(|c| !belongs(c)).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        Some(name.to_owned())
    }

    /// What stands before the closing quote, which is read too.
    fn quoted(&mut self) -> Result<String, &'static str> {
        let mut value = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next().ok_or("a quote that does not end")? {
                '"' => break,
                '\\' => value.push(match chars.next() {
                    Some('n') => '\n',
                    Some(c @ ('"' | '\\')) => c,
                    _ => return Err("an unknown escape"),
                }),
                c => value.push(c),
            }
        }
        self.0 = chars.as_str();
        Ok(value)
    }

    /// Reads over this, if it is next; blanks before it count only then.
    fn skip(&mut self, token: &str) -> bool {
        let rest = self.0.trim_start_matches(BLANKS).strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests;
