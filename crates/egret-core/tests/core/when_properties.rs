//! Conditions at random: none makes a panic, and what they say is what the interpreter of the `cel` crate says.

use std::collections::HashMap;
use std::sync::Arc;

use cel::{Context, Program, Value};
use egret_core::policy::when::{FaultKind, When};
use proptest::prelude::*;

use crate::properties;
use crate::when::Flow;

/// Pieces of expressions that are often valid beside each other.
const PIECES: &[&str] = &[
    "identity.user",
    "identity.groups",
    "identity.labels",
    "destination.port",
    "destination.ip",
    "request.headers",
    "request.query",
    "request.path",
    "time.now",
    "time.hour",
    "==",
    "!=",
    "<",
    "&&",
    "||",
    "!",
    "+",
    "-",
    "*",
    "/",
    "%",
    "in",
    "?",
    ":",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    "'a'",
    "\"b\"",
    "r'\\d'",
    "1",
    "0",
    "443",
    "true",
    "false",
    "null",
    "x",
    ".exists(x, ",
    ".map(x, ",
    ".filter(x, ",
    ".size()",
    "size(",
    "has(",
    "ip(",
    "cidr(",
    ".matches('^a')",
    ".startsWith(",
    ".split('/')",
    ".join(',')",
    "['a', 'b']",
    "[1, 2]",
    "{'a': 1}",
    ".a",
    "['a']",
    " ",
    "\n",
    "// c",
    "é",
    "'",
    "\\",
    "9223372036854775807",
    "1.5",
    "timestamp('2026-01-01T00:00:00Z')",
    "duration('1h')",
    "int(",
    "string(",
];

proptest! {
    #![proptest_config(properties())]

    #[test]
    fn no_text_makes_a_panic(text in ".{0,80}") {
        decide(&text);
    }

    #[test]
    fn no_pieces_make_a_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..14)) {
        decide(&pieces.join(" "));
        decide(&pieces.concat());
    }

    #[test]
    fn says_what_the_interpreter_says(text in truths(3)) {
        let when = match When::compile(&text) {
            Ok(when) => when,
            Err(errors) if errors[0].message.contains("could cost") => return Ok(()),
            Err(errors) => panic!("{text}: {errors:?}"),
        };
        let flow = Flow::new();
        let ours = flow.decide(&when, true);
        prop_assert_eq!(&ours, &flow.decide(&when, true), "{}", text);
        let program = Program::compile(&text).expect("what Egret takes is CEL");
        let theirs = program.execute(&context());
        match (&ours, &theirs) {
            (Ok(ours), Ok(Value::Bool(theirs))) => prop_assert_eq!(ours, theirs, "{}", text),
            (Err(FaultKind::TooExpensive | FaultKind::Internal), _) => prop_assert!(false, "{}: {:?}", text, ours),
            (Err(_), Err(_)) => {}
            _ => prop_assert!(false, "{}: Egret {:?}, the interpreter {:?}", text, ours, theirs),
        }
    }
}

/// Compiles and evaluates: whatever comes of it, it is no fault of Egret's own.
fn decide(text: &str) {
    if let Ok(when) = When::compile(text) {
        for with_request in [true, false] {
            let said = Flow::new().decide(&when, with_request);
            assert_ne!(said, Err(FaultKind::Internal), "{text}");
        }
    }
}

/// The same flow for the interpreter.
fn context() -> Context<'static, 'static> {
    fn texts(texts: &[&str]) -> Value {
        Value::List(Arc::new(texts.iter().map(|text| Value::from(*text)).collect()))
    }
    fn object(fields: &[(&str, Value)]) -> Value {
        Value::from(fields.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect::<HashMap<_, _>>())
    }
    let labels = object(&[("app", "build".into()), ("team", "tools".into())]);
    let identity =
        object(&[("user", "alice".into()), ("groups", texts(&["admins", "build"])), ("labels", labels)]);
    let destination = object(&[("host", "api.example.com".into()), ("port", Value::Int(443))]);
    let request = object(&[("path", "/v1/items/42".into())]);
    let mut context = Context::default();
    context.add_variable_from_value("identity", identity);
    context.add_variable_from_value("destination", destination);
    context.add_variable_from_value("request", request);
    context
}

