//! The functions of conditions: how they are called, and with what.

use super::types::Type;

/// A function, all of whose overloads have been told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    StartsWith,
    EndsWith,
    Contains,
    TextSize,
    ListSize,
    MapSize,
    LowerAscii,
    UpperAscii,
    Trim,
    Split,
    SplitAtMost,
    Join,
    JoinWith,
    Replace,
    Substring,
    SubstringTo,
    IndexOf,
    LastIndexOf,
    CharAt,
    IntOfText,
    IntOfTime,
    TextOfInt,
    TextOfBool,
    TextOfIp,
    TextOfCidr,
    TextOfTime,
    TextOfSpan,
    Same,
    ReadTime,
    ReadSpan,
    ReadIp,
    ReadCidr,
    IsIp,
    IsCidr,
    Family,
    IsLoopback,
    IsUnspecified,
    IsLinkLocal,
    IsGlobalUnicast,
    ContainsIp,
    ContainsIpText,
    ContainsCidr,
    ContainsCidrText,
    NetworkAddress,
    Masked,
    PrefixLength,
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
    SpanHours,
    SpanMinutes,
    SpanSeconds,
    SpanMilliseconds,
}

/// What an operand of a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Text,
    Time,
    Span,
    Ip,
    Cidr,
    Texts,
    AnyList,
    AnyMap,
}

impl Kind {
    pub(super) fn takes(self, given: &Type) -> bool {
        match (self, given) {
            (_, Type::Nothing | Type::Wrong) => true,
            (Self::Texts, Type::List(of)) => matches!(**of, Type::String | Type::Nothing | Type::Wrong),
            (Self::AnyList, Type::List(_)) | (Self::AnyMap, Type::Map(..)) => true,
            _ => self.value_type() == *given,
        }
    }

    pub(super) fn value_type(self) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Text => Type::String,
            Self::Time => Type::Timestamp,
            Self::Span => Type::Duration,
            Self::Ip => Type::Ip,
            Self::Cidr => Type::Cidr,
            Self::Texts => Type::list(Type::String),
            Self::AnyList => Type::list(Type::Nothing),
            Self::AnyMap => Type::map(Type::Nothing, Type::Nothing),
        }
    }

    /// With its article, for a sentence.
    pub(super) fn one(self) -> String {
        match self {
            Self::AnyList => "a list".into(),
            Self::AnyMap => "a map".into(),
            _ => self.value_type().one(),
        }
    }
}

/// One way to call a function.
#[derive(Debug)]
pub(super) struct Overload {
    pub(super) name: &'static str,
    /// What stands before the dot, where there is one: `x.f(…)`.
    pub(super) receiver: Option<Kind>,
    pub(super) takes: &'static [Kind],
    pub(super) gives: Kind,
    pub(super) function: Function,
}

const fn global(name: &'static str, takes: &'static [Kind], gives: Kind, function: Function) -> Overload {
    Overload { name, receiver: None, takes, gives, function }
}

const fn method(
    name: &'static str,
    receiver: Kind,
    takes: &'static [Kind],
    gives: Kind,
    function: Function,
) -> Overload {
    Overload { name, receiver: Some(receiver), takes, gives, function }
}

