//! JUnit XML, as CI systems read it.

use std::fmt::Write as _;

/// A test with what came of it.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) suite: &'a str,
    pub(super) name: &'a str,
    /// The line that sums the failure up, and all that there is to say.
    pub(super) failure: Option<(&'a str, &'a str)>,
}

/// The XML of all tests, suite by suite. Cases of one suite stand together.
pub(super) fn render(cases: &[Case<'_>]) -> String {
    let failures = |cases: &[Case<'_>]| cases.iter().filter(|case| case.failure.is_some()).count();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to memory cannot fail, here and below.
    let _ = writeln!(
        xml,
        "<testsuites name=\"egret policy test\" tests=\"{}\" failures=\"{}\" errors=\"0\">",
        cases.len(),
        failures(cases)
    );
    for suite in cases.chunk_by(|one, other| one.suite == other.suite) {
        let name = escaped(suite[0].suite);
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\">",
            suite.len(),
            failures(suite)
        );
        for case in suite {
            let _ = write!(xml, "    <testcase classname=\"{name}\" name=\"{}\"", escaped(case.name));
            match case.failure {
                None => xml.push_str("/>\n"),
                Some((message, text)) => {
                    let _ = writeln!(
                        xml,
                        ">\n      <failure message=\"{}\" type=\"expectation\">{}</failure>\n    </testcase>",
                        escaped(message),
                        escaped(text)
                    );
                }
            }
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// Text for elements and attributes (XML 1.0 sections 2.2 and 2.4): what XML cannot hold is replaced, and line
/// breaks are kept through the normalisation of attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_whatever_a_test_is_called() {
        let cases = [
            Case { suite: "a.yaml", name: "<&\"'>\u{1}]]>", failure: None },
            Case { suite: "a.yaml", name: "b", failure: Some(("x < y", "line\nline & more")) },
        ];
        let xml = render(&cases);
        assert!(xml.contains(r#"name="&lt;&amp;&quot;&apos;&gt;�]]&gt;"/>"#), "{xml}");
        assert!(
            xml.contains(r#"<failure message="x &lt; y" type="expectation">line&#10;line &amp; more<"#),
            "{xml}"
        );
        assert!(xml.contains(r#"<testsuite name="a.yaml" tests="2" failures="1""#), "{xml}");
    }
}
