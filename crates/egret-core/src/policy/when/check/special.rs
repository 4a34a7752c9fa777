//! What can be done when a condition is loaded: patterns are compiled, and what is read from a text that stands
//! in the condition is read.

use regex::RegexBuilder;

use super::super::cost::{self, Size};
use super::super::functions::{Function, Overload};
use super::super::program::{Expr, Node, Pattern};
use super::super::read;
use super::super::types::Type;
use super::super::variables::Variable;
use super::{Checker, Typed};

/// The longest pattern, in bytes.
pub(in super::super) const MAX_PATTERN_BYTES: usize = 1024;
/// The largest compiled pattern, and the largest cache of its automaton, in bytes.
const MAX_COMPILED_BYTES: usize = 256 * 1024;
/// How deep groups and repetitions in a pattern may be nested.
const MAX_PATTERN_NESTING: u32 = 32;

impl Checker<'_> {
    /// `text.matches(pattern)`, both strings.
    pub(super) fn pattern(&mut self, at: usize, text: Typed, pattern: &Typed) -> Typed {
        let place = pattern.expr.at as usize;
        let Node::Text(source) = &pattern.expr.node else {
            let help = "use startsWith(), endsWith() or contains() with what is not known beforehand";
            return self.wrong(place, "the pattern of `matches` must be a text that stands here", help);
        };
        if source.len() > MAX_PATTERN_BYTES {
            let message =
                format!("the pattern has {} bytes, at most {MAX_PATTERN_BYTES} are allowed", source.len());
            return self.wrong(place, message, "");
        }
        let compiled = RegexBuilder::new(source)
            .size_limit(MAX_COMPILED_BYTES)
            .dfa_size_limit(MAX_COMPILED_BYTES)
            .nest_limit(MAX_PATTERN_NESTING)
            .build();
        let regex = match compiled {
            Ok(regex) => regex,
            Err(regex::Error::CompiledTooBig(_)) => {
                return self.wrong(place, "the pattern is too large when compiled", "repeat less in it");
            }
            Err(error) => {
                // The last line says what; those before draw the place.
                let told = error.to_string();
                let told = told.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                return self.wrong(place, format!("the pattern is no regular expression: {told}"), "");
            }
        };
        let length = source.len() as u64;
        let cost = text.cost.saturating_add(1 + cost::matching(text.size.total(), length));
        let node = Node::Matches(Box::new(text.expr), Box::new(Pattern { regex, length }));
        self.made(at, node, Type::Bool, Size::ONE, cost)
    }

    /// A call whose operands were checked.
    pub(super) fn applied(
        &mut self,
        at: usize,
        overload: &Overload,
        receiver: Option<Typed>,
        arguments: Vec<Typed>,
    ) -> Typed {
        let operands: Vec<Typed> = receiver.into_iter().chain(arguments).collect();
        let value_type = overload.gives.value_type();
        let function = overload.function;
        let (own, size) = estimate(function, &operands);
        let cost = operands.iter().fold(own, |cost, operand| cost.saturating_add(operand.cost));
        let operands = operands.into_iter().map(|operand| operand.expr).collect();
        let node = self.resolved(function, operands);
        self.made(at, node, value_type, size, cost)
    }

    /// The call, or what it gives, where that is known now.
    fn resolved(&mut self, function: Function, mut operands: Vec<Expr>) -> Node {
        use Function as F;
        match (function, operands.as_slice()) {
            (F::ReadIp, [one]) => match &one.node {
                Node::Text(text) => return self.literal_of(one, read::ip(text).map(Node::Ip), read::IP),
                Node::Variable(Variable::DestinationIp) => return Node::DestinationAddress,
                Node::Variable(Variable::ClientIp) => return Node::ClientAddress,
                _ => {}
            },
            (F::ReadCidr, [one]) => {
                if let Node::Text(text) = &one.node {
                    return self.literal_of(one, read::cidr(text).map(Node::Cidr), read::CIDR);
                }
            }
            (F::ReadTime, [one]) => {
                if let Node::Text(text) = &one.node {
                    return self.literal_of(one, read::time(text).map(Node::Time), read::TIME);
                }
            }
            (F::ReadSpan, [one]) => {
                if let Node::Text(text) = &one.node {
                    return self.literal_of(one, read::span(text).map(Node::Span), read::SPAN);
                }
            }
            (F::ContainsIpText, [_, one]) => {
                let at = one.at;
                let node = match &one.node {
                    Node::Text(text) => self.literal_of(one, read::ip(text).map(Node::Ip), read::IP),
                    Node::Variable(Variable::DestinationIp) => Node::DestinationAddress,
                    Node::Variable(Variable::ClientIp) => Node::ClientAddress,
                    _ => return Node::Call(function, operands),
                };
                operands[1] = Expr { at, node };
                return Node::Call(F::ContainsIp, operands);
            }
            (F::ContainsCidrText, [_, one]) => {
                if let Node::Text(text) = &one.node {
                    let at = one.at;
                    let node = self.literal_of(one, read::cidr(text).map(Node::Cidr), read::CIDR);
                    operands[1] = Expr { at, node };
                    return Node::Call(F::ContainsCidr, operands);
                }
            }
            (F::Same, [_]) => {
                if let Some(one) = operands.pop() {
                    return one.node;
                }
            }
            _ => {}
        }
        Node::Call(function, operands)
    }

    fn literal_of(&mut self, text: &Expr, node: Option<Node>, what: &str) -> Node {
        node.unwrap_or_else(|| {
            if let Node::Text(value) = &text.node {
                self.error(text.at as usize, format!("{value:?} is no {what}"), "");
            }
            Node::Bool(false)
        })
    }
}

