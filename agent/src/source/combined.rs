//! Several sources as one: the first to know a figure says it, the others fill in what is unknown.

use std::thread;

use tidegate_proto::heartbeat::{Load, Trouble};

use super::{Measurement, Server, Source, trouble};

/// Sources in the order in which they are believed.
pub(super) struct Combined(pub(super) Vec<Box<dyn Source>>);

impl Source for Combined {
    /// Trouble of any of them is trouble of the edge.
    fn measure(&mut self) -> Result<Measurement, Trouble> {
        measured_at_once(&mut self.0)
            .into_iter()
            .try_fold(Measurement::default(), |known, more| Ok(filled(known, more?)))
    }
}

/// Each is asked, so that none falls behind with its rates, and all at the same time: one after the
/// other, several that hang would outlast the interval, and nobody would learn which they are.
fn measured_at_once(sources: &mut [Box<dyn Source>]) -> Vec<Result<Measurement, Trouble>> {
    let lost = |why: &str| Err(trouble("source_failed", why));
    thread::scope(|scope| {
        let asked: Vec<_> = sources
            .iter_mut()
            .map(|source| {
                let thread = thread::Builder::new().name("tidegate-also".to_owned());
                thread.spawn_scoped(scope, || source.measure())
            })
            .collect();
        asked
            .into_iter()
            .map(|thread| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| lost("a source broke down")),
                Err(error) => lost(&format!("a source has no thread to be asked on: {error}")),
            })
            .collect()
    })
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
    use std::{sync::mpsc, time::Duration};

    use super::*;

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
    fn sources_are_asked_at_the_same_time_and_one_that_breaks_down_is_trouble() {
        let (say, hear) = mpsc::sync_channel(1);
        let waits = move || {
            let heard = hear.recv_timeout(Duration::from_secs(10));
            heard.map_err(|_| trouble("server_down", "the other was not asked"))
        };
        let says = move || {
            say.send(Measurement::of_viewers(5)).expect("the other listens");
            Ok(Measurement::default())
        };
        let measured = Combined(vec![Box::new(waits), Box::new(says)]).measure();
        assert_eq!(measured.expect("both answer").load.viewers, Some(5));

        let breaks = || -> Result<Measurement, Trouble> { panic!("a fault of its own") };
        let trouble = Combined(vec![Box::new(breaks), source(Load::default())]).measure();
        assert_eq!(trouble.expect_err("trouble").code, "source_failed");
    }

    #[test]
    fn one_source_in_trouble_is_an_edge_in_trouble() {
        let broken = || Err(trouble("server_down", "gone"));
        let fine = source(Load { viewers: Some(5), ..Load::default() });
        let trouble = Combined(vec![fine, Box::new(broken)]).measure().expect_err("trouble");
        assert_eq!(trouble.code, "server_down");
    }
}
