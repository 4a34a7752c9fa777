//! The page at `/`, whole in itself: no script, no image, nothing loaded from anywhere.

use std::fmt::Write as _;

use crate::AdminState;

/// The page's style, which the content policy admits by its hash.
pub(crate) const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#1b1f23;background:#fff}\
code{background:#f0f2f4;padding:.1em .3em;border-radius:3px}a{color:#0550ae}\
@media(prefers-color-scheme:dark){body{color:#d8dee4;background:#14181c}code{background:#262c33}a{color:#79b8ff}}";

/// What a browser may do with our responses: use that style and nothing else.
pub(crate) const CONTENT_POLICY: &str = "default-src 'none'; style-src 'sha256-X0sa6yhni/UBjei+QlLJrgG/VxlgQUYqIN1T40pPkc4='; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn index(state: &AdminState) -> String {
    let mut listeners = String::new();
    for listener in &state.listeners {
        // Writing to a String cannot fail.
        let _ = write!(listeners, "<li><code>{}</code></li>", escaped(listener));
    }
    let (version, readiness) = (escaped(&state.version), (state.readiness)().as_str());
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Egret</title><style>{STYLE}</style></head>\
         <body><h1>Egret {version}</h1>\
         <p>Egret is an egress proxy: the one door that outbound connections pass through. \
         This is its admin address; it shows how the proxy is doing and changes nothing.</p>\
         <p>State: <strong>{readiness}</strong></p>\
         <h2>Listeners</h2><ul>{listeners}</ul>\
         <h2>Here</h2><ul>\
         <li><a href=\"/metrics\"><code>/metrics</code></a>: metrics for Prometheus</li>\
         <li><a href=\"/healthz\"><code>/healthz</code></a>: the process lives</li>\
         <li><a href=\"/readyz\"><code>/readyz</code></a>: it wants traffic</li>\
         </ul></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
