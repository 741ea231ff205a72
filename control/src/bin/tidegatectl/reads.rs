//! Questions: the first redirector that answers is asked, the others only if it cannot be reached.

use tidegate_control::json::to_json;
use tidegate_proto::admin::{Edge, GetEdgeRequest, ListEdgesRequest, ListEdgesResponse};

use crate::{
    args::Output,
    connect::{Client, Refusal, connect},
    detail,
    failure::Failure,
    show::say,
    table,
    target::Target,
};

const PAGE_SIZE: i32 = 1_000;

/// Shows every edge that a filter admits.
pub(crate) async fn edges(
    targets: &[Target],
    filter: &str,
    wide: bool,
    output: Output,
) -> Result<(), Failure> {
    let edges = first(targets, async |client| list(client, filter).await).await?;
    match output {
        Output::Table => say(&table::edges(&edges, wide, table::now())),
        Output::Json => {
            let whole = ListEdgesResponse { edges, next_page_token: String::new() };
            say(&json("ListEdgesResponse", &whole)?)
        }
    }
}

/// Shows one edge.
pub(crate) async fn edge(targets: &[Target], name: &str, output: Output) -> Result<(), Failure> {
    let request = GetEdgeRequest { edge: name.to_owned() };
    let ask = async |client: &mut Client| {
        Ok(client.get_edge(request.clone()).await?.into_inner().edge.unwrap_or_default())
    };
    let edge = first(targets, ask).await?;
    match output {
        Output::Table => say(&detail::edge(&edge, table::now())),
        Output::Json => say(&json("Edge", &edge)?),
    }
}

/// An answer as one line of JSON.
pub(crate) fn json<M: prost::Message>(name: &str, message: &M) -> Result<String, Failure> {
    let json = to_json(name, message).map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(json.to_string())
}

async fn list(client: &mut Client, filter: &str) -> Result<Vec<Edge>, Refusal> {
    let (mut edges, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            ListEdgesRequest { page_size: PAGE_SIZE, page_token, filter: filter.to_owned() };
        let page = client.list_edges(request).await?.into_inner();
        // A page without edges cannot lead on, whatever its token says.
        let is_last = page.next_page_token.is_empty() || page.edges.is_empty();
        edges.extend(page.edges);
        if is_last {
            return Ok(edges);
        }
        page_token = page.next_page_token;
    }
}

/// The answer of the first redirector that has one.
pub(crate) async fn first<T>(
    targets: &[Target],
    ask: impl AsyncFn(&mut Client) -> Result<T, Refusal>,
) -> Result<T, Failure> {
    let mut said = Vec::new();
    for target in targets {
        let answer = match connect(target).await {
            Ok(mut client) => ask(&mut client).await,
            Err(refusal) => Err(refusal),
        };
        match answer {
            Ok(answer) => return Ok(answer),
            Err(refusal) => {
                said.push(format!("{}: {refusal}", target.name));
                if !refusal.is_worth_another() {
                    break;
                }
            }
        }
    }
    Err(Failure::Failed(said.join("\n")))
}
