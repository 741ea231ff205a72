//! AMF0, the values commands are made of (Adobe's AMF 0 specification).
//!
//! The reader walks a payload without a value ever being built: it neither recurses nor allocates,
//! and a count that a payload announces is only ever counted down. It knows no command.

mod reader;
mod writer;

pub use self::{
    reader::{Item, Reader, Value},
    writer::Writer,
};

/// How deep objects and arrays may stand in each other.
pub const DEPTH_MAX: usize = 8;

/// The first byte of a value says what it is.
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0A;
    pub(super) const DATE: u8 = 0x0B;
    pub(super) const LONG_STRING: u8 = 0x0C;
    pub(super) const UNSUPPORTED: u8 = 0x0D;
    pub(super) const XML: u8 = 0x0F;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
}

#[cfg(test)]
mod tests;
