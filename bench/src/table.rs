//! The report as a table for people.

use std::fmt::Write;

use crate::report::{Cell, REFERENCE, Report, Row};

/// More than this of a core used by others, and the figures are in doubt.
pub(crate) const DISTURBED: f64 = 0.15;

/// The whole table, with what is to be known about it below.
pub(crate) fn render(report: &Report) -> String {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut header = vec!["scenario".to_owned(), String::new()];
    header.extend(report.proxies.iter().map(|proxy| proxy.name.clone()));
    header.push("goal".to_owned());
    lines.push(header);
    for row in &report.scenarios {
        lines.extend(row_lines(row));
    }
    let mut text = align(&lines);
    text.push('\n');
    text.push_str(&notes(report));
    text
}

fn row_lines(row: &Row) -> Vec<Vec<String>> {
    let line = |title: &str, what: String, show: &dyn Fn(&Cell) -> String, goal: String| {
        let mut line = vec![title.to_owned(), what];
        line.extend(row.cells.iter().map(show));
        line.push(goal);
        line
    };
    let mut lines = vec![
        line(&row.title, row.cost_unit.clone(), &cost, String::new()),
        line("", row.rate_unit.clone(), &|cell| cell.rate.map_or_else(dash, figure), String::new()),
    ];
    if row.cells.iter().any(|cell| cell.ratio.is_some()) {
        let goal = row.goal.as_ref().map_or_else(String::new, |goal| match row.reached {
            Some(true) => format!("{goal}: reached"),
            Some(false) => format!("{goal}: missed"),
            None => goal.clone(),
        });
        let ratio = |cell: &Cell| cell.ratio.map_or_else(dash, share);
        lines.push(line("", format!("{REFERENCE}/it"), &ratio, goal));
    }
    lines
}

/// A share with two digits, or three where it is small.
fn share(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

fn dash() -> String {
    "-".to_owned()
}

/// A cost with its spread; `!` marks a cell some of whose runs failed.
fn cost(cell: &Cell) -> String {
    let Some(cost) = cell.cost else {
        // Without runs it has no part in this scenario.
        return if cell.runs.is_empty() { dash() } else { "failed".to_owned() };
    };
    let spread = cell.spread.map_or_else(String::new, |spread| format!(" ±{:.0}%", spread * 100.0));
    let mark = if cell.runs.iter().all(crate::measure::Sample::is_valid) { "" } else { "!" };
    format!("{}{spread}{mark}", figure(cost))
}

/// A number with about three digits that count.
pub(crate) fn figure(value: f64) -> String {
    if value.abs() < 10.0 {
        format!("{value:.2}")
    } else if value.abs() < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn align(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut shown = String::new();
        for (column, cell) in line.iter().enumerate() {
            let width = widths[column];
            // Words to the left, figures to the right.
            let is_words = column < 2 || column + 1 == columns;
            let _ =
                if is_words { write!(shown, "{cell:<width$}  ") } else { write!(shown, "{cell:>width$}  ") };
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

fn notes(report: &Report) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}, {} cores; {} workers each; median of {} runs of {} s, ± half their range",
        report.machine, report.cores, report.workers, report.runs, report.seconds
    );
    for proxy in &report.proxies {
        let _ = writeln!(text, "{}: {}", proxy.name, proxy.version);
    }
    let cells = || report.scenarios.iter().flat_map(|row| row.cells.iter().map(move |cell| (row, cell)));
    for (row, cell) in cells() {
        for (number, run) in cell.runs.iter().enumerate().filter(|(_, run)| !run.is_valid()) {
            let error = run.error.as_deref().unwrap_or("no reason known");
            let _ = writeln!(
                text,
                "! {} with {}, run {}: {} failed beside {} done: {error}",
                row.name,
                cell.proxy,
                number + 1,
                run.failed,
                run.done
            );
        }
        let reopened = cell.runs.iter().map(|run| run.reopened).max().unwrap_or(0);
        if reopened > 0 {
            let _ = writeln!(
                text,
                "{} with {}: the proxy closed {reopened} connections that the client would have kept",
                row.name, cell.proxy
            );
        }
    }
    for (row, cell) in cells() {
        let full: u64 = cell.runs.iter().map(|run| run.not_resumed).sum();
        if full > 0 {
            let _ = writeln!(text, "{} with {}: {full} handshakes were not resumed", row.name, cell.proxy);
        }
    }
    let disturbed = cells().flat_map(|(_, cell)| &cell.runs).filter(|run| run.others > DISTURBED).count();
    let most = cells().flat_map(|(_, cell)| &cell.runs).map(|run| run.others).fold(0.0, f64::max);
    if disturbed > 0 {
        let _ = writeln!(
            text,
            "! {disturbed} runs were disturbed: other programs used up to {most:.1} cores meanwhile"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Sample;
    use crate::report::Proxy;

    fn cell(proxy: &str, cost: Option<f64>, ratio: Option<f64>, runs: Vec<Sample>) -> Cell {
        Cell { proxy: proxy.to_owned(), cost, spread: Some(0.04), rate: cost.map(|_| 61234.5), ratio, runs }
    }

    fn report(cells: Vec<Cell>) -> Report {
        let proxies = cells.iter().map(|cell| Proxy { name: cell.proxy.clone(), version: "1".to_owned() });
        Report {
            machine: "a machine".to_owned(),
            cores: 2,
            workers: 2,
            runs: 3,
            seconds: 3.0,
            proxies: proxies.collect(),
            scenarios: vec![Row {
                name: "keepalive-1k".to_owned(),
                title: "HTTP keep-alive".to_owned(),
                cost_unit: "µs/op".to_owned(),
                rate_unit: "op/s".to_owned(),
                goal: Some("0.36 of envoy".to_owned()),
                reached: Some(true),
                cells,
            }],
        }
    }

    #[test]
    fn shows_cost_throughput_and_ratio_in_columns() {
        let cells = vec![
            cell("egret", Some(15.0), Some(1.0), vec![]),
            cell("envoy", Some(44.21), Some(0.339), vec![]),
        ];
        let text = render(&report(cells));
        let table: Vec<&str> = text.lines().take(4).collect();
        assert_eq!(
            table,
            [
                "scenario                      egret     envoy  goal",
                "HTTP keep-alive  µs/op     15.0 ±4%  44.2 ±4%",
                "                 op/s         61234     61234",
                "                 egret/it      1.00      0.34  0.36 of envoy: reached",
            ]
        );
    }

    #[test]
    fn a_failed_run_is_named_and_has_no_figure() {
        let broken = Sample::broken(&std::io::Error::other("refused to start"));
        let text = render(&report(vec![cell("squid", None, None, vec![broken])]));
        assert!(text.contains("failed"), "{text}");
        assert!(text.contains("! keepalive-1k with squid, run 1: 1 failed beside 0 done: refused to start"));
        assert!(!text.contains("egret/it"), "{text}");
    }

    #[test]
    fn a_disturbed_run_is_said_so() {
        let broken = Sample::broken(&std::io::Error::other(""));
        let disturbed = Sample { failed: 0, done: 1, cost: 1.0, others: 0.7, ..broken };
        let text = render(&report(vec![cell("squid", Some(1.0), None, vec![disturbed])]));
        assert!(text.contains("! 1 runs were disturbed: other programs used up to 0.7 cores"), "{text}");
    }

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!([figure(1.234), figure(12.34), figure(1234.5)], ["1.23", "12.3", "1234"]);
    }
}
