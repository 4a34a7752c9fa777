//! `egret flows tail`.

use std::collections::HashSet;
use std::io::Write as _;
use std::time::Duration;

use egret_console::console;
use egret_flows::store::FlowStore;
use http_body_util::BodyExt as _;
use hyper::Method;
use serde_json::Value;

use super::args::{Format, FromArgs, TailArgs};
use super::client::encoded;
use super::source::{self, Source};
use super::{FlowsError, Paint, other, print};

/// How often what a proxy has written is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest event of the console.
const EVENT_BYTES: usize = 64 << 20;
/// How many flows are remembered as printed, so that each is printed once.
const REMEMBERED: usize = 100_000;

/// Prints flows as they come. `Ok` when enough were printed, or nobody reads any more.
pub(super) async fn run(args: &TailArgs, from: &FromArgs) -> Result<(), FlowsError> {
    let filter = args.filter.join(" ");
    source::parse(&filter)?;
    let mut printer = Printer::new(args);
    match Source::open(from)? {
        Source::Console(client) => {
            let path = format!("/events?topics=flows&filter={}", encoded(&filter));
            let response = client.open(Method::GET, &path, None).await?;
            let (mut body, mut events) = (response.into_body(), Events::default());
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| other(format!("the console went away: {error}")))?;
                let Some(bytes) = frame.data_ref() else { continue };
                for (name, data) in events.feed(bytes)? {
                    let data: Value = serde_json::from_str(&data).unwrap_or_default();
                    let flows = data.get("flows").and_then(Value::as_array).cloned().unwrap_or_default();
                    if name == "lost" {
                        anstream::eprintln!("egret: some flows were lost to this view; it reads too slowly");
                    }
                    if !printer.print(&flows) {
                        return Ok(());
                    }
                }
            }
            Err(other("the console went away; the proxy has ended, or was told to drain"))
        }
        Source::Store(_) => {
            let filter = source::parse(&filter)?;
            let directory = from.store.as_deref().map(source::directory).unwrap_or_default();
            let mut last = None;
            loop {
                let store = FlowStore::read(&directory).map_err(|error| other(error.to_string()))?;
                let newest = store.list(&Default::default());
                let newest = newest.flows.first().map_or(0, |flow| flow.seq);
                let from = last.map_or(newest, |last: u64| last.min(newest)) + 1;
                let flows = (from..=newest).filter_map(|seq| store.flow_by_seq(seq));
                let flows = flows.filter(|flow| store.matches(&filter, flow));
                let flows: Vec<Value> = flows.map(|flow| console::summary(&flow)).collect();
                if !printer.print(&flows) {
                    return Ok(());
                }
                last = Some(newest);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
}

struct Printer {
    format: Format,
    paint: Paint,
    left: usize,
    seen: HashSet<String>,
}

impl Printer {
    fn new(args: &TailArgs) -> Self {
        let left = args.count.unwrap_or(usize::MAX);
        Self { format: args.format, paint: Paint::of_stdout(), left, seen: HashSet::new() }
    }

    /// Prints those that have ended, and tunnels that were opened. Says whether to go on.
    fn print(&mut self, flows: &[Value]) -> bool {
        let mut out = String::new();
        for flow in flows {
            let text = |name: &str| flow.get(name).and_then(Value::as_str).unwrap_or_default();
            let goes_on = matches!(text("state"), "open" | "held");
            if goes_on && !matches!(text("kind"), "tunnel" | "websocket" | "udp") {
                continue;
            }
            if self.seen.len() >= REMEMBERED {
                self.seen.clear();
            }
            let key = format!("{}{}", text("id"), if goes_on { " open" } else { "" });
            if self.left == 0 || !self.seen.insert(key) {
                continue;
            }
            self.left -= 1;
            match self.format {
                Format::Text => out.push_str(&print::line(flow, self.paint)),
                Format::Json => out.push_str(&format!("{flow}\n")),
            }
        }
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush());
        written.is_ok() && self.left > 0
    }
}

/// Server-sent events, put together from what comes.
#[derive(Debug, Default)]
struct Events {
    waiting: Vec<u8>,
    name: String,
    data: String,
}

impl Events {
    /// The events that are complete with these bytes: their names and data.
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<(String, String)>, FlowsError> {
        let mut events = Vec::new();
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() + self.data.len() > EVENT_BYTES {
            return Err(other("the console sends an event that has no end; is it one of Egret's?"));
        }
        while let Some(end) = memchr::memchr(b'\n', &self.waiting) {
            let line: Vec<u8> = self.waiting.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            match line.split_once(':').unwrap_or((line, "")) {
                ("", "") if line.is_empty() => {
                    let event = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
                    if !event.1.is_empty() {
                        events.push(event);
                    }
                }
                ("event", name) => self.name = name.trim_start().to_owned(),
                ("data", data) => {
                    if !self.data.is_empty() {
                        self.data.push('\n');
                    }
                    self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
                }
                _ => {}
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_wherever_they_were_cut() {
        let stream =
            ": hello\n\nevent: flows\ndata: {\"a\":\ndata: 1}\nid: x-1\n\nevent: lost\r\ndata: {}\r\n\r\n";
        for cut in 1..stream.len() {
            let mut events = Events::default();
            let (first, second) = stream.as_bytes().split_at(cut);
            let mut all = events.feed(first).unwrap();
            all.extend(events.feed(second).unwrap());
            let expected = [("flows", "{\"a\":\n1}"), ("lost", "{}")];
            let all: Vec<_> = all.iter().map(|(name, data)| (name.as_str(), data.as_str())).collect();
            assert_eq!(all, expected, "cut at {cut}");
        }
    }
}
