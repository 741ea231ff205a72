//! AMF0 (Adobe, "Action Message Format -- AMF 0"): the values that commands are made of.

/// One value. Objects keep the order of their properties.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Marker 0x00.
    Number(f64),
    /// Marker 0x01.
    Boolean(bool),
    /// Marker 0x02, or 0x0C if it is long.
    String(String),
    /// Marker 0x03.
    Object(Vec<(String, Value)>),
    /// Marker 0x05.
    Null,
    /// Marker 0x06.
    Undefined,
    /// Marker 0x08.
    EcmaArray(Vec<(String, Value)>),
    /// Marker 0x0A.
    StrictArray(Vec<Value>),
}

/// The deepest nesting that is read.
const DEPTH_MAX: usize = 16;

impl Value {
    /// A string.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::String(text.to_owned())
    }

    /// An object of these properties.
    #[must_use]
    pub fn object<const N: usize>(properties: [(&str, Value); N]) -> Self {
        Self::Object(properties.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// A property of an object (marker 0x03 only).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Self::Object(properties) = self else { return None };
        properties.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The number.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// Appends the encoded value.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                out.push(0x00);
                out.extend(number.to_be_bytes());
            }
            Self::Boolean(truth) => out.extend([0x01, u8::from(*truth)]),
            Self::String(text) => write_text(text, out),
            Self::Object(properties) => {
                out.push(0x03);
                write_properties(properties, out);
            }
            Self::Null => out.push(0x05),
            Self::Undefined => out.push(0x06),
            Self::EcmaArray(properties) => {
                out.push(0x08);
                out.extend(len32(properties.len()));
                write_properties(properties, out);
            }
            Self::StrictArray(values) => {
                out.push(0x0a);
                out.extend(len32(values.len()));
                values.iter().for_each(|value| value.write(out));
            }
        }
    }
}

/// The encoded values, one after another.
#[must_use]
pub fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| value.write(&mut out));
    out
}

/// Every value in a message; an error says what was wrong and where.
pub fn decode(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let mut reader = Reader { bytes, at: 0 };
    let mut values = Vec::new();
    while reader.at < bytes.len() {
        values.push(reader.value(0)?);
    }
    Ok(values)
}

fn len32(len: usize) -> [u8; 4] {
    u32::try_from(len).expect("a test writes nothing that long").to_be_bytes()
}

fn len16(len: usize) -> [u8; 2] {
    u16::try_from(len).expect("a short name").to_be_bytes()
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    if text.len() <= usize::from(u16::MAX) {
        out.push(0x02);
        out.extend(len16(text.len()));
    } else {
        out.push(0x0c);
        out.extend(len32(text.len()));
    }
    out.extend(text.as_bytes());
}

fn write_properties(properties: &[(String, Value)], out: &mut Vec<u8>) {
    for (name, value) in properties {
        out.extend(len16(name.len()));
        out.extend(name.as_bytes());
        value.write(out);
    }
    out.extend([0, 0, 9]);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let cut = || format!("{len} bytes wanted at {} of {}", self.at, self.bytes.len());
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..len)).ok_or_else(cut)?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self.take(N)?.try_into().expect("just that many were taken"))
    }

    fn text(&mut self, len: usize) -> Result<String, String> {
        String::from_utf8(self.take(len)?.to_vec()).map_err(|error| error.to_string())
    }

    fn short_text(&mut self) -> Result<String, String> {
        let len = u16::from_be_bytes(self.array()?);
        self.text(usize::from(len))
    }

    fn len(&mut self) -> Result<usize, String> {
        usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|error| error.to_string())
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
        let [marker] = self.array()?;
        Ok(match marker {
            0x00 => Value::Number(f64::from_be_bytes(self.array()?)),
            0x01 => Value::Boolean(self.array::<1>()? != [0]),
            0x02 => Value::String(self.short_text()?),
            0x03 => Value::Object(self.properties(depth)?),
            0x05 => Value::Null,
            0x06 => Value::Undefined,
            0x08 => {
                // The count is a hint only; the end marker ends it.
                let _ = self.len()?;
                Value::EcmaArray(self.properties(depth)?)
            }
            0x0a => {
                let count = self.len()?;
                Value::StrictArray(
                    (0..count).map(|_| self.value(depth + 1)).collect::<Result<_, _>>()?,
                )
            }
            0x0c => {
                let len = self.len()?;
                Value::String(self.text(len)?)
            }
            other => return Err(format!("marker {other:#04x} at {}", self.at - 1)),
        })
    }

    fn properties(&mut self, depth: usize) -> Result<Vec<(String, Value)>, String> {
        let mut properties = Vec::new();
        loop {
            let name = self.short_text()?;
            if name.is_empty() && self.bytes.get(self.at) == Some(&0x09) {
                self.at += 1;
                return Ok(properties);
            }
            properties.push((name, self.value(depth + 1)?));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let values = vec![
            Value::text("_error"),
            Value::Number(1.0),
            Value::Null,
            Value::object([
                ("code", Value::text("NetConnection.Connect.Rejected")),
                ("ex", Value::object([("code", Value::Number(302.0))])),
                ("list", Value::StrictArray(vec![Value::Boolean(true), Value::Undefined])),
                ("map", Value::EcmaArray(vec![("a".into(), Value::Number(-0.5))])),
                ("long", Value::String("x".repeat(70_000))),
            ]),
        ];
        assert_eq!(decode(&encode(&values)), Ok(values));
    }

    #[test]
    fn what_is_cut_short_or_unknown_is_an_error() {
        let whole = encode(&[Value::object([("a", Value::text("b"))])]);
        for len in 1..whole.len() {
            assert!(decode(&whole[..len]).is_err(), "{len} of {} bytes", whole.len());
        }
        assert!(decode(&[0x11]).is_err());
        assert!(decode(&[0x0a, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
