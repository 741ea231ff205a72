//! Datagrams that the kernel dropped because nobody fetched them in time, as Linux tells it.

use std::fs;

/// The drops of the UDP socket with this inode; `None` where the system does not tell.
#[must_use]
pub fn kernel_drops(inode: u64) -> Option<u64> {
    ["/proc/self/net/udp", "/proc/self/net/udp6"]
        .into_iter()
        .find_map(|table| drops_of(&fs::read_to_string(table).ok()?, inode))
}

/// Reads `/proc/net/udp`: after a heading, a line a socket; the tenth field is its inode and the
/// last one its drops (proc_net(5)).
fn drops_of(table: &str, inode: u64) -> Option<u64> {
    let field = |line: &str, place| line.split_ascii_whitespace().nth(place)?.parse::<u64>().ok();
    let line = table.lines().skip(1).find(|line| field(line, 9) == Some(inode))?;
    line.split_ascii_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::fd::AsFd};

    use super::*;

    const TABLE: &str = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  412: 0100007F:078E 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 48151 2 0000000000000000 3
 2391: 00000000:078E 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 62342 2 0000000000000000 1700
 garbage
";

    #[test]
    fn drops_are_found_by_inode() {
        assert_eq!(drops_of(TABLE, 62_342), Some(1_700));
        assert_eq!(drops_of(TABLE, 48_151), Some(3));
        assert_eq!(drops_of(TABLE, 1), None);
        assert_eq!(drops_of("", 1), None);
    }

    #[test]
    fn a_socket_of_ours_is_found() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let inode = rustix::fs::fstat(socket.as_fd()).expect("an open socket").st_ino;
        assert_eq!(kernel_drops(inode), Some(0));
    }
}
