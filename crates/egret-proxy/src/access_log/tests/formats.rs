use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use egret_core::flow_id::FlowIds;
use egret_core::gate::Basis;
use egret_core::identity::{
    CertificateName, ClientCertificate, ClientTls, Groups, NameKind, Proof, TlsVersion, User, Workload,
};
use egret_core::policy::RuleFacts;
use egret_core::policy::model::Action;
use egret_core::reason::Reason;
use egret_core::record::{FlowRecord, MethodName, Phases, Protocol, Treatment};
use egret_core::settings::AccessLogFormat::{self, Combined, Common, Json, Logfmt, Squid};
use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::Value;

use super::super::LineFormatter;
use super::a_record;

fn line(format: AccessLogFormat, record: &FlowRecord) -> String {
    let mut out = Vec::new();
    LineFormatter::default().append(format, record, &mut out);
    String::from_utf8(out).unwrap().trim_end_matches('\n').to_owned()
}

fn a_refusal() -> FlowRecord {
    FlowRecord {
        method: MethodName::new("CONNECT"),
        target: "169.254.169.254:80".into(),
        treatment: Treatment::Tunnel,
        status: 403,
        reason: Some(Reason::DeniedByGuard),
        detail: Some("169.254.169.254 is a \"metadata\" address".into()),
        basis: Basis::default(),
        dialled: None,
        upstream: None,
        upstream_tls: None,
        bytes_up: 0,
        bytes_down: 0,
        phases: Phases { total: Duration::from_micros(85), ..Phases::default() },
        user_agent: None,
        referer: None,
        ..a_record()
    }
}

fn a_tunnel() -> FlowRecord {
    FlowRecord {
        tls: None,
        method: MethodName::new("CONNECT"),
        target: "example.com:443".into(),
        treatment: Treatment::Tunnel,
        parent: Some("corporate".into()),
        client: "[2001:db8::1]:9".parse().unwrap(),
        dialled: Some("[2001:db8::2]:3128".parse().unwrap()),
        changes: None,
        replay_of: None,
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        span: Some(([0x4b; 16], [0xab; 8])),
        ..a_record()
    }
}

fn garbage() -> FlowRecord {
    FlowRecord {
        tls: None,
        method: MethodName::None,
        target: String::new(),
        treatment: Treatment::Local,
        status: 400,
        reason: Some(Reason::MalformedRequest),
        ..a_refusal()
    }
}

