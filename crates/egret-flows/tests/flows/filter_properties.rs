use proptest::prelude::*;

use egret_flows::filter::{
    Atom, Expr, Filter, Flag, Glob, NetField, NumberField, Pattern, Range, Test, TextField, TextMatch,
};
use egret_flows::flow::Side;

use crate::{properties, some};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z.*/:-]{0,8}", "[ -~]{0,8}", "[\"'\\\\()|&!~= é日]{0,6}"]
}

fn pattern(atom: Atom) -> impl Strategy<Value = Pattern> {
    // Escaped, any text is an expression.
    prop_oneof![text().prop_map(|text| regex::escape(&text)), "[a-z]{1,3}([.|+*]|\\\\d|\\(x\\)|[\"' ])?"]
        .prop_filter_map("an expression", move |source| Pattern::new(&source, atom).ok())
}

fn test() -> impl Strategy<Value = Test> {
    let range = (any::<u64>(), any::<u64>(), 0..3).prop_map(|(a, b, kind)| match kind {
        0 => Range { min: a, max: a },
        1 => Range { min: a.min(b), max: a.max(b) },
        _ => Range { min: a % 1000, max: u64::MAX },
    });
    let range = range.prop_map(|range| Range { min: range.min, max: range.max.max(range.min) });
    prop_oneof![
        prop::sample::select(Atom::ALL)
            .prop_flat_map(|atom| pattern(atom).prop_map(move |p| Test::Regex(atom, p))),
        prop::sample::select(Flag::ALL).prop_map(Test::Is),
        (prop::sample::select(TextField::ALL), text()).prop_filter_map(
            "a text that is no network",
            |(field, text)| {
                let net = matches!(field, TextField::Client | TextField::Address);
                // After the colon, a tilde says that an expression follows.
                let other = text.starts_with('~') || (net && text.parse::<ipnet::IpNet>().is_ok());
                (!other).then(|| Test::Text(field, TextMatch::Glob(Glob::new(&text))))
            }
        ),
        (prop::sample::select(TextField::ALL), pattern(Atom::Url))
            .prop_map(|(field, pattern)| Test::Text(field, TextMatch::Regex(pattern))),
        (prop::sample::select(NumberField::ALL), range).prop_map(|(field, range)| Test::Number(field, range)),
        (prop::sample::select(NetField::ALL), any::<[u8; 4]>(), 0..=32_u8).prop_map(
            |(field, octets, length)| {
                let net = ipnet::Ipv4Net::new(octets.into(), length).expect("a length").trunc();
                Test::Net(field, net.into())
            }
        ),
        (
            prop::option::of(prop_oneof![Just(Side::Request), Just(Side::Response)]),
            "[a-z-]{1,8}",
            prop::option::of(text())
        )
            .prop_map(|(side, name, value)| Test::Header(
                side,
                name,
                value.map(|value| Glob::new(&value))
            )),
    ]
}

/// Any expression in its normal form: no list within a list of its kind, none with fewer than two.
fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![1 => Just(Expr::All), 9 => test().prop_map(Expr::Test)];
    leaf.prop_recursive(4, 16, 4, |inner| {
        let list = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.clone().prop_map(|expr| Expr::Not(Box::new(expr))),
            list().prop_map(|all| Expr::And(
                all.into_iter()
                    .flat_map(|e| if let Expr::And(inner) = e { inner } else { vec![e] })
                    .collect()
            )),
            list().prop_map(|all| Expr::Or(
                all.into_iter().flat_map(|e| if let Expr::Or(inner) = e { inner } else { vec![e] }).collect()
            )),
        ]
    })
}

fn regexes(expr: &Expr) -> usize {
    match expr {
        Expr::Not(inner) => regexes(inner),
        Expr::And(all) | Expr::Or(all) => all.iter().map(regexes).sum(),
        Expr::Test(Test::Regex(..) | Test::Text(_, TextMatch::Regex(_))) => 1,
        Expr::All | Expr::Test(_) => 0,
    }
}

proptest! {
    #![proptest_config(properties())]

    #[test]
    fn what_is_printed_reads_as_the_same(expr in expr()) {
        prop_assume!(regexes(&expr) <= 20);
        let printed = expr.to_string();
        let again = Filter::parse(&printed);
        let again = again.map_err(|error| TestCaseError::fail(format!("{printed}\n{error}")))?;
        prop_assert_eq!(again.expr(), &expr, "{}", printed);
    }

    #[test]
    fn any_text_is_a_filter_or_an_error_in_its_bounds(text in "[ -~é]{0,40}") {
        match Filter::parse(&text) {
            Ok(filter) => {
                for flow in [some::full(), some::tunnel(), some::websocket()] {
                    let found = filter.matches(&flow, some::STARTED, &());
                    let again = Filter::parse(&filter.to_string()).expect("it reads");
                    prop_assert_eq!(again.matches(&flow, some::STARTED, &()), found);
                }
            }
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.column)),
        }
    }
}
