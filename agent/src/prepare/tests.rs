use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
};

use rustix::process::{getegid, geteuid};
use tempfile::TempDir;

use super::*;

/// A number that nobody here has.
const STRANGER: u32 = 65_532;

/// A folder with a state folder in it, which is not there yet.
struct Place {
    parent: TempDir,
    state: PathBuf,
}

impl Place {
    fn new() -> Self {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let state = parent.path().join("state");
        Self { parent, state }
    }

    fn with_identity() -> (Self, PathBuf) {
        let place = Self::new();
        fs::create_dir(&place.state).expect("made");
        let file = place.state.join(FILE_NAME);
        fs::write(&file, format!("{}\n", EdgeId::random())).expect("written");
        (place, file)
    }
}

fn myself() -> Owner {
    Owner { uid: geteuid(), gid: Some(getegid()) }
}

fn stranger() -> Owner {
    Owner { uid: Uid::from_raw(STRANGER), gid: Some(Gid::from_raw(STRANGER)) }
}

fn is_root() -> bool {
    geteuid().is_root()
}

fn owner_of(path: &Path) -> (u32, u32) {
    let metadata = fs::symlink_metadata(path).expect("there");
    (metadata.uid(), metadata.gid())
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).expect("there").mode() & 0o7777
}

fn refused(dir: &Path, owner: Owner) -> String {
    prepare(dir, owner).expect_err("refused").to_string()
}

#[test]
fn owners_are_numbers() {
    let (uid, gid) = (Uid::from_raw(65_532), Gid::from_raw(7));
    assert_eq!("65532".parse(), Ok(Owner { uid, gid: None }));
    assert_eq!("65532:7".parse(), Ok(Owner { uid, gid: Some(gid) }));
    for wrong in ["", ":", "1:", ":1", "+1", "root", "-1", "1:2:3", "4294967295", "1:4294967296"] {
        assert!(wrong.parse::<Owner>().is_err(), "{wrong}");
    }
}

#[test]
fn only_a_folder_of_its_own_can_be_meant() {
    let plain = |text: &str| checked(Path::new(text));
    assert_eq!(plain("/var/lib/tidegate-agent//"), Ok("/var/lib/tidegate-agent".into()));
    for wrong in ["", "/", "state", "/var/..", "."] {
        assert!(plain(wrong).is_err_and(|why| why.contains("state_dir")), "{wrong}");
    }
}

#[test]
fn an_absent_folder_is_made_for_its_owner_alone_and_a_second_run_changes_nothing() {
    let place = Place::new();
    for _ in 0..2 {
        prepare(&place.state, myself()).expect("one's own folder needs no root");
        assert_eq!(mode_of(&place.state), 0o700);
    }
    fs::set_permissions(&place.state, Permissions::from_mode(0o755)).expect("mode set");
    prepare(&place.state, myself()).expect("prepared");
    assert_eq!(mode_of(&place.state), 0o700);
}

#[test]
fn the_folder_and_the_uuid_are_given_away_or_the_way_out_is_told() {
    let (place, file) = Place::with_identity();
    if !is_root() {
        let said = refused(&place.state, stranger());
        assert!(said.contains("run this as root"), "{said}");
        return;
    }
    for _ in 0..2 {
        prepare(&place.state, stranger()).expect("root may");
        assert_eq!(owner_of(&place.state), (STRANGER, STRANGER));
        assert_eq!(owner_of(&file), (STRANGER, STRANGER));
    }
    // What its owner puts there later is no concern of ours.
    let other = place.state.join("notes");
    fs::write(&other, "").expect("written");
    prepare(&place.state, stranger()).expect("prepared again");
    assert_ne!(owner_of(&other).0, STRANGER);
}

#[test]
fn a_folder_in_use_by_something_else_is_neither_given_away_nor_closed() {
    let (place, _) = Place::with_identity();
    fs::set_permissions(&place.state, Permissions::from_mode(0o755)).expect("mode set");
    fs::write(place.state.join("passwd"), "").expect("written");
    let before = owner_of(&place.state);
    for owner in [stranger(), myself()] {
        let said = refused(&place.state, owner);
        assert!(said.contains("passwd"), "{said}");
        assert_eq!((owner_of(&place.state), mode_of(&place.state)), (before, 0o755));
    }
}

#[test]
fn links_are_never_followed() {
    let (place, file) = Place::with_identity();
    let link = place.parent.path().join("link");
    symlink(&place.state, &link).expect("linked");
    let said = refused(&link, stranger());
    assert!(said.contains("symbolic link"), "{said}");

    let precious = place.parent.path().join("precious");
    fs::rename(&file, &precious).expect("moved");
    let before = owner_of(&precious);
    symlink(&precious, &file).expect("linked");
    let said = refused(&place.state, stranger());
    assert!(said.contains(FILE_NAME) && said.contains("symbolic link"), "{said}");

    fs::remove_file(&file).expect("removed");
    fs::hard_link(&precious, &file).expect("linked");
    let said = refused(&place.state, stranger());
    assert!(said.contains("hard link"), "{said}");
    assert_eq!(owner_of(&precious), before);
}

#[test]
fn a_file_that_holds_anything_but_a_uuid_is_not_given_away() {
    let (place, file) = Place::with_identity();
    let before = owner_of(&file);
    for text in ["", "root:x:0:0", &format!("{}\nroot", EdgeId::random()), &"9".repeat(1_000)] {
        fs::write(&file, text).expect("written");
        let said = refused(&place.state, stranger());
        assert!(said.contains("UUID"), "{said}");
    }
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("made");
    assert!(refused(&place.state, stranger()).contains("regular file"));
    assert_eq!(owner_of(&file), before);
}

#[test]
fn a_link_planted_by_the_owner_gives_nothing_away_on_a_later_run() {
    if !is_root() {
        return;
    }
    let (place, file) = Place::with_identity();
    prepare(&place.state, stranger()).expect("root may");
    let precious = place.parent.path().join("precious");
    fs::write(&precious, format!("{}\n", EdgeId::random())).expect("written");
    fs::remove_file(&file).expect("removed");
    symlink(&precious, &file).expect("linked");
    refused(&place.state, stranger());
    assert_ne!(owner_of(&precious).0, STRANGER);
    // Nothing but a file of its own is put right.
    fs::rename(&precious, &file).expect("moved");
    chown(&file, Some(0), Some(0)).expect("root may");
    prepare(&place.state, stranger()).expect("prepared");
    assert_eq!(owner_of(&file), (STRANGER, STRANGER));
}
