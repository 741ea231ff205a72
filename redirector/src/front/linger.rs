//! The end of a connection that was ended from here.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::Duplex;

/// What is still read from a client after its connection was ended from here.
const LINGER_LEN_MAX: usize = 64 * 1024;
const LINGER_MAX: Duration = Duration::from_secs(1);

/// Says that no more is coming (in TLS with a `close_notify`) and reads what is still on its way:
/// closing with unread bytes would reset the connection and could take the answer with it (RFC 9112
/// section 9.6).
pub(crate) async fn linger<S: Duplex + ?Sized>(stream: &mut S) {
    let leave = async {
        let _ = stream.shutdown().await;
        let mut sink = vec![0; 4_096];
        let mut left = LINGER_LEN_MAX;
        while left > 0 {
            match stream.read(&mut sink).await {
                Ok(count) if count > 0 => left = left.saturating_sub(count),
                _ => break,
            }
        }
    };
    let _ = timeout(LINGER_MAX, leave).await;
}