/// All of them, but for what is checked in its own way: `has`, `matches` and the loops.
pub(super) const OVERLOADS: &[Overload] = {
    use Function as F;
    use Kind::{AnyList, AnyMap, Bool, Cidr, Int, Ip, Span, Text, Texts, Time};
    &[
        method("startsWith", Text, &[Text], Bool, F::StartsWith),
        method("endsWith", Text, &[Text], Bool, F::EndsWith),
        method("contains", Text, &[Text], Bool, F::Contains),
        global("size", &[Text], Int, F::TextSize),
        global("size", &[AnyList], Int, F::ListSize),
        global("size", &[AnyMap], Int, F::MapSize),
        method("size", Text, &[], Int, F::TextSize),
        method("size", AnyList, &[], Int, F::ListSize),
        method("size", AnyMap, &[], Int, F::MapSize),
        method("lowerAscii", Text, &[], Text, F::LowerAscii),
        method("upperAscii", Text, &[], Text, F::UpperAscii),
        method("trim", Text, &[], Text, F::Trim),
        method("split", Text, &[Text], Texts, F::Split),
        method("split", Text, &[Text, Int], Texts, F::SplitAtMost),
        method("join", Texts, &[], Text, F::Join),
        method("join", Texts, &[Text], Text, F::JoinWith),
        method("replace", Text, &[Text, Text], Text, F::Replace),
        method("substring", Text, &[Int], Text, F::Substring),
        method("substring", Text, &[Int, Int], Text, F::SubstringTo),
        method("indexOf", Text, &[Text], Int, F::IndexOf),
        method("lastIndexOf", Text, &[Text], Int, F::LastIndexOf),
        method("charAt", Text, &[Int], Text, F::CharAt),
        global("int", &[Int], Int, F::Same),
        global("int", &[Text], Int, F::IntOfText),
        global("int", &[Time], Int, F::IntOfTime),
        global("string", &[Text], Text, F::Same),
        global("string", &[Int], Text, F::TextOfInt),
        global("string", &[Bool], Text, F::TextOfBool),
        global("string", &[Ip], Text, F::TextOfIp),
        global("string", &[Cidr], Text, F::TextOfCidr),
        global("string", &[Time], Text, F::TextOfTime),
        global("string", &[Span], Text, F::TextOfSpan),
        global("timestamp", &[Time], Time, F::Same),
        global("timestamp", &[Text], Time, F::ReadTime),
        global("duration", &[Span], Span, F::Same),
        global("duration", &[Text], Span, F::ReadSpan),
        global("ip", &[Text], Ip, F::ReadIp),
        global("isIP", &[Text], Bool, F::IsIp),
        global("cidr", &[Text], Cidr, F::ReadCidr),
        global("isCIDR", &[Text], Bool, F::IsCidr),
        method("family", Ip, &[], Int, F::Family),
        method("isLoopback", Ip, &[], Bool, F::IsLoopback),
        method("isUnspecified", Ip, &[], Bool, F::IsUnspecified),
        method("isLinkLocalUnicast", Ip, &[], Bool, F::IsLinkLocal),
        method("isGlobalUnicast", Ip, &[], Bool, F::IsGlobalUnicast),
        method("containsIP", Cidr, &[Ip], Bool, F::ContainsIp),
        method("containsIP", Cidr, &[Text], Bool, F::ContainsIpText),
        method("containsCIDR", Cidr, &[Cidr], Bool, F::ContainsCidr),
        method("containsCIDR", Cidr, &[Text], Bool, F::ContainsCidrText),
        method("ip", Cidr, &[], Ip, F::NetworkAddress),
        method("masked", Cidr, &[], Cidr, F::Masked),
        method("prefixLength", Cidr, &[], Int, F::PrefixLength),
        method("getFullYear", Time, &[], Int, F::FullYear),
        method("getMonth", Time, &[], Int, F::Month),
        method("getDate", Time, &[], Int, F::Date),
        method("getDayOfMonth", Time, &[], Int, F::DayOfMonth),
        method("getDayOfWeek", Time, &[], Int, F::DayOfWeek),
        method("getDayOfYear", Time, &[], Int, F::DayOfYear),
        method("getHours", Time, &[], Int, F::Hours),
        method("getMinutes", Time, &[], Int, F::Minutes),
        method("getSeconds", Time, &[], Int, F::Seconds),
        method("getMilliseconds", Time, &[], Int, F::Milliseconds),
        method("getHours", Span, &[], Int, F::SpanHours),
        method("getMinutes", Span, &[], Int, F::SpanMinutes),
        method("getSeconds", Span, &[], Int, F::SpanSeconds),
        method("getMilliseconds", Span, &[], Int, F::SpanMilliseconds),
    ]
};

/// What is checked in its own way, and the number of arguments that it takes.
pub(super) const SPECIAL: &[(&str, &[usize])] = &[
    ("has", &[1]),
    ("matches", &[1, 2]),
    ("all", &[2]),
    ("exists", &[2]),
    ("exists_one", &[2]),
    ("existsOne", &[2]),
    ("filter", &[2]),
    ("map", &[2, 3]),
];

/// The names of all functions and loops, for the manual.
#[must_use]
pub fn functions() -> Vec<&'static str> {
    let mut all: Vec<_> = names().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The names of all functions, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OVERLOADS.iter().map(|overload| overload.name).chain(SPECIAL.iter().map(|(name, _)| *name))
}
