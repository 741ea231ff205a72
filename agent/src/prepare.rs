//! `prepare-state`: makes the state folder the agent's own before the agent, who is nobody special,
//! runs. It is run as root, again and again, in a folder that somebody else may write, so it follows
//! no link and touches nothing but the folder and the edge's UUID.

use std::{
    fs::File,
    io::{self, Read},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Arg, ArgMatches, Command};
use rustix::{
    fs::{
        CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, fchmod, fchown, fstat, mkdirat, openat,
    },
    io::Errno,
};
use tidegate_proto::{
    edge::EdgeId,
    program::Failure,
    settings::{self, Setting},
};

use crate::{
    config::{Config, ENVIRONMENT_PREFIX, SETTINGS},
    identity::{FILE_NAME, IdentityError},
};

const WORD: &str = "prepare-state";
const STATE_DIR: &str = "state_dir";
/// A UUID, a line's end, and room to see that there is more.
const ID_LEN_MAX: u64 = 64;

/// Who is to own the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    uid: Uid,
    /// `None`: the group stays.
    gid: Option<Gid>,
}

impl FromStr for Owner {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The highest number means "nobody" to the system.
        let number = |text: &str| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            let number = digits.then(|| text.parse().ok()).flatten();
            number.filter(|n| *n != u32::MAX).ok_or("wanted is UID or UID:GID, as numbers")
        };
        let (uid, gid) = text.split_once(':').map_or((text, None), |(uid, gid)| (uid, Some(gid)));
        let gid = gid.map(number).transpose()?;
        Ok(Self { uid: Uid::from_raw(number(uid)?), gid: gid.map(Gid::from_raw) })
    }
}

impl Owner {
    fn has(self, stat: &Stat) -> bool {
        self.uid.as_raw() == stat.st_uid && self.gid.is_none_or(|gid| gid.as_raw() == stat.st_gid)
    }
}

/// Why a state folder was not prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The system refused.
    #[error("cannot {deed} {path}: {why}{way_out}", path = path.display(), way_out = way_out(*why))]
    System {
        /// What was tried.
        deed: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        why: Errno,
    },
    /// The file of the edge's UUID holds something else.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Something there is not what it should be.
    #[error("{path} {fault}", path = path.display())]
    Odd {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong with it, and the way out.
        fault: &'static str,
    },
}

fn way_out(why: Errno) -> &'static str {
    match why {
        Errno::PERM | Errno::ACCESS => {
            "; run this as root (in a container: with CHOWN, DAC_OVERRIDE and, for a folder that is \
             neither root's nor 0700, FOWNER)"
        }
        Errno::LOOP | Errno::NOTDIR => {
            "; a symbolic link is not followed: name the folder itself, and remove what is no folder \
             or file"
        }
        Errno::NOENT => "; create the folder above it first",
        _ => "",
    }
}

/// The command.
#[must_use]
pub fn command() -> Command {
    let owner = Arg::new("owner")
        .long("owner")
        .value_name("UID[:GID]")
        .required(true)
        .value_parser(Owner::from_str)
        .help("The user, and the group if that is to change, whom the folder is given to");
    let about = "Create the state folder (mode 0700), give it and the edge's UUID to a user, and exit; \
                 run as root before an agent that is not";
    let command = Command::new(WORD).about(about).arg(owner);
    settings::add_flags(command, ENVIRONMENT_PREFIX, &state_dir(), &Config::default())
}

fn state_dir() -> Vec<Setting> {
    SETTINGS.iter().copied().filter(|setting| setting.path == STATE_DIR).collect()
}

/// The command's own arguments, if it is what the command line asks for.
#[must_use]
pub fn asked(matches: &ArgMatches) -> Option<&ArgMatches> {
    matches.subcommand_matches(WORD)
}

/// Prepares the folder; what to print.
pub fn obey(matches: &ArgMatches) -> Result<String, Failure> {
    let config: Config =
        settings::load(None, matches, &state_dir()).map_err(Failure::configuration)?;
    let owner = *matches.get_one::<Owner>("owner").expect("clap refuses to go on without it");
    let dir = checked(&config.state_dir).map_err(Failure::Configuration)?;
    prepare(&dir, owner).map_err(Failure::start_up)?;
    Ok(format!("{} belongs to user {}", dir.display(), owner.uid.as_raw()))
}