fn of(texts: &[&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(texts.to_vec()).prop_map(str::to_owned).boxed()
}

/// Bools, with at most so many levels.
fn truths(levels: u32) -> BoxedStrategy<String> {
    let leaf = of(&[
        "true",
        "false",
        "has(identity.labels.app)",
        "has(identity.labels.none)",
        "('app' in identity.labels)",
    ]);
    if levels == 0 {
        return leaf;
    }
    let less = levels - 1;
    let order = of(&["==", "!=", "<", "<=", ">", ">="]);
    let test = of(&["startsWith", "endsWith", "contains"]);
    let quantifier = of(&["all", "exists", "exists_one"]);
    prop_oneof![
        1 => leaf,
        3 => (truths(less), of(&["&&", "||"]), truths(less)).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
        1 => truths(less).prop_map(|a| format!("!({a})")),
        1 => (truths(less), truths(less), truths(less)).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        3 => (numbers(less), order.clone(), numbers(less)).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
        3 => (texts(less), order, texts(less)).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
        2 => (texts(less), test, texts(less)).prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
        2 => (texts(less), lists(less)).prop_map(|(a, b)| format!("({a} in {b})")),
        1 => (lists(less), of(&["==", "!="]), lists(less)).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
        3 => (lists(less), quantifier, truths(less), texts(less)).prop_map(|(list, quantifier, body, text)| {
            format!("{list}.{quantifier}(x, x == {text} || {body} && x.size() > 1)")
        }),
        1 => (lists(less), texts(less)).prop_map(|(list, text)| format!("{list}.exists(y, y.contains({text}))")),
    ]
    .boxed()
}

fn numbers(levels: u32) -> BoxedStrategy<String> {
    let leaf = of(&[
        "0",
        "1",
        "-1",
        "7",
        "443",
        "9223372036854775807",
        "destination.port",
        "{'a': 1}['a']",
        "{'a': 1}.b",
    ]);
    if levels == 0 {
        return leaf;
    }
    let less = levels - 1;
    prop_oneof![
        2 => leaf,
        2 => (numbers(less), of(&["+", "-", "*", "/", "%"]), numbers(less)).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
        1 => numbers(less).prop_map(|a| format!("-({a})")),
        1 => texts(less).prop_map(|a| format!("size({a})")),
        1 => lists(less).prop_map(|a| format!("{a}.size()")),
        1 => (truths(less), numbers(less), numbers(less)).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
    ]
    .boxed()
}

fn texts(levels: u32) -> BoxedStrategy<String> {
    let leaf = of(&[
        "'alice'",
        "''",
        "'a'",
        "\"é\"",
        "identity.user",
        "destination.host",
        "request.path",
        "identity.labels.team",
        "identity.labels['none']",
        "'build'",
    ]);
    if levels == 0 {
        return leaf;
    }
    let less = levels - 1;
    prop_oneof![
        3 => leaf,
        1 => (texts(less), texts(less)).prop_map(|(a, b)| format!("({a} + {b})")),
        1 => (lists(less), numbers(0)).prop_map(|(a, b)| format!("{a}[{b}]")),
        1 => (truths(less), texts(less), texts(less)).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        1 => numbers(less).prop_map(|a| format!("string({a})")),
    ]
    .boxed()
}

/// Lists of strings.
fn lists(levels: u32) -> BoxedStrategy<String> {
    let leaf = of(&["identity.groups", "['a', 'build']", "['alice', 'é', 'a']"]);
    if levels == 0 {
        return leaf;
    }
    let less = levels - 1;
    prop_oneof![
        2 => leaf,
        1 => prop::collection::vec(texts(less), 1..4).prop_map(|texts| format!("[{}]", texts.join(", "))),
        1 => (lists(less), lists(less)).prop_map(|(a, b)| format!("({a} + {b})")),
        1 => (lists(less), texts(less)).prop_map(|(a, b)| format!("{a}.map(z, z + {b})")),
        1 => (lists(less), texts(less)).prop_map(|(a, b)| format!("{a}.filter(z, z != {b})")),
    ]
    .boxed()
}
