//! Admin messages as canonical protobuf JSON: camelCase names, 64-bit integers as text, enums by
//! name, times as RFC 3339 (<https://protobuf.dev/programming-guides/json/>).

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;
use tidegate_proto::admin;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(admin::DESCRIPTOR_SET).expect("the descriptor set was compiled")
});

/// Why a message has no JSON form, for example a time beyond the year 9999.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {message} as JSON: {reason}")]
pub struct NotJson {
    /// The message's full name.
    pub message: String,
    /// What stands in the way.
    pub reason: String,
}

/// Writes a message of the package `tidegate.admin.v1`, for example `Edge`. Zeroes, empty text and
/// empty lists are written out; what is unknown is left out. Keys are sorted.
pub fn to_json<M: Message>(name: &str, message: &M) -> Result<Value, NotJson> {
    let full_name = format!("tidegate.admin.v1.{name}");
    let refuse = |reason: String| NotJson { message: full_name.clone(), reason };
    let descriptor = POOL
        .get_message_by_name(&full_name)
        .ok_or_else(|| refuse("there is no such message".into()))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|error| refuse(error.to_string()))?;
    let options = SerializeOptions::new().skip_default_fields(false);
    dynamic
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admin::sample, message::edge_message};

    #[test]
    fn an_edge_is_written_the_canonical_way() {
        let mut view = sample::edge(1, "edge-1");
        view.last_heartbeat_unix_ms = 1_700_000_000_250;
        view.load.viewers = Some(0);
        view.labels = [("z\u{1b}".to_owned(), "<b>".to_owned())].into();
        let json = to_json("Edge", &edge_message(&view)).expect("an edge has a JSON form");
        assert_eq!(json["liveness"], "LIVENESS_UP");
        assert_eq!(json["lastHeartbeatTime"], "2023-11-14T22:13:20.250Z");
        assert_eq!(json["load"], serde_json::json!({ "viewers": 0 }), "unknown is not zero");
        assert_eq!(json["capacity"]["bandwidthBps"], "0");
        assert_eq!(json["labels"]["z\u{1b}"], "<b>");
        assert_eq!(json["paused"], false);
        assert!(!json.to_string().contains('\u{1b}'));
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let drain = admin::Drain {
            create_time: Some(crate::message::timestamp(u64::MAX)),
            ..admin::Drain::default()
        };
        assert!(to_json("Drain", &drain).is_err());
        assert!(to_json("Nothing", &drain).is_err());
    }
}
