//! Orders: every redirector gets one, at the same time and under the same request id.

use futures_util::future::join_all;
use serde_json::json;
use tidegate_control::json::to_json;
use tidegate_proto::admin::{
    DrainEdgeRequest, Edge, ForgetEdgeRequest, SetWeightRequest, UndrainEdgeRequest,
};
use uuid::Uuid;

use crate::{
    args::{Order, Output},
    connect::{Client, Refusal, connect},
    failure::Failure,
    show::{plain, say},
    table,
    target::Target,
};

/// Drains an edge everywhere.
pub(crate) async fn drain(targets: &[Target], order: Order, output: Output) -> Result<(), Failure> {
    check_etag(targets, &order)?;
    let request_id = request_id(&order);
    let Order { name, reason, etag, .. } = order;
    let request = DrainEdgeRequest { edge: name.clone(), reason, request_id, etag };
    let ask =
        async |client: &mut Client| Ok(client.drain_edge(request.clone()).await?.into_inner().edge);
    everywhere(targets, &name, "drain", output, ask).await
}

/// Takes a drain back everywhere.
pub(crate) async fn undrain(
    targets: &[Target],
    order: Order,
    output: Output,
) -> Result<(), Failure> {
    check_etag(targets, &order)?;
    let request_id = request_id(&order);
    let Order { name, reason, etag, .. } = order;
    let request = UndrainEdgeRequest { edge: name.clone(), reason, request_id, etag };
    let ask = async |client: &mut Client| {
        Ok(client.undrain_edge(request.clone()).await?.into_inner().edge)
    };
    everywhere(targets, &name, "undrain", output, ask).await
}

/// Gives an edge its share of the viewers everywhere.
pub(crate) async fn weight(
    targets: &[Target],
    order: Order,
    weight: f64,
    output: Output,
) -> Result<(), Failure> {
    check_etag(targets, &order)?;
    let request_id = request_id(&order);
    let Order { name, reason, etag, .. } = order;
    let request = SetWeightRequest { edge: name.clone(), weight, request_id, etag, reason };
    let ask =
        async |client: &mut Client| Ok(client.set_weight(request.clone()).await?.into_inner().edge);
    everywhere(targets, &name, "weight", output, ask).await
}

/// Removes an edge everywhere.
pub(crate) async fn forget(targets: &[Target], name: &str, output: Output) -> Result<(), Failure> {
    let request = ForgetEdgeRequest { edge: name.to_owned() };
    let ask = async |client: &mut Client| {
        client.forget_edge(request.clone()).await?;
        Ok(None)
    };
    everywhere(targets, name, "forget", output, ask).await
}

fn request_id(order: &Order) -> String {
    order.request_id.clone().unwrap_or_else(|| Uuid::new_v4().to_string())
}

fn check_etag(targets: &[Target], order: &Order) -> Result<(), Failure> {
    if order.etag.is_empty() || targets.len() == 1 {
        return Ok(());
    }
    let why = "each redirector counts its own etags; with --etag give --admin one address";
    Err(Failure::Usage(why.into()))
}

async fn everywhere(
    targets: &[Target],
    name: &str,
    verb: &str,
    output: Output,
    ask: impl AsyncFn(&mut Client) -> Result<Option<Edge>, Refusal>,
) -> Result<(), Failure> {
    let asking = targets.iter().map(async |target| ask(&mut connect(target).await?).await);
    let outcomes: Vec<_> = join_all(asking).await;
    let mut failed = Vec::new();
    for (target, outcome) in targets.iter().zip(&outcomes) {
        if output == Output::Json {
            say(&outcome_json(target, outcome)?)?;
        }
        match outcome {
            Ok(edge) if output == Output::Table => say(&outcome_line(target, name, edge))?,
            Ok(_) => {}
            Err(refusal) => failed.push(format!("{}: {refusal}", target.name)),
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let (count, all) = (failed.len(), targets.len());
    Err(Failure::Failed(format!(
        "{verb} {} failed at {count} of {all} redirectors:\n{}",
        plain(name),
        failed.join("\n")
    )))
}

fn outcome_line(target: &Target, name: &str, edge: &Option<Edge>) -> String {
    match edge {
        Some(edge) => format!(
            "{}: {} is {}, viewers: {}{}",
            target.name,
            plain(&edge.name),
            table::admin_state(edge),
            table::viewers(edge),
            table::weight(edge).map(|weight| format!(", weight: {weight}")).unwrap_or_default()
        ),
        None => format!("{}: {} is forgotten", target.name, plain(name)),
    }
}

fn outcome_json(
    target: &Target,
    outcome: &Result<Option<Edge>, Refusal>,
) -> Result<String, Failure> {
    let line = match outcome {
        Ok(Some(edge)) => {
            let edge = to_json("Edge", edge).map_err(|error| Failure::Failed(error.to_string()))?;
            json!({ "redirector": target.name, "ok": true, "edge": edge })
        }
        Ok(None) => json!({ "redirector": target.name, "ok": true }),
        Err(refusal) => {
            json!({ "redirector": target.name, "ok": false, "error": refusal.to_string() })
        }
    };
    Ok(line.to_string())
}