/// Without a slash at its end, which would follow a link.
fn checked(dir: &Path) -> Result<PathBuf, String> {
    let plain: PathBuf = dir.components().collect();
    match plain.file_name() {
        Some(_) if plain.is_absolute() => Ok(plain),
        _ => Err(format!(
            "{STATE_DIR}: {:?} is not the absolute path of a folder of the agent's own such as \
             /var/lib/tidegate-agent",
            dir.display().to_string()
        )),
    }
}

/// Creates `dir` for its owner alone when it is absent, and gives it and the edge's UUID to `owner`.
/// What is right already is not touched.
pub fn prepare(dir: &Path, owner: Owner) -> Result<(), PrepareError> {
    let failed = |deed| move |why| PrepareError::System { deed, path: dir.to_owned(), why };
    match mkdirat(CWD, dir, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(why) => return Err(failed("create")(why)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(CWD, dir, flags, Mode::empty()).map_err(failed("open"))?;
    let stat = fstat(&folder).map_err(failed("look at"))?;
    let is_closed = Mode::from_raw_mode(stat.st_mode) == Mode::RWXU;
    if stat.st_uid != owner.uid.as_raw() || !is_closed {
        refuse_what_is_in_use(&folder, dir)?;
    }
    give_identity(&folder, dir, owner)?;
    // Before it is given away: later it takes a further capability.
    if !is_closed {
        fchmod(&folder, Mode::RWXU).map_err(failed("change the mode of"))?;
    }
    if !owner.has(&stat) {
        fchown(&folder, Some(owner.uid), owner.gid).map_err(failed("change the owner of"))?;
    }
    Ok(())
}

/// A slip of the pen must not give away, or close to all others, a folder that serves something else.
fn refuse_what_is_in_use(folder: &OwnedFd, dir: &Path) -> Result<(), PrepareError> {
    let failed = |why| PrepareError::System { deed: "list", path: dir.to_owned(), why };
    for entry in Dir::read_from(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." && !name.starts_with(FILE_NAME.as_bytes()) {
            return Err(PrepareError::Odd {
                path: dir.join(std::ffi::OsStr::from_bytes(name)),
                fault: "is not the agent's, so its folder is left as it is; name a folder of the \
                        agent's own, or remove it",
            });
        }
    }
    Ok(())
}

/// Gives the file with the edge's UUID to `owner`, if there is one. Its content is looked at too: a
/// hard link whose other name has just been removed is nothing but its content.
fn give_identity(folder: &OwnedFd, dir: &Path, owner: Owner) -> Result<(), PrepareError> {
    let path = dir.join(FILE_NAME);
    let failed = |deed| {
        let path = path.clone();
        move |why| PrepareError::System { deed, path, why }
    };
    let odd = |fault| Err(PrepareError::Odd { path: path.clone(), fault });
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(folder, FILE_NAME, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(()),
        Err(why) => return Err(failed("open")(why)),
    };
    let stat = fstat(&file).map_err(failed("look at"))?;
    if owner.has(&stat) {
        return Ok(());
    }
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return odd("is not a regular file; remove it, and the edge gets a new UUID");
    }
    if stat.st_nlink != 1 {
        return odd("has another name too (a hard link); remove it, and the edge gets a new UUID");
    }
    let file = File::from(file);
    if !holds_a_uuid(&file).unwrap_or(false) {
        return Err(IdentityError::NotAUuid { path }.into());
    }
    fchown(&file, Some(owner.uid), owner.gid).map_err(failed("change the owner of"))
}

fn holds_a_uuid(file: &File) -> io::Result<bool> {
    let mut text = String::new();
    file.take(ID_LEN_MAX).read_to_string(&mut text)?;
    Ok(text.trim().parse::<EdgeId>().is_ok())
}

#[cfg(test)]
mod tests;
