use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use egret_flows::changes::{
    BreakpointSpec, ChangeError, Changes, HeldBody, HoldLimits, Holding, NotHeld, OnTimeout, Release,
    ReleaseError, RuleSource, Ticket, Verdict,
};
use egret_flows::edit::{BodyEdit, EditError, FieldEdit, RequestEdit, ResponseEdit};
use egret_flows::flow::{Flow, Side};
use egret_flows::redact::{RedactionSettings, Redactor};
use egret_flows::rules::{RuleSpec, subject, subject_response};

use crate::capture::begin;

fn flow() -> Flow {
    subject(
        &begin(1),
        b"POST /v1/a?token=secret&b=c HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer abc\r\nX-A: 1\r\nContent-Length: 4\r\n\r\n",
    )
}

fn rule(name: &str, filter: &str) -> RuleSpec {
    serde_json::from_value(json!({ "name": name, "filter": filter, "actions": [{ "block": {} }] }))
        .expect("a rule")
}

fn point(filter: &str, phase: &str) -> BreakpointSpec {
    serde_json::from_value(json!({ "filter": filter, "phase": phase })).expect("a breakpoint")
}

fn held(changes: &Changes, flow: Flow, side: Side, body: HeldBody) -> Result<Ticket, NotHeld> {
    changes.hold(Holding {
        flow,
        side,
        breakpoint: "b1".into(),
        written: "host:*".into(),
        time: Duration::from_secs(60),
        on_timeout: OnTimeout::GoOn,
        body,
    })
}

fn verdict(ticket: &mut Ticket) -> Option<Verdict> {
    match ticket.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => Some(verdict),
        Poll::Pending => None,
    }
}

fn redactor() -> Redactor {
    Redactor::new(&RedactionSettings::default()).expect("the defaults")
}

#[test]
fn nothing_is_asked_where_there_is_nothing() {
    let changes = Changes::default();
    assert!(changes.active().is_none());
    let added = changes.add_rule(rule("one", "host:a")).expect("a good rule");
    assert!(
        changes
            .active()
            .is_some_and(|active| active.concerns(Side::Request) && !active.concerns(Side::Response))
    );
    changes
        .replace_rule(&added.id, RuleSpec { enabled: false, ..rule("one", "host:a") })
        .expect("switched off");
    assert!(changes.active().is_none());
    changes.remove_rule(&added.id).expect("removed");
    assert_eq!(changes.remove_rule(&added.id), Err(ChangeError::Unknown(added.id)));
}

#[test]
fn rules_of_the_configuration_come_first_and_stay_as_they_are() {
    let changes = Changes::default();
    changes.add_rule(rule("mine", "")).expect("a good rule");
    changes.set_configured(&[rule("theirs", "host:api.*")]).expect("good rules");
    let names: Vec<_> = changes.rules().into_iter().map(|rule| (rule.spec.name, rule.source)).collect();
    assert_eq!(names, [("theirs".to_owned(), RuleSource::Config), ("mine".to_owned(), RuleSource::Console)]);
    let id = changes.rules()[0].id.clone();
    assert_eq!(changes.remove_rule(&id), Err(ChangeError::FromConfig("theirs".to_owned())));
    let active = changes.active().expect("rules");
    let _ = active.rules.on_request(&mut flow(), 5);
    // A reload that leaves a rule as it is leaves its count as well.
    changes.set_configured(&[rule("new", "host:none"), rule("theirs", "host:api.*")]).expect("good rules");
    assert_eq!(changes.rules()[1].hits, 1);
    // One that is wrong changes nothing.
    assert!(changes.set_configured(&[rule("bad", "hots:x")]).is_err());
    assert_eq!(changes.rules().len(), 3);
    assert!(changes.add_rule(RuleSpec { enabled: false, ..rule("bad", "hots:x") }).is_err());
}

#[test]
fn a_breakpoint_holds_while_somebody_is_there() {
    let changes = Changes::default();
    let added = changes.add_breakpoint(point("host:api.example.com", "request")).expect("a good breakpoint");
    let active = changes.active().expect("a breakpoint");
    assert!(active.breakpoint(&flow(), Side::Request, 1).is_some());
    assert!(active.breakpoint(&flow(), Side::Response, 1).is_none());
    assert_eq!(held(&changes, flow(), Side::Request, HeldBody::None).err(), Some(NotHeld::Unwatched));

    let watching = changes.watch();
    let mut ticket = held(&changes, flow(), Side::Request, HeldBody::None).expect("it is held");
    assert_eq!((verdict(&mut ticket), changes.held_count()), (None, 1));
    assert_eq!(changes.release_if_unwatched(), 0);
    drop(watching);
    assert_eq!((changes.release_if_unwatched(), verdict(&mut ticket)), (1, Some(Verdict::GoOn)));

    changes.asked();
    let mut by_point = changes
        .hold(Holding {
            flow: flow(),
            side: Side::Request,
            breakpoint: Arc::from(added.id.as_str()),
            written: "".into(),
            time: Duration::from_secs(1),
            on_timeout: OnTimeout::Drop,
            body: HeldBody::None,
        })
        .expect("it is held");
    changes.remove_breakpoint(&added.id).expect("removed");
    assert_eq!(verdict(&mut by_point), Some(Verdict::GoOn));
}