#[test]
fn json_has_every_field() {
    assert_snapshot!(line(Json, &a_record()), @r##"{"time":"2025-11-21T11:48:00.303Z","flow":"krvqkebz","client":"192.0.2.7:51234","method":"GET","target":"http://example.com/a?b=c","treatment":"forward","status":200,"policy":"web","rule":"allow web","mode":"Enforce","route":"direct","dialled":"203.0.113.5:80","reused":false,"bytesUp":12,"bytesDown":3456,"dnsMs":1.500,"connectMs":20.250,"firstByteMs":45.000,"totalMs":180.042,"userAgent":"curl/8.5.0","downstream":"HTTP/1.1","upstream":"HTTP/1.1"}"##);
    assert_snapshot!(line(Json, &a_refusal()), @r##"{"time":"2025-11-21T11:48:00.123Z","flow":"krvqkebz","client":"192.0.2.7:51234","method":"CONNECT","target":"169.254.169.254:80","treatment":"tunnel","status":403,"reason":"denied-by-guard","blame":"policy","detail":"169.254.169.254 is a \"metadata\" address","reused":false,"bytesUp":0,"bytesDown":0,"totalMs":0.085,"downstream":"HTTP/1.1"}"##);
    assert_snapshot!(line(Json, &FlowRecord { interim: true, ..a_tunnel() }), @r##"{"time":"2025-11-21T11:48:00.303Z","flow":"krvqkebz","client":"[2001:db8::1]:9","method":"CONNECT","target":"example.com:443","treatment":"tunnel","status":200,"policy":"web","rule":"allow web","mode":"Enforce","route":"parent:corporate","dialled":"[2001:db8::2]:3128","reused":false,"bytesUp":12,"bytesDown":3456,"dnsMs":1.500,"connectMs":20.250,"firstByteMs":45.000,"totalMs":180.042,"userAgent":"curl/8.5.0","downstream":"HTTP/1.1","upstream":"HTTP/1.1","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","traceId":"4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b","spanId":"abababababababab","interim":true}"##);
}

#[test]
fn logfmt_quotes_only_what_needs_it() {
    assert_snapshot!(line(Logfmt, &a_record()), @r##"time=2025-11-21T11:48:00.303Z flow=krvqkebz client=192.0.2.7:51234 method=GET target="http://example.com/a?b=c" treatment=forward status=200 policy=web rule="allow web" mode=Enforce route=direct dialled=203.0.113.5:80 reused=false bytesUp=12 bytesDown=3456 dnsMs=1.500 connectMs=20.250 firstByteMs=45.000 totalMs=180.042 userAgent=curl/8.5.0 downstream=HTTP/1.1 upstream=HTTP/1.1"##);
    assert_snapshot!(line(Logfmt, &garbage()), @r##"time=2025-11-21T11:48:00.123Z flow=krvqkebz client=192.0.2.7:51234 method="" target="" treatment=local status=400 reason=malformed-request blame=client detail="169.254.169.254 is a \"metadata\" address" reused=false bytesUp=0 bytesDown=0 totalMs=0.085 downstream=HTTP/1.1"##);
    assert_snapshot!(line(Logfmt, &FlowRecord { interim: true, ..a_tunnel() }), @r##"time=2025-11-21T11:48:00.303Z flow=krvqkebz client=[2001:db8::1]:9 method=CONNECT target=example.com:443 treatment=tunnel status=200 policy=web rule="allow web" mode=Enforce route=parent:corporate dialled=[2001:db8::2]:3128 reused=false bytesUp=12 bytesDown=3456 dnsMs=1.500 connectMs=20.250 firstByteMs=45.000 totalMs=180.042 userAgent=curl/8.5.0 downstream=HTTP/1.1 upstream=HTTP/1.1 traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 traceId=4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b spanId=abababababababab interim=true"##);
}

#[test]
fn common_and_combined_are_as_apache_writes_them() {
    assert_snapshot!(line(Common, &a_record()), @r##"192.0.2.7 - - [21/Nov/2025:11:48:00 +0000] "GET http://example.com/a?b=c HTTP/1.1" 200 3456"##);
    assert_snapshot!(line(Combined, &a_record()), @r##"192.0.2.7 - - [21/Nov/2025:11:48:00 +0000] "GET http://example.com/a?b=c HTTP/1.1" 200 3456 "http://example.com/" "curl/8.5.0""##);
    assert_snapshot!(line(Combined, &a_refusal()), @r##"192.0.2.7 - - [21/Nov/2025:11:48:00 +0000] "CONNECT 169.254.169.254:80 HTTP/1.1" 403 - "-" "-""##);
    assert_snapshot!(line(Common, &garbage()), @r##"192.0.2.7 - - [21/Nov/2025:11:48:00 +0000] "-" 400 -"##);
}

#[test]
fn every_format_names_the_user() {
    let user = |name: &str| FlowRecord {
        user: Some(User {
            name: name.into(),
            proof: Proof::Htpasswd,
            groups: Groups::default(),
            workload: None,
        }),
        ..a_record()
    };
    let alice = user("alice");
    assert!(line(Json, &alice).contains(r#","user":"alice","proof":"htpasswd","#));
    assert!(line(Logfmt, &alice).contains(" user=alice proof=htpasswd "));
    assert!(line(Common, &alice).starts_with("192.0.2.7 - alice ["));
    assert!(line(Combined, &alice).starts_with("192.0.2.7 - alice ["));
    assert!(line(Squid, &alice).contains(" http://example.com/a?b=c alice HIER_DIRECT/"));
    let odd = user("Jürgen \"x\" [0]");
    assert!(
        line(Common, &odd).starts_with("192.0.2.7 - J%c3%bcrgen%20%22x%22%20[0] ["),
        "{}",
        line(Common, &odd)
    );
}

#[test]
fn squid_has_its_result_codes_and_hierarchy() {
    let aborted = FlowRecord { status: 0, reason: Some(Reason::ClientAborted), ..a_record() };
    let unresolved = FlowRecord {
        status: 502,
        reason: Some(Reason::DnsNotFound),
        dialled: None,
        bytes_down: 210,
        ..a_record()
    };
    let lines = [a_record(), a_tunnel(), a_refusal(), garbage(), aborted, unresolved];
    assert_snapshot!(lines.map(|record| line(Squid, &record)).join("\n"), @r##"1763725680.303    180 192.0.2.7 TCP_MISS/200 3456 GET http://example.com/a?b=c - HIER_DIRECT/203.0.113.5 -
1763725680.303    180 2001:db8::1 TCP_TUNNEL/200 3456 CONNECT example.com:443 - FIRSTUP_PARENT/2001:db8::2 -
1763725680.123      0 192.0.2.7 TCP_DENIED/403 0 CONNECT 169.254.169.254:80 - HIER_NONE/- -
1763725680.123      0 192.0.2.7 NONE_NONE/400 0 NONE error:invalid-request - HIER_NONE/- -
1763725680.303    180 192.0.2.7 TCP_MISS_ABORTED/000 3456 GET http://example.com/a?b=c - HIER_DIRECT/203.0.113.5 -
1763725680.303    180 192.0.2.7 TCP_MISS/502 210 GET http://example.com/a?b=c - HIER_NONE/- -"##);
}

#[test]
fn formats_that_cannot_mark_interim_lines_leave_none() {
    let record = FlowRecord { interim: true, ..a_tunnel() };
    for format in [Common, Combined, Squid] {
        assert_eq!(line(format, &record), "");
    }
}

fn any_duration() -> impl Strategy<Value = Duration> {
    any::<(u64, u32)>().prop_map(|(secs, nanos)| Duration::new(secs, nanos % 1_000_000_000))
}

prop_compose! {
    fn any_phases()(
        dns in prop::option::of(any_duration()), connect in prop::option::of(any_duration()),
        tls in prop::option::of(any_duration()), first_byte in prop::option::of(any_duration()),
        total in any_duration(),
    ) -> Phases {
        Phases { dns, connect, tls, first_byte, total }
    }
}

fn any_start() -> impl Strategy<Value = SystemTime> {
    any::<u64>()
        .prop_map(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH))
}

prop_compose! {
    fn any_record()(
        (number, started, client, user, method, target) in
            (any::<u64>(), any_start(), any::<SocketAddr>(), any::<Option<String>>(), any::<String>(), any::<String>()),
        (status, reason, detail, rule, parent) in (any::<u16>(), prop::option::of(prop::sample::select(Reason::ALL)),
            any::<Option<String>>(), any::<Option<String>>(), any::<Option<String>>()),
        (dialled, reused, bytes_up, bytes_down, phases) in
            (any::<Option<SocketAddr>>(), any::<bool>(), any::<u64>(), any::<u64>(), any_phases()),
        (user_agent, referer, traceparent, span, interim) in
            (any::<Option<String>>(), any::<Option<String>>(), any::<Option<String>>(), any::<Option<([u8; 16], [u8; 8])>>(), any::<bool>()),
        treatment in prop::sample::select(vec![
            Treatment::Forward,
            Treatment::Tunnel,
            Treatment::Intercept,
            Treatment::Local,
        ]),
        tls in prop::option::of((any::<String>(), any::<Option<String>>())),
        workload in prop::option::of((any::<String>(), any::<Option<String>>())),
    ) -> FlowRecord {
        FlowRecord {
            id: FlowIds::new(number, 0, 1).next_id(),
            started, client, tls: tls.map(|(name, sni)| Arc::new(session(&name, sni.as_deref()))),
            unattributed: None,
            workload: workload.map(|(namespace, account)| Arc::new(workload_of(&namespace, account.as_deref()))),
            user: user.map(|name| User { name: name.into(), proof: Proof::Ldap, groups: Groups::default(), workload: None }),
            method: MethodName::new(&method), target, treatment, status, reason, detail,
            basis: rule.map_or_else(Basis::default, |rule| Basis::of(RuleFacts::new("p", rule, Action::Deny))), tunnel_sni: None,
            parent: parent.map(Into::into), dialled, reused, bytes_up, bytes_down,
            phases, user_agent, referer, downstream: Protocol::Http2, upstream: None, upstream_tls: None, traceparent, span, interim,
            changes: None, replay_of: None,
        }
    }
}

fn workload_of(namespace: &str, account: Option<&str>) -> Workload {
    Workload { namespace: namespace.into(), service_account: account.map(Into::into), ..Workload::default() }
}

#[test]
fn a_client_that_is_a_workload_is_named() {
    let of = |account| FlowRecord { workload: Some(Arc::new(workload_of("shop", account))), ..a_record() };
    let both = of(Some("cart"));
    assert!(line(Json, &both).contains(r#","namespace":"shop","serviceAccount":"cart","method":"#));
    assert!(line(Logfmt, &both).contains(" namespace=shop serviceAccount=cart method="));
    let json = line(Json, &of(None));
    assert!(json.contains(r#","namespace":"shop","method":"#), "{json}");
}

fn session(name: &str, sni: Option<&str>) -> ClientTls {
    let certificate = ClientCertificate::new(vec![CertificateName::new(NameKind::Uri, name)]);
    ClientTls {
        version: TlsVersion::Tls13,
        cipher_suite: "TLS_AES_128_GCM_SHA256",
        server_name: sni.map(Into::into),
        resumed: true,
        certificate: Some(Arc::new(certificate)),
        listener: ([127, 0, 0, 1], 8443).into(),
        judged_by: 1,
    }
}

#[test]
fn a_client_with_a_certificate_is_named() {
    let tls = Some(Arc::new(session("spiffe://a/ns/b", Some("proxy.test"))));
    let record = FlowRecord { tls, ..a_tunnel() };
    let text = line(Json, &record);
    let expected = r#""clientName":"spiffe://a/ns/b","tlsVersion":"1.3","tlsCipher":"TLS_AES_128_GCM_SHA256","sni":"proxy.test","tlsResumed":true,"method":"#;
    assert!(text.contains(expected), "{text}");
    assert!(
        line(Common, &record).starts_with("2001:db8::1 - spiffe://a/ns/b ["),
        "{}",
        line(Common, &record)
    );
    assert!(line(Squid, &record).contains(" spiffe://a/ns/b FIRSTUP_PARENT/"), "{}", line(Squid, &record));
}

proptest! {
    #[test]
    fn any_record_is_one_harmless_line_in_every_format(record in any_record()) {
        for format in [Json, Common, Combined, Squid, Logfmt] {
            let mut out = Vec::new();
            LineFormatter::default().append(format, &record, &mut out);
            if record.interim && !matches!(format, Json | Logfmt) {
                prop_assert!(out.is_empty());
                continue;
            }
            let text = String::from_utf8(out).unwrap();
            let body = text.strip_suffix('\n').unwrap();
            prop_assert!(!body.is_empty());
            prop_assert!(!body.chars().any(char::is_control), "{format:?}: {body:?}");
            prop_assert!(!body.contains(['\u{2028}', '\u{2029}']), "{format:?}: {body:?}");
            match format {
                Squid => prop_assert_eq!(body.split_ascii_whitespace().count(), 10),
                Common | Combined => {
                    // Quotes that are not escaped come in pairs around the fields.
                    let bare = body.replace(r"\\", "").replace(r#"\""#, "");
                    prop_assert_eq!(bare.matches('"').count(), if format == Common { 2 } else { 6 });
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_json_line_gives_back_its_fields(record in any_record()) {
        let value: Value = serde_json::from_str(&line(Json, &record)).unwrap();
        let text = |key: &str| value[key].as_str();
        prop_assert_eq!(text("flow"), Some(record.id.as_str()));
        prop_assert_eq!(text("method"), Some(record.method.as_str()));
        prop_assert_eq!(text("target"), Some(record.target.as_str()));
        prop_assert_eq!(text("reason"), record.reason.map(Reason::code));
        prop_assert_eq!(text("detail"), record.detail.as_deref());
        prop_assert_eq!(text("rule"), record.rule().map(|facts| &*facts.rule));
        prop_assert_eq!(text("userAgent"), record.user_agent.as_deref());
        prop_assert_eq!(text("traceparent"), record.traceparent.as_deref());
        prop_assert_eq!(text("namespace"), record.workload.as_ref().map(|workload| &*workload.namespace));
        let account = record.workload.as_ref().and_then(|workload| workload.service_account.as_deref());
        prop_assert_eq!(text("serviceAccount"), account);
        prop_assert_eq!(value["status"].as_u64(), Some(u64::from(record.status)));
        prop_assert_eq!(value["bytesUp"].as_u64(), Some(record.bytes_up));
        prop_assert_eq!(value["bytesDown"].as_u64(), Some(record.bytes_down));
        prop_assert_eq!(value["reused"].as_bool(), Some(record.reused));
        prop_assert_eq!(value.get("dnsMs").is_some(), record.phases.dns.is_some());
        prop_assert!(value["totalMs"].is_number());
        prop_assert_eq!(value.get("interim").is_some(), record.interim);
        let route = record.parent.as_ref().map(|parent| format!("parent:{parent}"));
        prop_assert_eq!(text("route"), route.as_deref().or(record.dialled.map(|_| "direct")));
    }
}
