//! `admin.snapshot`: every standing order in one small file of its own, beside the trees.
//!
//! It is replaced as a whole by rename and carries its own checksum, so it is either the state of
//! one revision or unreadable, and it survives whatever befalls the trees.
//!
//! Layout: `TGADMIN1`, a tagged message, CRC32 (IEEE, big-endian) of everything before it.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use prost::Message;

use super::{
    OrderRow,
    folder::sync_directory,
    record::{Record, Undecodable},
};

/// The file's name in the data directory.
pub(super) const FILE: &str = "admin.snapshot";
const MAGIC: &[u8; 8] = b"TGADMIN1";
const CRC_LEN: usize = 4;

/// Every standing order at one revision.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Standing {
    pub revision: u64,
    pub orders: Vec<OrderRow>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Contents {
    #[prost(uint64, tag = "1")]
    revision: u64,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// Replaces the file; it is durable, power loss included, on return.
pub(super) fn write<'a>(
    dir: &Path,
    revision: u64,
    orders: impl Iterator<Item = &'a OrderRow>,
) -> io::Result<()> {
    let being_written = dir.join(format!("{FILE}.tmp"));
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&being_written)?;
    file.write_all(&encode(revision, orders))?;
    file.sync_all()?;
    fs::rename(&being_written, dir.join(FILE))?;
    sync_directory(dir)
}

/// Reads the file. Damage is set aside and told in `notes`, and reads as absent.
pub(super) fn read(dir: &Path, notes: &mut Vec<String>) -> Option<Standing> {
    let path = dir.join(FILE);
    let why = match fs::read(&path) {
        Ok(bytes) => match decode(&bytes) {
            Ok(standing) => return Some(standing),
            Err(damage) => damage.to_string(),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => error.to_string(),
    };
    let aside = dir.join(format!("{FILE}.damaged"));
    let kept = match fs::copy(&path, &aside) {
        Ok(_) => format!("a copy is kept as {}", aside.display()),
        Err(error) => format!("it could not be copied to {}: {error}", aside.display()),
    };
    notes.push(format!("{} cannot be read ({why}) and is written anew; {kept}", path.display()));
    None
}

fn encode<'a>(revision: u64, orders: impl Iterator<Item = &'a OrderRow>) -> Vec<u8> {
    let entry = |row: &OrderRow| Entry { key: row.id.0.to_vec(), value: row.encode() };
    let contents = Contents { revision, entries: orders.map(entry).collect() };
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&contents.encode_to_vec());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

/// What is wrong with the file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Damage {
    #[error("it is cut short")]
    Short,
    #[error("it is not a snapshot of this version")]
    Stranger,
    #[error("its checksum does not match")]
    Checksum,
    #[error("its contents cannot be read: {0}")]
    Contents(#[from] prost::DecodeError),
    #[error("a row cannot be read: {0}")]
    Row(#[from] Undecodable),
}

fn decode(bytes: &[u8]) -> Result<Standing, Damage> {
    let (signed, crc) = bytes.split_last_chunk::<CRC_LEN>().ok_or(Damage::Short)?;
    let body = signed.strip_prefix(MAGIC).ok_or(Damage::Stranger)?;
    if crc32fast::hash(signed) != u32::from_be_bytes(*crc) {
        return Err(Damage::Checksum);
    }
    let contents = Contents::decode(body)?;
    let rows = contents.entries.iter().map(|entry| OrderRow::decode(&entry.key, &entry.value));
    Ok(Standing { revision: contents.revision, orders: rows.collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::tests::drain;

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let orders = [drain(1, 4), drain(2, 9)];
        write(dir.path(), 9, orders.iter()).expect("the file is written");
        let mut notes = Vec::new();
        let standing = read(dir.path(), &mut notes);
        assert_eq!(standing, Some(Standing { revision: 9, orders: orders.to_vec() }));
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn a_damaged_file_reads_as_absent_and_is_kept_aside() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut bytes = encode(3, [drain(1, 3)].iter());
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(dir.path().join(FILE), &bytes).expect("the file is written");
        let mut notes = Vec::new();
        assert_eq!(read(dir.path(), &mut notes), None);
        assert_eq!(notes.len(), 1);
        let kept = fs::read(dir.path().join("admin.snapshot.damaged")).expect("a copy is kept");
        assert_eq!(kept, bytes);
    }

    proptest! {
        #[test]
        fn any_single_changed_byte_is_noticed(at in 0_usize..1_000, flip in 1_u8..) {
            let mut bytes = encode(3, [drain(1, 3), drain(2, 2)].iter());
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn arbitrary_bytes_are_refused_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
