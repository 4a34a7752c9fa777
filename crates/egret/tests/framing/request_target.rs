//! The request target (RFC 9112 section 3.2).

use super::case::{Case, case, run};

fn get(name: &'static str, section: &'static str, target: &str) -> Case {
    case(name, section, format!("GET {target} HTTP/1.1\r\nHost: {{O}}\r\n\r\n"))
}

fn origin_form(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {{O}}\r\n\r\n")
}

#[test]
fn absolute_form_becomes_origin_form() {
    run(&[
        get("path and query", "9112 3.2.1", "http://{O}/a/b?c=d&e").passed(origin_form("/a/b?c=d&e")),
        get("an empty path becomes /", "9112 3.2.1", "http://{O}").passed(origin_form("/")),
        get("an empty path with a query", "9112 3.2.1", "http://{O}?q=1").passed(origin_form("/?q=1")),
        get("the scheme in upper case", "3986 3.1", "HTTP://{O}/").passed(origin_form("/")),
        get("percent-encoding is left alone", "9110 4.2.3", "http://{O}/%7euser/%2F%2e%2e/")
            .passed(origin_form("/%7euser/%2F%2e%2e/")),
        get("dot segments are left alone", "9112 3.2.1", "http://{O}/a/../b/./c")
            .passed(origin_form("/a/../b/./c")),
        get("two slashes are left alone", "9112 3.2.1", "http://{O}//a//b").passed(origin_form("//a//b")),
        get("a URL within the path", "9112 3.2.1", "http://{O}/http://elsewhere.example/")
            .passed(origin_form("/http://elsewhere.example/")),
        get("@ and : within the path", "3986 3.3", "http://{O}/user@host:80/")
            .passed(origin_form("/user@host:80/")),
        get("a bare question mark", "3986 3.4", "http://{O}/?").passed(origin_form("/?")),
        get("sub-delimiters", "3986 2.2", "http://{O}/!$&'()*+,;=:@").passed(origin_form("/!$&'()*+,;=:@")),
    ]);
}

#[test]
fn targets_that_could_be_read_in_two_ways_are_refused() {
    run(&[
        get("user information", "9110 4.2.4", "http://user@{O}/").refused(&[400]),
        get("user and password", "9110 4.2.4", "http://user:secret@{O}/").refused(&[400]),
        get("empty user information", "9110 4.2.4", "http://@{O}/").refused(&[400]),
        get("a backslash in the authority", "3986 3.2", "http://elsewhere.example\\@{O}/").refused(&[400]),
        get("a fragment", "9110 7.1", "http://{O}/a#b").refused(&[400]).passed(origin_form("/a")),
        get("no host", "9110 4.2.1", "http:///path").refused(&[400]),
        get("no slashes", "9112 3.2.2", "http:{O}/").refused(&[400]),
        get("one slash", "9112 3.2.2", "http:/{O}/").refused(&[400]),
        get("a port that is no number", "3986 3.2.3", "http://127.0.0.1:8a/").refused(&[400]),
        get("a port above 65535", "9110 4.2.1", "http://127.0.0.1:65536/").refused(&[400]),
        get("port 0", "9110 4.2.1", "http://127.0.0.1:0/").refused(&[400]),
        get("a negative port", "3986 3.2.3", "http://127.0.0.1:-80/").refused(&[400]),
        get("a port with a plus", "3986 3.2.3", "http://127.0.0.1:+80/").refused(&[400]),
        get("two ports", "3986 3.2.3", "http://127.0.0.1:80:80/").refused(&[400]),
        get("a bracket that does not close", "3986 3.2.2", "http://[::1/").refused(&[400]),
        get("brackets around a name", "3986 3.2.2", "http://[localhost]/").refused(&[400]),
        get("IPv6 without brackets", "3986 3.2.2", "http://::1/").refused(&[400]),
        get("a zone in IPv6", "6874", "http://[fe80::1%25eth0]/").refused(&[400, 403]),
        get("a space in the host", "3986 3.2.2", "http://local host/").refused(&[400]),
        get("an encoded NUL in the host", "3986 3.2.2", "http://127.0.0.1%00.example/").refused(&[400]),
        get("an encoded slash in the host", "3986 3.2.2", "http://127.0.0.1%2f.example/").refused(&[400]),
        get("an empty label", "1035 2.3.1", "http://a..b/").refused(&[400]),
        get("a label of 64 bytes", "1035 2.3.4", &format!("http://{}.example/", "a".repeat(64)))
            .refused(&[400]),
        get("a name of 300 bytes", "1035 2.3.4", &format!("http://{}example/", "abcd.".repeat(60)))
            .refused(&[400]),
        get("a space in the path", "9112 3.2", "http://{O}/a b").refused(&[400]),
        get("a tab in the path", "9112 3.2", "http://{O}/a\tb").refused(&[400]),
        get("a CR in the path", "9112 2.2", "http://{O}/a\rb").refused(&[400]),
        get("a control character in the path", "9112 3.2", "http://{O}/a\u{1}b").refused(&[400]),
        get("DEL in the path", "9112 3.2", "http://{O}/a\u{7f}b").refused(&[400]),
        // Raw UTF-8 is sent by real clients; it may be passed on, but only as it came.
        get("bytes above 127 in the path", "9112 3.2", "http://{O}/\u{c3}\u{a9}")
            .refused(&[400])
            .passed(origin_form("/\u{c3}\u{a9}")),
        get("characters no URL has, sent by real clients", "3986 2", "http://{O}/a|b{c}\"<>^`")
            .refused(&[400])
            .passed(origin_form("/a|b{c}\"<>^`")),
    ]);
}

#[test]
fn schemes_that_are_not_forwarded_are_refused() {
    run(&[
        get("ftp", "9110 4.2", "ftp://{O}/").refused(&[400, 501]),
        get("file", "9110 4.2", "file:///etc/passwd").refused(&[400, 501]),
        get("ws", "6455 3", "ws://{O}/").refused(&[400, 501]),
        get("gopher", "9110 4.2", "gopher://{O}/").refused(&[400, 501]),
        get("data", "9110 4.2", "data:,hello").refused(&[400, 501]),
        get("a scheme with a space encoded", "3986 3.1", "ht%20tp://{O}/").refused(&[400, 501]),
    ]);
}

#[test]
fn other_forms_are_not_proxy_requests() {
    let with = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: {{O}}\r\n\r\n");
    run(&[
        // The Host of an origin-form request is never followed: the proxy is not a reverse proxy.
        case("origin-form with the origin as Host", "9112 3.2.1", with("/echo")).answered(&[400, 404, 421]),
        case("origin-form / is the proxy's own page", "9112 3.2.1", "GET / HTTP/1.1\r\nHost: {P}\r\n\r\n")
            .answered(&[200]),
        case("authority-form with GET", "9112 3.2.3", with("{O}")).refused(&[400]),
        case("asterisk-form with GET", "9112 3.2.4", with("*")).refused(&[400]),
        case("no scheme", "9112 3.2", with("//{O}/")).answered(&[400, 404, 421]),
        case("OPTIONS * asks the proxy itself", "9112 3.2.4", "OPTIONS * HTTP/1.1\r\nHost: {P}\r\n\r\n")
            .answered(&[200, 204, 400]),
    ]);
}
