//! Clients do not learn of HTTP/3, by which they would go past the proxy.

use egret_testkit::tools::succeed;

use super::node_origin::Node;

#[test]
fn alt_svc_is_taken_out_of_what_passes_inside_unless_it_is_set_so() {
    for (strip, protocols) in [(true, "h2"), (true, "http/1.1"), (false, "h2"), (false, "http/1.1")] {
        let yaml = format!("interception: {{everything: true, stripAltSvc: {strip}}}\n");
        let it = Node::configured(protocols, &yaml);
        let head = succeed(it.curl().arg("-i").arg(it.url("/alt-svc"))).to_ascii_lowercase();
        assert_eq!(head.contains("alt-svc"), !strip, "{protocols}: {head}");
        assert!(head.contains("x-kept: yes"), "{head}");
    }
}

/// An answer with one HTTPS record (RFC 9460) that names these protocols.
fn answer(protocols: &[&str]) -> Vec<u8> {
    let alpn: Vec<u8> =
        protocols.iter().flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat()).collect();
    let mut data = vec![0, 1, 0, 0, 1, 0, alpn.len() as u8];
    data.extend_from_slice(&alpn);
    let mut message = vec![0, 7, 0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 0];
    message.extend_from_slice(b"\x01a\x04test\x00");
    message.extend_from_slice(&[0, 65, 0, 1, 0, 0, 1, 44, 0, data.len() as u8]);
    message.extend_from_slice(&data);
    message
}

#[test]
fn http3_is_taken_out_of_https_records_in_answers_of_dns_over_https() {
    for (strip, protocols) in [(true, "h2"), (true, "http/1.1"), (false, "http/1.1")] {
        let yaml = format!("interception: {{everything: true, stripAltSvc: {strip}}}\n");
        let it = Node::configured(protocols, &yaml);
        let expected = if strip { answer(&["h2"]) } else { answer(&["h3", "h2"]) };
        let hex: String = answer(&["h3", "h2"]).iter().map(|byte| format!("{byte:02x}")).collect();
        let url = it.url(&format!("/dns/{hex}"));
        // Twice on one connection: what is behind the answer is not taken for a part of it.
        let output = egret_testkit::tools::run(it.curl().args(["-o", "-", &url, &url]));
        assert_eq!(output.stdout, [&expected[..], &expected[..]].concat(), "{protocols} {strip}");
    }
}
