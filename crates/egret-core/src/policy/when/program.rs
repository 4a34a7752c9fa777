//! A checked condition, as it is evaluated.

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use std::net::IpAddr;

use super::functions::Function;
use super::variables::Variable;

/// A node and the byte of the text that it stands at.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) at: u32,
    pub(super) node: Node,
}

/// What a node does. The checker has seen to it that operands have the right types.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Bool(bool),
    Int(i64),
    Text(Box<str>),
    Time(Timestamp),
    Span(SignedDuration),
    Ip(IpAddr),
    Cidr(IpNet),
    Variable(Variable),
    /// The destination's address itself: `ip(destination.ip)` without the way through a text.
    DestinationAddress,
    /// The client's address itself.
    ClientAddress,
    /// Whether a variable is there: `has(request.bodyLength)`.
    HasVariable(Variable),
    /// The variable of a loop, by its depth.
    Local(usize),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    If(Box<[Expr; 3]>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// Whether one of these texts, in order, is it: `x in ["a", "b"]`.
    InTexts(Box<Expr>, Box<[Box<str>]>),
    /// Whether one of these numbers, in order, is it.
    InInts(Box<Expr>, Box<[i64]>),
    In(Box<Expr>, Box<Expr>),
    Index(Box<Expr>, Box<Expr>),
    /// The value of one header: the others are not looked at.
    Header(Box<str>),
    /// Whether a header is there.
    HasHeader(Box<str>),
    Matches(Box<Expr>, Box<Pattern>),
    Call(Function, Vec<Expr>),
    Loop(Box<Loop>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A pattern, and how long its text is.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    pub(super) length: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// `range.all(x, body)` and its like.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    pub(super) kind: LoopKind,
    pub(super) range: Expr,
    /// Of `map(x, condition, body)`.
    pub(super) condition: Option<Expr>,
    pub(super) body: Expr,
}
