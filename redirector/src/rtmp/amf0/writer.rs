//! Writes values one by one.

use super::marker;

/// A payload under way. Whoever begins an object ends it.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Adds a number.
    #[must_use]
    pub fn number(mut self, number: f64) -> Self {
        self.bytes.push(marker::NUMBER);
        self.bytes.extend(number.to_be_bytes());
        self
    }

    /// Adds a boolean.
    #[must_use]
    pub fn boolean(mut self, boolean: bool) -> Self {
        self.bytes.extend([marker::BOOLEAN, boolean.into()]);
        self
    }

    /// Adds a text. What is over 4 GiB is left out.
    #[must_use]
    pub fn text(mut self, text: &[u8]) -> Self {
        if let Ok(len) = u16::try_from(text.len()) {
            self.bytes.push(marker::STRING);
            self.bytes.extend(len.to_be_bytes());
            self.bytes.extend(text);
        } else {
            let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
            self.bytes.push(marker::LONG_STRING);
            self.bytes.extend(len.to_be_bytes());
            self.bytes.extend(text.iter().take(len as usize));
        }
        self
    }

    /// Adds a null.
    #[must_use]
    pub fn null(mut self) -> Self {
        self.bytes.push(marker::NULL);
        self
    }

    /// Begins an object.
    #[must_use]
    pub fn begin(mut self) -> Self {
        self.bytes.push(marker::OBJECT);
        self
    }

    /// Names the value that follows, which stands in an object. Only the first 64 KiB of a name
    /// are written.
    #[must_use]
    pub fn key(mut self, key: &[u8]) -> Self {
        let len = u16::try_from(key.len()).unwrap_or(u16::MAX);
        self.bytes.extend(len.to_be_bytes());
        self.bytes.extend(&key[..len.into()]);
        self
    }

    /// Adds a text under a name.
    #[must_use]
    pub fn pair(self, key: &str, text: &str) -> Self {
        self.key(key.as_bytes()).text(text.as_bytes())
    }

    /// Ends the object that began last.
    #[must_use]
    pub fn end(mut self) -> Self {
        self.bytes.extend([0, 0, marker::OBJECT_END]);
        self
    }

    /// Begins an array of exactly `count` values, which ends by itself.
    #[must_use]
    pub fn array(mut self, count: u32) -> Self {
        self.bytes.push(marker::STRICT_ARRAY);
        self.bytes.extend(count.to_be_bytes());
        self
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
