//! The two text formats of a scrape, and which one the scraper asked for.

/// The text of a scrape and its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposition {
    /// For `Content-Type`.
    pub content_type: &'static str,
    /// The text.
    pub body: String,
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Chooses by `Accept` (RFC 9110 section 12.5.1) and converts: `openmetrics` is what the library
/// writes, the classic format is made from it.
pub(super) fn negotiate(openmetrics: String, accept: Option<&str>) -> Exposition {
    if wants_openmetrics(accept.unwrap_or_default()) {
        Exposition { content_type: OPENMETRICS, body: openmetrics }
    } else {
        Exposition { content_type: CLASSIC, body: classic(&openmetrics) }
    }
}

/// OpenMetrics is chosen only where it is named, and not liked less than plain text: a browser's or
/// curl's `*/*` gets what every reader understands.
fn wants_openmetrics(accept: &str) -> bool {
    let (mut openmetrics, mut plain) = (0.0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let (mut quality, mut version_fits) = (1.0_f64, true);
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim() {
                "q" => quality = value.trim().parse().unwrap_or(0.0),
                "version" => version_fits = matches!(value.trim().trim_matches('"'), "0.0.1" | "1.0.0"),
                _ => {}
            }
        }
        if media.eq_ignore_ascii_case("application/openmetrics-text") && version_fits {
            openmetrics = quality.max(openmetrics);
        } else if media.eq_ignore_ascii_case("text/plain") {
            plain = quality.max(plain);
        }
    }
    openmetrics > 0.0 && openmetrics >= plain
}

/// The classic format: a counter's family has the name of its samples, and there is no end mark.
fn classic(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len() + 512);
    let mut lines = openmetrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            continue;
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let is_counter = lines.peek().is_some_and(|next| next.ends_with(" counter"));
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            push_metadata(&mut out, "# HELP ", name, is_counter, help);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            push_metadata(&mut out, "# TYPE ", name, kind == "counter", kind);
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

fn push_metadata(out: &mut String, what: &str, name: &str, is_counter: bool, text: &str) {
    let suffix = if is_counter { "_total" } else { "" };
    for part in [what, name, suffix, " ", text, "\n"] {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrapers_get_the_format_they_ask_for() {
        let table = [
            (None, CLASSIC),
            (Some("*/*"), CLASSIC),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), CLASSIC),
            (Some("application/openmetrics-text"), OPENMETRICS),
            (Some("application/openmetrics-text;q=0"), CLASSIC),
            (Some("application/openmetrics-text; version=2.0.0"), CLASSIC),
            (
                Some("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.3"),
                CLASSIC,
            ),
            // What Prometheus 2 and 3 send.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ),
                OPENMETRICS,
            ),
        ];
        for (accept, expected) in table {
            assert_eq!(negotiate("# EOF\n".into(), accept).content_type, expected, "{accept:?}");
        }
    }

    #[test]
    fn classic_metadata_names_the_samples() {
        let openmetrics = "# HELP a_b Some counter text\n# TYPE a_b counter\na_b_total{x=\"1\"} 2\n# HELP g About counter\n# TYPE g gauge\ng 1\n# EOF\n";
        let expected = "# HELP a_b_total Some counter text\n# TYPE a_b_total counter\na_b_total{x=\"1\"} 2\n# HELP g About counter\n# TYPE g gauge\ng 1\n";
        assert_eq!(classic(openmetrics), expected);
    }
}
