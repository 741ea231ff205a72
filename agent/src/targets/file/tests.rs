use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
};

use tempfile::TempDir;
use tidegate_proto::{
    edge::EdgeId,
    key::{format_edge_key, format_fleet_key},
    seal::FleetKey,
};

use super::*;

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("mode set");
}

fn fleet_key() -> String {
    format_fleet_key(&FleetKey::random()).to_string()
}

/// A targets file whose one line names a key file beside it.
struct Place {
    dir: TempDir,
    key_file: PathBuf,
    file: TargetsFile,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (path, key_file) = (dir.path().join("targets"), dir.path().join("keys"));
        write(&path, &format!("lb,1934,${{file:{}}}\n", key_file.display()), 0o600);
        Self { file: TargetsFile::new(path), dir, key_file }
    }

    fn with_key(text: &str) -> Self {
        let place = Self::new();
        write(&place.key_file, text, 0o600);
        place
    }

    fn read(&mut self) -> Target {
        let mut targets = self.file.read().expect("valid");
        assert!(!self.file.has_changed(), "nothing has changed since");
        targets.pop().expect("one line")
    }

    fn refusal(&mut self) -> String {
        let said = self.file.read().expect_err("refused").to_string();
        assert!(!self.file.has_changed(), "a broken file would be read again and again");
        said
    }

    /// As Kubernetes writes a mounted Secret: a new folder, and one link that is swapped for it.
    fn mount(&self, version: u32, keys: &str) {
        let at = |name: &str| self.dir.path().join(name);
        let folder = format!("..{version}");
        fs::create_dir(at(&folder)).expect("made");
        write(&at(&folder).join("keys"), keys, 0o440);
        symlink(&folder, at("..data_tmp")).expect("linked");
        fs::rename(at("..data_tmp"), at("..data")).expect("swapped");
        if version == 1 {
            symlink("..data/keys", &self.key_file).expect("linked");
        } else {
            fs::remove_dir_all(at(&format!("..{}", version - 1))).expect("removed");
        }
    }
}

#[test]
fn an_unchanged_line_keeps_its_key_and_so_its_session() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("targets");
    let set = |text: &str| write(&path, text, 0o600);
    let key = fleet_key();
    set(&format!("a,1934,{key}\n"));
    let mut file = TargetsFile::new(path.clone());
    let first = file.read().expect("valid");
    assert!(!file.has_changed());

    set(&format!("b,1934,broken\na,1934,{key}\n"));
    assert!(file.has_changed());
    let said = file.read().expect_err("broken").to_string();
    assert!(said.contains("line 1") && !said.contains("broken"), "{said}");
    assert!(!file.has_changed(), "a broken file would be read again and again");

    set("# half written\n");
    let said = file.read().expect_err("empty").to_string();
    assert!(said.contains("names no redirector"), "{said}");

    set(&format!("# moved\nb,1934,{key}\na,1934,{key}\n"));
    let second = file.read().expect("valid");
    assert!(second[1].same_session(&first[0]));
}

#[test]
fn a_missing_file_is_told_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let said = TargetsFile::new(dir.path().join("none")).read().expect_err("missing").to_string();
    assert!(said.contains("none") && said.contains("host,port,key"), "{said}");
}

#[test]
fn a_key_file_is_as_good_as_the_key_on_the_line_whatever_its_form() {
    let (fleet, edge) = (FleetKey::random(), EdgeId::random());
    let issued = format_edge_key(&fleet, edge);
    let mut place =
        Place::with_key(&format!("# made in spring\n\n {} # first\n{}\n", *issued, fleet_key()));
    let key = place.read().key().clone();
    assert_eq!((key.edge(), key.key_id()), (Some(edge), fleet.id()));
    let mut place = Place::with_key("text:023D4FB4IS83\n");
    assert!(crate::targets::is_weak(place.read().key()));
}

#[test]
fn a_swapped_secret_is_noticed_and_an_unchanged_key_keeps_its_session() {
    let mut place = Place::new();
    let (old, new) = (fleet_key(), fleet_key());
    place.mount(1, &format!("{old}\n"));
    let first = place.read();

    place.mount(2, &format!("{old}\n{new}\n"));
    assert!(place.file.has_changed());
    assert!(place.read().same_session(&first), "the first key is the same");

    place.mount(3, &format!("{new}\n{old}\n"));
    assert!(place.file.has_changed());
    let third = place.read();
    assert!(!third.same_session(&first) && third.same_address(&first));

    // Where it is written changes nothing either.
    write(&place.file.path, &format!("lb,1934,{new}\n"), 0o600);
    assert!(place.read().same_session(&third));
    place.mount(4, &old);
    assert!(!place.file.has_changed(), "the file is no longer named");
}

#[test]
fn a_key_file_that_goes_bad_is_told_with_its_place_and_comes_back_to_the_same_session() {
    let good = fleet_key();
    let mut place = Place::with_key(&good);
    let first = place.read();
    for (text, mode, wanted) in [
        ("# nothing\n", 0o600, "there is no key in it"),
        ("\n-----BEGIN PRIVATE KEY-----\n", 0o600, "line 2: a key begins with ehb1:"),
        ("ehb1:short\n", 0o600, "line 1: after the prefix"),
        ("text:short", 0o600, "line 1: a text key needs"),
        (good.as_str(), 0o644, "chmod 600"),
    ] {
        write(&place.key_file, text, mode);
        assert!(place.file.has_changed(), "{text}");
        let said = place.refusal();
        let (targets, keys) = (place.file.path.display(), place.key_file.display());
        assert!(said.starts_with(&format!("targets_file: {targets} line 1: {keys}")), "{said}");
        assert!(said.contains(wanted) && !said.contains("BEGIN"), "{said}");
    }
    fs::remove_file(&place.key_file).expect("removed");
    assert!(place.file.has_changed());
    let said = place.refusal();
    assert!(said.contains("No such file") && said.contains("create it"), "{said}");
    write(&place.key_file, &good, 0o600);
    assert!(place.file.has_changed());
    assert!(place.read().same_session(&first));
}