#[test]
fn holds_no_more_than_it_may_and_forgets_who_has_gone() {
    let changes = Changes::default();
    changes.set_limits(HoldLimits { flows: 1, ..HoldLimits::default() });
    let _watching = changes.watch();
    let first = held(&changes, flow(), Side::Request, HeldBody::None).expect("it is held");
    assert_eq!(changes.may_hold(), Err(NotHeld::Full));
    assert_eq!(held(&changes, flow(), Side::Request, HeldBody::None).err(), Some(NotHeld::Full));
    drop(first);
    assert_eq!((changes.held_count(), changes.may_hold()), (0, Ok(())));
}

#[test]
fn what_is_shown_is_redacted_and_what_goes_on_is_not() {
    let changes = Changes::default();
    let _watching = changes.watch();
    let mut ticket =
        held(&changes, flow(), Side::Request, HeldBody::Whole(Bytes::from("a=b&"))).expect("it is held");
    let shown = changes.held(&redactor());
    let request = &shown[0].flow.request;
    assert_eq!(request.path, "/v1/a?token=%5Bredacted%5D&b=c");
    assert_eq!(request.headers.text("authorization"), Some("Bearer [redacted]"));
    let edit = RequestEdit {
        target: Some("https://api.example.com/v2/a?token=%5Bredacted%5D&b=d".into()),
        headers: Some(vec![
            FieldEdit { name: "Host".into(), value: Some("api.example.com".into()), ..FieldEdit::default() },
            FieldEdit { name: "Authorization".into(), redacted: true, ..FieldEdit::default() },
            FieldEdit { name: "X-B".into(), value: Some("2".into()), ..FieldEdit::default() },
        ]),
        body: Some(BodyEdit::Text("longer body".into())),
        ..RequestEdit::default()
    };
    let id = shown[0].flow.id;
    changes.release(id, &Release::GoOn { request: Some(edit), response: None }).expect("it goes on");
    let Some(Verdict::Changed(changed, body)) = verdict(&mut ticket) else { panic!("it was changed") };
    assert_eq!(changed.request.path, "/v2/a?token=secret&b=d");
    assert_eq!(changed.request.headers.text("authorization"), Some("Bearer abc"));
    assert_eq!(changed.request.headers.text("content-length"), Some("11"));
    assert_eq!((changed.request.headers.text("x-a"), changed.request.headers.text("x-b")), (None, Some("2")));
    assert_eq!(body, Some(Bytes::from("longer body")));
    assert_eq!(changes.release(id, &Release::Drop), Err(ReleaseError::NotHeld));
}

#[test]
fn refuses_edits_that_cannot_be_sent_and_goes_on_holding() {
    let changes = Changes::default();
    let _watching = changes.watch();
    let ticket = held(&changes, flow(), Side::Request, HeldBody::TooLong).expect("it is held");
    let id = flow().id;
    let go_on =
        |request: Option<RequestEdit>, response: Option<ResponseEdit>| Release::GoOn { request, response };
    let body = |text: &str| Some(BodyEdit::Text(text.into()));
    type Expected = fn(&ReleaseError) -> bool;
    let table: [(Release, Expected); 6] = [
        (go_on(Some(RequestEdit { body: body("x"), ..RequestEdit::default() }), None), |error| {
            matches!(error, ReleaseError::BodyTooLong(_))
        }),
        (go_on(Some(RequestEdit { method: Some("G T".into()), ..RequestEdit::default() }), None), |error| {
            matches!(error, ReleaseError::Edit(EditError::Wrong(_)))
        }),
        (
            go_on(
                Some(RequestEdit { target: Some("/?other=%5Bredacted%5D".into()), ..RequestEdit::default() }),
                None,
            ),
            |error| matches!(error, ReleaseError::Edit(EditError::Redacted(_))),
        ),
        (go_on(None, Some(ResponseEdit { status: Some(200), ..ResponseEdit::default() })), |error| {
            matches!(error, ReleaseError::Edit(EditError::Wrong(_)))
        }),
        (Release::Answer(ResponseEdit { status: Some(99), ..ResponseEdit::default() }), |error| {
            matches!(error, ReleaseError::Edit(EditError::Wrong(_)))
        }),
        (
            Release::Answer(ResponseEdit { status: Some(204), body: body("x"), ..ResponseEdit::default() }),
            |error| matches!(error, ReleaseError::Edit(EditError::Wrong(_))),
        ),
    ];
    for (release, expected) in table {
        let error = changes.release(id, &release).expect_err("it cannot be done");
        assert!(expected(&error), "{release:?}: {error}");
    }
    assert_eq!(changes.held_count(), 1);
    drop(ticket);
}

#[test]
fn a_response_is_edited_with_its_length_made_right() {
    let changes = Changes::default();
    let _watching = changes.watch();
    let mut flow = flow();
    subject_response(
        &mut flow,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n",
    );
    let id = flow.id;
    let mut ticket = held(&changes, flow, Side::Response, HeldBody::Whole(Bytes::new())).expect("it is held");
    let edit = ResponseEdit {
        status: Some(503),
        body: Some(BodyEdit::Text("down".into())),
        ..ResponseEdit::default()
    };
    changes.release(id, &Release::GoOn { request: None, response: Some(edit) }).expect("it goes on");
    let Some(Verdict::Changed(changed, body)) = verdict(&mut ticket) else { panic!("it was changed") };
    let response = changed.response.expect("a response");
    assert_eq!((response.status, body), (503, Some(Bytes::from("down"))));
    let fields: Vec<_> =
        response.headers.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
    assert_eq!(fields, ["X", "Content-Length"]);
}
