//! What a network interface can carry, as Linux tells it.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tidegate_proto::heartbeat::BANDWIDTH_BPS_MAX;

use crate::{
    sender::local_address_towards,
    variables::interface::{holder_of, is_name},
};

/// Where Linux has a folder for each interface
/// (<https://docs.kernel.org/admin-guide/abi-testing.html>, `/sys/class/net/<iface>/speed`).
const INTERFACES: &str = "/sys/class/net";

const BITS_PER_MEGABIT: u64 = 1_000_000;

/// The interface whose speed is the edge's capacity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// `None`: the one that reaches the first target.
    name: Option<String>,
    interfaces: PathBuf,
}

/// Why the speed is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownSpeed {
    /// For `auto`: no address of the first target yet, or no way there.
    #[error("capacity.link: the interface that reaches the first target is not known; name it")]
    NoInterface,
    /// The interface is not there, is down, or does not say.
    #[error(
        "capacity.link: {interface} does not tell its speed ({why}), as is usual for virtual ones; \
         set capacity.bandwidth_bps"
    )]
    Untold {
        /// Which one.
        interface: String,
        /// What the system said.
        why: String,
    },
}

impl Link {
    /// The interface of this name, or `auto`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = match text {
            "auto" => None,
            name => Some(is_name(name).then(|| name.to_owned())?),
        };
        Some(Self { name, interfaces: INTERFACES.into() })
    }

    /// The same, its speed read below another folder than the system's.
    #[must_use]
    pub fn told_in(self, interfaces: impl Into<PathBuf>) -> Self {
        Self { interfaces: interfaces.into(), ..self }
    }

    /// Its speed in bits per second. `first_target` is asked for only where the link is `auto`.
    pub fn speed_bps(
        &self,
        first_target: impl FnOnce() -> Option<SocketAddr>,
    ) -> Result<u64, UnknownSpeed> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => first_target()
                .and_then(local_address_towards)
                .and_then(holder_of)
                .filter(|name| is_name(name))
                .ok_or(UnknownSpeed::NoInterface)?,
        };
        read_bps(&self.interfaces, &name)
            .map_err(|why| UnknownSpeed::Untold { interface: name, why })
    }
}

fn read_bps(interfaces: &Path, name: &str) -> Result<u64, String> {
    let text =
        fs::read_to_string(interfaces.join(name).join("speed")).map_err(|error| {
            match error.kind() {
                io::ErrorKind::NotFound => "no such interface".to_owned(),
                _ => error.to_string(),
            }
        })?;
    // Some kernels write the unknown, -1, as an unsigned number.
    let megabits = match text.trim().parse::<i64>() {
        Ok(told) if told > 0 && told < i64::from(u32::MAX) => told.unsigned_abs(),
        _ => return Err(format!("{:?}", text.trim().chars().take(20).collect::<String>())),
    };
    Ok((megabits * BITS_PER_MEGABIT).min(BANDWIDTH_BPS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str) -> Link {
        Link::parse(text).expect("a link")
    }

    fn told(speed: &str) -> Result<u64, UnknownSpeed> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(dir.path().join("eth0")).expect("made");
        fs::write(dir.path().join("eth0/speed"), speed).expect("written");
        link("eth0").told_in(dir.path()).speed_bps(|| None)
    }

    #[test]
    fn megabits_become_bits() {
        assert_eq!(told("10000\n"), Ok(10_000_000_000));
        assert_eq!(told("10\n"), Ok(10_000_000));
    }

    #[test]
    fn what_the_interface_does_not_tell_stays_unknown() {
        for odd in ["-1\n", "0\n", "", "4294967295\n", "fast", "1e9", "99999999999999999999"] {
            let error = told(odd).expect_err("unknown");
            assert!(error.to_string().contains("eth0 does not tell its speed"), "{error}");
        }
        let absent = link("eth9").told_in("/nonexistent").speed_bps(|| None);
        assert!(absent.expect_err("absent").to_string().contains("no such interface"));
    }

    #[test]
    fn auto_needs_a_target_to_reach() {
        assert_eq!(link("auto").speed_bps(|| None), Err(UnknownSpeed::NoInterface));
    }

    #[test]
    fn auto_is_the_interface_that_reaches_the_first_target() {
        let loopback = holder_of([127, 0, 0, 1].into()).expect("the loopback interface");
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(dir.path().join(&loopback)).expect("made");
        fs::write(dir.path().join(&loopback).join("speed"), "1000\n").expect("written");
        let target = || Some(([127, 0, 0, 1], 1_934).into());
        assert_eq!(link("auto").told_in(dir.path()).speed_bps(target), Ok(1_000_000_000));
    }

    #[test]
    fn a_link_is_auto_or_a_name() {
        assert_eq!(link("auto").name, None);
        assert_eq!(link("eth0").name.as_deref(), Some("eth0"));
        assert_eq!(Link::parse("../eth0"), None);
    }
}
