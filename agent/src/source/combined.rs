//! Several sources as one: the first to know a figure says it, the others fill in what is unknown.

use tidegate_proto::heartbeat::{Load, Trouble};

use super::{Measurement, Server, Source};

/// Sources in the order in which they are believed.
pub(super) struct Combined(pub(super) Vec<Box<dyn Source>>);

impl Source for Combined {
    /// Trouble of any of them is trouble of the edge.
    fn measure(&mut self) -> Result<Measurement, Trouble> {
        // Each is asked, so that none falls behind with its rates.
        let measured: Vec<_> = self.0.iter_mut().map(|source| source.measure()).collect();
        measured
            .into_iter()
            .try_fold(Measurement::default(), |known, more| Ok(filled(known, more?)))
    }
}

fn filled(known: Measurement, more: Measurement) -> Measurement {
    let (load, also) = (known.load, more.load);
    Measurement {
        load: Load {
            viewers: load.viewers.or(also.viewers),
            publishers: load.publishers.or(also.publishers),
            bandwidth_out_bps: load.bandwidth_out_bps.or(also.bandwidth_out_bps),
            bandwidth_in_bps: load.bandwidth_in_bps.or(also.bandwidth_in_bps),
            cpu_utilization: load.cpu_utilization.or(also.cpu_utilization),
            memory_utilization: load.memory_utilization.or(also.memory_utilization),
        },
        streams: known.streams.or(more.streams),
        server: Server {
            version: known.server.version.or(more.server.version),
            uptime: known.server.uptime.or(more.server.uptime),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::trouble;

    fn source(load: Load) -> Box<dyn Source> {
        Box::new(move || Ok(Measurement::of_load(load)))
    }

    #[test]
    fn the_first_to_know_a_figure_says_it() {
        let server = Load { viewers: Some(5), bandwidth_out_bps: Some(100), ..Load::default() };
        let host =
            Load { bandwidth_out_bps: Some(900), cpu_utilization: Some(0.5), ..Load::default() };
        let load =
            Combined(vec![source(server), source(host)]).measure().expect("both answer").load;
        assert_eq!(load, Load { cpu_utilization: Some(0.5), ..server });
    }

    #[test]
    fn one_source_in_trouble_is_an_edge_in_trouble() {
        let broken = || Err(trouble("server_down", "gone"));
        let fine = source(Load { viewers: Some(5), ..Load::default() });
        let trouble = Combined(vec![fine, Box::new(broken)]).measure().expect_err("trouble");
        assert_eq!(trouble.code, "server_down");
    }
}
