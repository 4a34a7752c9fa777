//! From measurements to figures: medians, spreads and ratios.

use serde::Serialize;

use crate::measure::Sample;
use crate::peers::Peer;
use crate::plan::{Goal, Scenario};

/// The proxy that the others are held against.
pub(crate) const REFERENCE: &str = "egret";

/// A whole comparison, as it is written to JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) cores: usize,
    pub(crate) workers: usize,
    pub(crate) runs: usize,
    pub(crate) seconds: f64,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) scenarios: Vec<Row>,
}

/// A column.
#[derive(Debug, Serialize)]
pub(crate) struct Proxy {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// A row: one scenario, all proxies.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) cost_unit: String,
    pub(crate) rate_unit: String,
    /// What Egret is to reach, in words.
    pub(crate) goal: Option<String>,
    /// Whether it does; absent when it cannot be said.
    pub(crate) reached: Option<bool>,
    pub(crate) cells: Vec<Cell>,
}

/// One proxy in one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) proxy: String,
    /// Median cost; absent when no run went without failures.
    pub(crate) cost: Option<f64>,
    /// Half the range of the costs, as a share of the median.
    pub(crate) spread: Option<f64>,
    /// Median throughput.
    pub(crate) rate: Option<f64>,
    /// Egret's cost as a share of this one's: below one, Egret is cheaper.
    pub(crate) ratio: Option<f64>,
    pub(crate) runs: Vec<Sample>,
}

/// The middle value; the mean of the two in the middle when their number is even.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some((sorted[sorted.len() / 2 - 1] + upper) / 2.0) }
}

/// Half the range, as a share of the median; `None` for fewer than two values.
pub(crate) fn spread(values: &[f64]) -> Option<f64> {
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    let most = values.iter().copied().max_by(f64::total_cmp)?;
    (values.len() > 1).then_some((most - least) / 2.0 / median(values)?)
}

/// The median of the ratios of runs that were made one after the other, so that a machine that grows
/// slower in the middle of a comparison does not count against one side. Runs that failed are left out.
pub(crate) fn ratio(reference: &[Sample], other: &[Sample]) -> Option<f64> {
    let both = reference.iter().zip(other).filter(|(one, two)| one.is_valid() && two.is_valid());
    median(&both.map(|(one, two)| one.cost / two.cost).collect::<Vec<f64>>())
}

/// Makes a row of the runs of each proxy, in the order of the columns.
pub(crate) fn row(scenario: &Scenario, runs: Vec<(&Peer, Vec<Sample>)>) -> Row {
    let reference = runs.iter().find(|(peer, _)| peer.name == REFERENCE).map(|(_, samples)| samples.clone());
    let cell = |(peer, samples): (&Peer, Vec<Sample>)| {
        let valid = || samples.iter().filter(|sample| sample.is_valid());
        let costs: Vec<f64> = valid().map(|sample| sample.cost).collect();
        let rates: Vec<f64> = valid().map(|sample| sample.rate).collect();
        Cell {
            proxy: peer.name.clone(),
            cost: median(&costs),
            spread: spread(&costs),
            rate: median(&rates),
            ratio: reference.as_ref().and_then(|reference| ratio(reference, &samples)),
            runs: samples,
        }
    };
    let cells: Vec<Cell> = runs.into_iter().map(cell).collect();
    let unit = scenario.unit();
    Row {
        name: scenario.name.to_owned(),
        title: scenario.title.to_owned(),
        cost_unit: unit.cost().to_owned(),
        rate_unit: unit.rate().to_owned(),
        goal: match scenario.goal {
            Goal::OfEnvoy(share) => Some(format!("{share:.2} of envoy")),
            Goal::OfMitmproxy(share) => Some(format!("{share:.3} of mitmproxy")),
            Goal::Absolute(cost) => Some(format!("{cost} {}", unit.cost())),
            Goal::None => None,
        },
        reached: reached(scenario.goal, &cells),
        cells,
    }
}

fn reached(goal: Goal, cells: &[Cell]) -> Option<bool> {
    let find = |name: &str| cells.iter().find(|cell| cell.proxy == name);
    match goal {
        Goal::OfEnvoy(share) => Some(find("envoy")?.ratio? <= share),
        Goal::OfMitmproxy(share) => Some(find("mitmproxy")?.ratio? <= share),
        Goal::Absolute(cost) => Some(find(REFERENCE)?.cost? <= cost),
        Goal::None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::peers::Kind;
    use crate::plan::choose;

    fn sample(cost: f64) -> Sample {
        Sample { cost, rate: 10.0, done: 1, failed: 0, error: None, ..Sample::broken(&io::Error::other("")) }
    }

    fn peer(name: &str, kind: Kind) -> Peer {
        Peer { name: name.to_owned(), kind, program: name.into(), tls_program: None, version: String::new() }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn the_spread_is_half_the_range() {
        assert_eq!(spread(&[10.0]), None);
        assert_eq!(spread(&[9.0, 10.0, 12.0]), Some(0.15));
    }

    #[test]
    fn ratios_are_taken_run_by_run() {
        // A machine that slows down for the last two runs does not change the ratio.
        let ours = [sample(5.0), sample(10.0), sample(20.0)];
        let theirs = [sample(10.0), sample(20.0), sample(40.0)];
        assert_eq!(ratio(&ours, &theirs), Some(0.5));
    }

    #[test]
    fn a_run_with_failures_gives_no_figure() {
        let broken = Sample::broken(&io::Error::other("no"));
        let failing = Sample { failed: 1, ..sample(1.0) };
        let scenarios = choose(&["pingpong".to_owned()]).unwrap();
        let (egret, envoy) = (peer("egret", Kind::Egret), peer("envoy", Kind::Envoy));
        let row = row(scenarios[0], vec![(&egret, vec![broken, failing]), (&envoy, vec![sample(2.0); 2])]);
        assert_eq!((row.cells[0].cost, row.cells[0].rate), (None, None));
        assert_eq!((row.cells[1].cost, row.cells[1].ratio, row.reached), (Some(2.0), None, None));
    }

    #[test]
    fn a_goal_is_reached_at_its_ratio_and_not_above() {
        let scenarios = choose(&["pingpong".to_owned()]).unwrap();
        let (egret, envoy) = (peer("egret", Kind::Egret), peer("envoy", Kind::Envoy));
        let reached = |cost: f64| {
            row(scenarios[0], vec![(&egret, vec![sample(cost)]), (&envoy, vec![sample(100.0)])]).reached
        };
        assert_eq!((reached(72.0), reached(73.0)), (Some(true), Some(false)));
    }
}
