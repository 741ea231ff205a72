//! Reads values one by one, in the order they were written.

use std::ops::Range;

use super::{DEPTH_MAX, marker};
use crate::rtmp::RtmpReject;

/// A value, or one end of an object or array.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A number.
    Number(f64),
    /// A boolean.
    Boolean(bool),
    /// A text, as its bytes.
    Text(&'a [u8]),
    /// Null, undefined or unsupported.
    Nothing,
    /// A reference, date or XML document: no command here needs what it says.
    Skipped,
    /// An object, typed or not, or an array; what is in it follows.
    Begin,
    /// The object or array that began last and has not ended, ends.
    End,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Item<'a> {
    /// What it is called, if it stands in an object.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Value<'a>,
    /// How many objects and arrays it stands in; the ends of one stand where it stands.
    pub depth: usize,
    /// Its bytes in the payload, marker and all, without its key.
    pub span: Range<usize>,
}

/// What a value stands in.
#[derive(Debug, Clone, Copy)]
enum Frame {
    /// Pairs of key and value up to an end mark.
    Object,
    /// This many more values.
    Array(u32),
}

/// Reads a payload. After an error or the end it is not to be asked again.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    frames: [Frame; DEPTH_MAX],
    depth: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of a payload.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, frames: [Frame::Object; DEPTH_MAX], depth: 0 }
    }

    /// The next value; none at the end of the payload.
    ///
    /// # Errors
    /// [`RtmpReject::AmfDepth`], [`RtmpReject::AmfMarker`], or [`RtmpReject::AmfMalformed`] where
    /// the payload ends too early.
    #[expect(clippy::should_implement_trait, reason = "it fails, and ends for good when it does")]
    pub fn next(&mut self) -> Result<Option<Item<'a>>, RtmpReject> {
        let Some(frame) = self.depth.checked_sub(1).map(|top| &mut self.frames[top]) else {
            return if self.at == self.bytes.len() { Ok(None) } else { self.item(None).map(Some) };
        };
        match frame {
            Frame::Array(0) => Ok(Some(self.end(self.at))),
            Frame::Array(left) => {
                *left -= 1;
                self.item(None).map(Some)
            }
            Frame::Object => {
                let began_at = self.at;
                let key = self.short()?;
                if key.is_empty() && self.bytes.get(self.at) == Some(&marker::OBJECT_END) {
                    self.at += 1;
                    return Ok(Some(self.end(began_at)));
                }
                self.item(Some(key)).map(Some)
            }
        }
    }

    fn end(&mut self, began_at: usize) -> Item<'a> {
        self.depth -= 1;
        Item { key: None, value: Value::End, depth: self.depth, span: began_at..self.at }
    }

    fn item(&mut self, key: Option<&'a [u8]>) -> Result<Item<'a>, RtmpReject> {
        let (began_at, depth) = (self.at, self.depth);
        let value = self.value()?;
        Ok(Item { key, value, depth, span: began_at..self.at })
    }

    fn value(&mut self) -> Result<Value<'a>, RtmpReject> {
        let [marker] = self.array()?;
        Ok(match marker {
            marker::NUMBER => Value::Number(f64::from_be_bytes(self.array()?)),
            marker::BOOLEAN => Value::Boolean(self.array::<1>()? != [0]),
            marker::STRING => Value::Text(self.short()?),
            marker::LONG_STRING => Value::Text(self.long()?),
            marker::NULL | marker::UNDEFINED | marker::UNSUPPORTED => Value::Nothing,
            marker::REFERENCE => self.take(2).map(|_| Value::Skipped)?,
            // Milliseconds as a number, then a time zone of two bytes.
            marker::DATE => self.take(10).map(|_| Value::Skipped)?,
            marker::XML => self.long().map(|_| Value::Skipped)?,
            marker::OBJECT => self.begin(Frame::Object)?,
            marker::TYPED_OBJECT => {
                self.short()?;
                self.begin(Frame::Object)?
            }
            marker::ECMA_ARRAY => {
                // The count is a hint; the end mark decides.
                self.take(4)?;
                self.begin(Frame::Object)?
            }
            marker::STRICT_ARRAY => {
                let count = u32::from_be_bytes(self.array()?);
                self.begin(Frame::Array(count))?
            }
            _ => return Err(RtmpReject::AmfMarker),
        })
    }

    fn begin(&mut self, frame: Frame) -> Result<Value<'a>, RtmpReject> {
        *self.frames.get_mut(self.depth).ok_or(RtmpReject::AmfDepth)? = frame;
        self.depth += 1;
        Ok(Value::Begin)
    }

    fn short(&mut self) -> Result<&'a [u8], RtmpReject> {
        let len = u16::from_be_bytes(self.array()?);
        self.take(len.into())
    }

    fn long(&mut self) -> Result<&'a [u8], RtmpReject> {
        let len = u32::from_be_bytes(self.array()?);
        self.take(usize::try_from(len).map_err(|_| RtmpReject::AmfMalformed)?)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RtmpReject> {
        self.take(N)?.try_into().map_err(|_| RtmpReject::AmfMalformed)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], RtmpReject> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..len).ok_or(RtmpReject::AmfMalformed)?;
        self.at += len;
        Ok(taken)
    }
}
