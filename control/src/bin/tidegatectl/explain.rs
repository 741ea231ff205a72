//! Why a client would be sent where it would be.

use tidegate_proto::admin::{ExplainRequest, ExplainResponse, ExplainedEdge, ReasonCount};

use crate::{
    args::{Explain, Output},
    connect::Client,
    failure::Failure,
    reads::{first, json},
    show::{plain, say},
    table::{Table, UNKNOWN, percent},
    target::Target,
};

const COLUMNS: [&str; 9] =
    ["NAME", "CHANCE", "REPORTED", "PREDICTED", "PENDING", "ROOM", "WEIGHT", "REASON", "WHY"];

/// Shows where the next client of a kind would be sent.
pub(crate) async fn explain(
    targets: &[Target],
    client: Explain,
    output: Output,
) -> Result<(), Failure> {
    let Explain { path, client, scheme, edge, top: edges_max } = client;
    let request = ExplainRequest { path, client, scheme, edge, edges_max };
    let ask = async |client: &mut Client| Ok(client.explain(request.clone()).await?.into_inner());
    let answer = first(targets, ask).await?;
    match output {
        Output::Table => say(&text(&answer)),
        Output::Json => say(&json("ExplainResponse", &answer)?),
    }
}

/// The answer for people: what holds for all edges, then the edges, then how many each reason has.
fn text(answer: &ExplainResponse) -> String {
    let mut facts = vec![format!("policy {}", plain(&answer.policy))];
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            facts.push(format!("{name} {value}"));
        }
    };
    fact("mode", plain(&answer.mode));
    fact("scheme", plain(&answer.scheme));
    fact("stream", plain(&answer.stream));
    fact("zone", plain(&answer.zone));
    fact("rule", plain(&answer.rule));
    fact("mean load", answer.mean_load.map(percent).unwrap_or_default());
    fact("level", answer.level.map(percent).unwrap_or_default());
    fact("redirectors", answer.redirectors.to_string());
    let mut table = Table::new(&COLUMNS);
    for edge in &answer.edges {
        table.push(row(edge));
    }
    let counts: Vec<_> = answer.reasons.iter().map(count).collect();
    let mut parts = vec![facts.join(", "), table.take()];
    if !answer.no_edge.is_empty() {
        parts.insert(1, format!("nobody would be chosen: {}", plain(&answer.no_edge)));
    }
    if !counts.is_empty() {
        parts.push(format!("of the whole fleet: {}", counts.join(", ")));
    }
    parts.join("\n")
}

fn row(edge: &ExplainedEdge) -> Vec<String> {
    let share = |share: Option<f64>| share.map_or(UNKNOWN.to_owned(), percent);
    vec![
        plain(&edge.name),
        if edge.chosen { chance(edge.chance) } else { UNKNOWN.to_owned() },
        share(edge.reported_load),
        share(edge.predicted_load),
        edge.pending.to_string(),
        format!("{:.0}", edge.window_room),
        edge.weight.to_string(),
        plain(&edge.code),
        plain(&edge.text),
    ]
}

/// A chance that is there is never shown as none.
fn chance(chance: f64) -> String {
    if chance < 0.000_5 { "< 0.1 %".to_owned() } else { percent(chance) }
}

fn count(count: &ReasonCount) -> String {
    let name = count.reason().as_str_name().trim_start_matches("EXPLAIN_REASON_");
    format!("{} {}", count.edges, name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use tidegate_proto::admin::ExplainReason;

    use super::*;

    #[test]
    fn the_best_stand_first_and_nothing_in_a_row_is_obeyed_by_a_terminal() {
        let best = ExplainedEdge {
            name: "edge-1".into(),
            chance: 0.25,
            chosen: true,
            code: "candidate".into(),
            text: "may be drawn".into(),
            predicted_load: Some(0.375),
            weight: 1.0,
            ..ExplainedEdge::default()
        };
        let hostile = ExplainedEdge {
            name: "edge-2".into(),
            code: "disk\u{1b}[2J".into(),
            ..ExplainedEdge::default()
        };
        let count = ReasonCount { reason: ExplainReason::NoEndpoint.into(), edges: 7 };
        let answer = ExplainResponse {
            policy: "fill".into(),
            zone: "north".into(),
            edges: vec![best, hostile],
            reasons: vec![count],
            ..ExplainResponse::default()
        };
        let text = text(&answer);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "policy fill, zone north, redirectors 0");
        let best: Vec<_> = lines[2].split_whitespace().collect();
        assert_eq!(best[..6], ["edge-1", "25.0", "%", "-", "37.5", "%"]);
        assert!(lines[3].contains("disk\\u{1b}[2J"), "{text}");
        assert_eq!(lines[4], "of the whole fleet: 7 no_endpoint");
    }

    #[test]
    fn that_nobody_would_be_chosen_is_said() {
        let answer = ExplainResponse { no_edge: "all_drained".into(), ..Default::default() };
        assert!(text(&answer).contains("nobody would be chosen: all_drained"));
    }
}
