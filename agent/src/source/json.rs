//! Figures out of a server's JSON. A figure of the wrong kind is trouble that names it; one that is
//! absent is unknown.

use serde_json::Value;
use tidegate_proto::heartbeat::{Trouble, VIEWERS_MAX};

use super::fetch::{absurd, misread, shortened};

/// A part of a page, which knows where it was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    place: &'a str,
    value: &'a Value,
}

/// Reads a page's text.
pub(super) fn parse(place: &str, text: &str) -> Result<Value, Trouble> {
    serde_json::from_str(text).map_err(|error| misread(place, error))
}

impl<'a> Part<'a> {
    /// The whole of a page; `place` is its URL.
    pub(super) fn new(place: &'a str, value: &'a Value) -> Self {
        Self { place, value }
    }

    /// What stands under a key; null is as good as nothing.
    pub(super) fn get(self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Self { value, ..self })
    }

    /// What must stand under a key.
    pub(super) fn part(self, key: &str) -> Result<Self, Trouble> {
        self.get(key).ok_or_else(|| misread(self.place, format!("it has no {key}")))
    }

    /// The list that must stand under a key.
    pub(super) fn list(self, key: &str) -> Result<impl Iterator<Item = Self> + 'a, Trouble> {
        let part = self.part(key)?;
        let list = part.value.as_array().ok_or_else(|| self.strange(key, part.value))?;
        Ok(list.iter().map(move |value| Self { value, ..self }))
    }

    /// A whole number from zero up, if it is there.
    pub(super) fn whole(self, key: &str) -> Result<Option<u64>, Trouble> {
        let Some(part) = self.get(key) else { return Ok(None) };
        part.value.as_u64().map(Some).ok_or_else(|| self.strange(key, part.value))
    }

    /// A number from zero up, if it is there.
    pub(super) fn number(self, key: &str) -> Result<Option<f64>, Trouble> {
        let Some(part) = self.get(key) else { return Ok(None) };
        let number = part.value.as_f64().filter(|number| *number >= 0.0);
        number.map(Some).ok_or_else(|| self.strange(key, part.value))
    }

    /// A whole number from zero up that must be there.
    pub(super) fn some_whole(self, key: &str) -> Result<u64, Trouble> {
        let part = self.part(key)?;
        part.value.as_u64().ok_or_else(|| self.strange(key, part.value))
    }

    /// A number from zero to `most` that must be there.
    pub(super) fn some_number(self, key: &str, most: f64) -> Result<f64, Trouble> {
        let part = self.part(key)?;
        let number = part.value.as_f64().filter(|number| (0.0..=most).contains(number));
        number.ok_or_else(|| self.strange(key, part.value))
    }

    /// Whether a key says true; absent is no.
    pub(super) fn flag(self, key: &str) -> Result<bool, Trouble> {
        let Some(part) = self.get(key) else { return Ok(false) };
        part.value.as_bool().ok_or_else(|| self.strange(key, part.value))
    }

    /// A text that must be there.
    pub(super) fn text(self, key: &str) -> Result<&'a str, Trouble> {
        let part = self.part(key)?;
        part.value.as_str().ok_or_else(|| self.strange(key, part.value))
    }

    /// A name that must be there; some servers number what others name.
    pub(super) fn id(self, key: &str) -> Result<String, Trouble> {
        let part = self.part(key)?;
        match part.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(self.strange(key, other)),
        }
    }

    /// The part itself.
    pub(super) fn value(self) -> &'a Value {
        self.value
    }

    fn strange(self, key: &str, value: &Value) -> Trouble {
        absurd(self.place, key, shortened(&value.to_string()))
    }
}

/// A count of people, checked against the most that any edge can have.
pub(super) fn bounded(place: &str, figure: &str, count: u64) -> Result<u32, Trouble> {
    let fits = u32::try_from(count).ok().filter(|count| *count <= VIEWERS_MAX);
    fits.ok_or_else(|| absurd(place, figure, count))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn codes(value: &Value) -> [Option<String>; 5] {
        let part = Part::new("http://s/p", value);
        [
            part.whole("x").err(),
            part.number("x").err(),
            part.flag("x").err(),
            part.text("x").err(),
            part.id("x").err(),
        ]
        .map(|trouble| trouble.map(|trouble| trouble.code))
    }

    #[test]
    fn a_figure_of_the_wrong_kind_is_told_by_its_name() {
        let absurd = Some("source_absurd".to_owned());
        for strange in [json!([]), json!({"y": 1})] {
            assert_eq!(codes(&json!({ "x": strange })), std::array::from_fn(|_| absurd.clone()));
        }
        let page = json!({"send_bytes": -5, "alive": "12", "name": "x".repeat(9_000)});
        let part = Part::new("http://s/p", &page);
        let trouble = part.whole("send_bytes").expect_err("negative");
        assert_eq!(trouble.text, "http://s/p says send_bytes is -5");
        assert_eq!(part.number("alive").expect_err("a text").code, "source_absurd");
        assert!(part.whole("name").expect_err("a text").text.len() < 100);
        assert!(part.whole("a_fraction").expect("absent").is_none());
    }

    #[test]
    fn what_is_absent_is_unknown_and_what_must_be_there_is_missed() {
        let page = json!({"x": null});
        let part = Part::new("http://s/p", &page);
        assert_eq!(part.whole("x").expect("null is unknown"), None);
        let trouble = part.list("items").err().expect("missing");
        assert_eq!(trouble.code, "source_unreadable");
        assert!(trouble.text.ends_with("it has no items"), "{}", trouble.text);
        assert_eq!(part.text("x").expect_err("null is missing").code, "source_unreadable");
    }

    #[test]
    fn more_people_than_any_edge_has_are_absurd() {
        assert_eq!(bounded("p", "viewers", u64::from(VIEWERS_MAX)), Ok(VIEWERS_MAX));
        for count in [u64::from(VIEWERS_MAX) + 1, u64::MAX] {
            assert_eq!(bounded("p", "viewers", count).expect_err("absurd").code, "source_absurd");
        }
    }
}
