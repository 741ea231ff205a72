//! Whether a file may have changed since it was last read, without reading it.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// What changes when a file is written, replaced or gets another mode or owner, or when a link on the
/// way to it leads elsewhere. The time of the last change of those is not in it: a kubelet gives mounted
/// Secrets the owner they have already, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    len: u64,
    modified: (i64, i64),
    mode: u32,
    owner: (u32, u32),
}

impl Stamp {
    /// The stamp of the file that a path leads to; none: it cannot be looked at. Take it before the
    /// file is read, so that a change in between is seen at the next look.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_stamp_changes_with_the_file_and_with_every_link_to_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| dir.path().join(name);
        assert_eq!(Stamp::of(&at("keys")), None);
        for version in ["1", "2"] {
            fs::create_dir(at(version)).expect("a folder");
            fs::write(at(version).join("keys"), "same").expect("a file");
        }
        symlink("1", at("..data")).expect("a link");
        symlink("..data/keys", at("keys")).expect("a link");
        let first = Stamp::of(&at("keys"));
        assert!(first.is_some() && Stamp::of(&at("keys")) == first);
        symlink("2", at("..data_tmp")).expect("a link");
        fs::rename(at("..data_tmp"), at("..data")).expect("the swap of a mounted Secret");
        let second = Stamp::of(&at("keys"));
        assert!(second.is_some() && second != first);
        fs::write(at("2/keys"), "longer").expect("written in place");
        assert_ne!(Stamp::of(&at("keys")), second);
    }

    #[test]
    fn a_stamp_changes_with_the_mode_and_not_when_it_is_set_to_what_it_was() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("keys");
        fs::write(&path, "a key").expect("a file");
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        set(0o440);
        let first = Stamp::of(&path);
        set(0o440);
        assert_eq!(Stamp::of(&path), first);
        set(0o400);
        assert_ne!(Stamp::of(&path), first);
    }
}
