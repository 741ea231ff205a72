//! Which of the files that the configuration names have changed, by their stamps alone.

use std::path::PathBuf;

use tidegate_proto::stamp::Stamp;

use crate::config::Config;

/// What is read again as one, since its files belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The fleet's keys.
    Keys,
    /// The clients' certificate and its key.
    ClientTls,
    /// Where addresses are.
    GeoIp,
    /// The tokens of the admin API.
    Tokens,
    /// The certificate of the admin API, its key, and the CA of operators.
    AdminTls,
}

/// The files of every part, and their stamps when they were last looked at.
#[derive(Debug)]
pub(super) struct Followed(Vec<Group>);

#[derive(Debug)]
struct Group {
    part: Part,
    files: Vec<PathBuf>,
    stamps: Vec<Option<Stamp>>,
}

impl Followed {
    /// The files as they are now; a change from now on is one.
    pub(super) fn of(config: &Config) -> Self {
        let (client, admin) = (&config.client, &config.admin);
        let groups = [
            (Part::Keys, vec![&config.heartbeat.keys_file]),
            (Part::ClientTls, vec![&client.tls_cert, &client.tls_key]),
            (Part::GeoIp, vec![&config.selection.geoip_file]),
            (Part::Tokens, vec![&admin.tokens_file]),
            (Part::AdminTls, vec![&admin.tls_cert, &admin.tls_key, &admin.client_ca]),
        ];
        let groups = groups.into_iter().map(|(part, names)| Group::of(part, names));
        Self(groups.filter(|group| !group.files.is_empty()).collect())
    }

    /// The parts of which a file has changed since the last look.
    pub(super) fn changed(&mut self) -> Vec<Part> {
        self.0.iter_mut().filter_map(|group| group.look().then_some(group.part)).collect()
    }

    /// Every part that has files; what they are now counts as looked at.
    pub(super) fn all(&mut self) -> Vec<Part> {
        self.changed();
        self.0.iter().map(|group| group.part).collect()
    }
}

impl Group {
    fn of(part: Part, names: Vec<&String>) -> Self {
        let named = names.into_iter().filter(|name| !name.is_empty());
        let mut group =
            Self { part, files: named.map(PathBuf::from).collect(), stamps: Vec::new() };
        group.look();
        group
    }

    /// Whether a file differs from what it was at the last look.
    fn look(&mut self) -> bool {
        let stamps: Vec<_> = self.files.iter().map(|file| Stamp::of(file)).collect();
        let differs = stamps != self.stamps;
        self.stamps = stamps;
        differs
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::*;

    /// A folder as Kubernetes mounts a Secret: each file is a link into `..data`, which is a link to
    /// the folder of a version.
    fn mount(folder: &Path, names: &[&str]) {
        swap(folder, "..1", names);
        for name in names {
            symlink(Path::new("..data").join(name), folder.join(name)).expect("a link");
        }
    }

    fn swap(folder: &Path, version: &str, names: &[&str]) {
        fs::create_dir(folder.join(version)).expect("a folder");
        for name in names {
            fs::write(folder.join(version).join(name), version).expect("written");
        }
        symlink(version, folder.join("..data_tmp")).expect("a link");
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("swapped");
    }

    fn in_folders(folders: [&Path; 3]) -> Config {
        let [keys, clients, admin] = folders;
        let at = |folder: &Path, name: &str| folder.join(name).display().to_string();
        let mut config = Config::default();
        config.heartbeat.keys_file = at(keys, "keys");
        (config.client.tls_cert, config.client.tls_key) = (at(clients, "crt"), at(clients, "key"));
        config.admin.tokens_file = at(admin, "tokens");
        (config.admin.tls_cert, config.admin.tls_key) = (at(admin, "crt"), at(admin, "key"));
        config
    }

    #[test]
    fn the_swap_of_a_mounted_secret_changes_its_parts_and_no_others_once() {
        let dirs: [_; 3] = std::array::from_fn(|_| tempfile::tempdir().expect("a folder"));
        let [keys, clients, admin] = std::array::from_fn(|n: usize| dirs[n].path());
        mount(keys, &["keys"]);
        mount(clients, &["crt", "key"]);
        mount(admin, &["crt", "key", "tokens"]);
        let mut followed = Followed::of(&in_folders([keys, clients, admin]));
        assert_eq!(followed.changed(), []);
        swap(clients, "..2", &["crt", "key"]);
        assert_eq!(followed.changed(), [Part::ClientTls]);
        assert_eq!(followed.changed(), []);
        swap(keys, "..2", &["keys"]);
        swap(admin, "..2", &["crt", "key", "tokens"]);
        assert_eq!(followed.changed(), [Part::Keys, Part::Tokens, Part::AdminTls]);
        fs::remove_dir_all(keys.join("..2")).expect("gone");
        assert_eq!(followed.changed(), [Part::Keys], "a file that went away has changed");
        assert_eq!(followed.changed(), []);
    }

    #[test]
    fn all_are_those_that_are_configured_and_are_looked_at() {
        let dir = tempfile::tempdir().expect("a folder");
        mount(dir.path(), &["crt", "key", "keys", "tokens"]);
        let mut config = in_folders([dir.path(); 3]);
        config.client = Config::default().client;
        let mut followed = Followed::of(&config);
        swap(dir.path(), "..2", &["crt", "key", "keys", "tokens"]);
        assert_eq!(followed.all(), [Part::Keys, Part::Tokens, Part::AdminTls]);
        assert_eq!(followed.changed(), []);
    }
}