/// What a function costs by itself, and how large its result can be.
fn estimate(function: Function, operands: &[Typed]) -> (u64, Size) {
    use Function as F;
    let size = |at: usize| operands.get(at).map_or(Size::ONE, |operand| operand.size.clone());
    let through = |at: usize| 1 + cost::bytes(size(at).total());
    match function {
        F::StartsWith | F::EndsWith => (through(1), Size::ONE),
        F::Contains | F::TextSize | F::IndexOf | F::LastIndexOf => (through(0), Size::ONE),
        F::LowerAscii | F::UpperAscii | F::Trim | F::Substring | F::SubstringTo => (through(0), size(0)),
        F::CharAt => (through(0), Size::text(4)),
        F::Split | F::SplitAtMost => {
            let bytes = size(0).total();
            // Many pieces are short ones; what is worse meets the budget of the evaluation.
            let pieces = Size::many(bytes.saturating_add(1).min(256), Size::text(bytes.min(256)));
            (1 + cost::bytes(bytes), pieces)
        }
        F::Join => (through(0), Size::text(size(0).total())),
        F::JoinWith => {
            let bytes = size(0).total().saturating_add(size(0).count.saturating_mul(size(1).total()));
            (1 + cost::bytes(bytes), Size::text(bytes))
        }
        F::Replace => {
            // At worst each byte, and what is before and behind it, is replaced.
            let bytes = size(0).total().saturating_add(1).saturating_mul(size(2).total().saturating_add(1));
            (1 + cost::bytes(bytes), Size::text(bytes))
        }
        F::TextOfInt | F::TextOfBool | F::TextOfIp | F::TextOfCidr | F::TextOfTime | F::TextOfSpan => {
            (5, Size::text(64))
        }
        F::Same => (0, size(0)),
        F::IntOfText | F::ReadIp | F::ReadCidr | F::ReadTime | F::ReadSpan | F::IsIp | F::IsCidr => {
            (5 + through(0), Size::ONE)
        }
        F::ContainsIpText | F::ContainsCidrText => (5 + through(1), Size::ONE),
        _ => (1, Size::ONE),
    }
}
