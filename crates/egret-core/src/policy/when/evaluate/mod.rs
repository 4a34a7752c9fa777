//! Evaluates a checked condition.
//!
//! As CEL has it, `&&` and `||` are decided by either side alone where it suffices, even if the other side is a
//! fault, and so are `all` and `exists` by one element.

use std::rc::Rc;

use super::super::Ask;
use super::cost::{self, MAX_COST};
use super::error::position;
use super::fault::{FaultKind, WhenFault};
use super::program::{Arithmetic, Comparison, Expr, Loop, LoopKind, Node};
use super::value::{List, Map, Text, Value};

mod functions;
mod texts;
mod variables;

/// Whether the condition holds.
///
/// # Errors
/// Why it can neither be said to hold nor not to.
pub(super) fn evaluate(text: &str, whole: &Expr, ask: &Ask<'_>) -> Result<bool, WhenFault> {
    let mut run = Run { ask, budget: MAX_COST, headers: None, query: None, locals: Vec::new() };
    run.test(whole).map_err(|fault| {
        let (line, column) = position(text, fault.at as usize);
        WhenFault::new(fault.kind, line as u32, column as u32)
    })
}

/// A fault and the byte of the condition that it happened at.
struct Fault {
    kind: FaultKind,
    at: u32,
}

impl Fault {
    /// Whether another operand may decide instead.
    fn may_be_passed_over(&self) -> bool {
        !matches!(self.kind, FaultKind::TooExpensive | FaultKind::Internal)
    }
}

type Outcome<T> = Result<T, Box<Fault>>;

/// An evaluation.
struct Run<'v> {
    ask: &'v Ask<'v>,
    /// What is left of it.
    budget: u64,
    /// All headers, once they were asked for.
    headers: Option<Map<'v>>,
    /// The query taken apart, once it was asked for.
    query: Option<Map<'v>>,
    /// The variables of the loops that are under way.
    locals: Vec<Value<'v>>,
}

fn fault<T>(kind: FaultKind, at: u32) -> Outcome<T> {
    Err(Box::new(Fault { kind, at }))
}

/// For operands of types that the checker lets nobody combine.
fn internal<T>(expr: &Expr) -> Outcome<T> {
    debug_assert!(false, "the checker let through {expr:?}");
    fault(FaultKind::Internal, expr.at)
}

impl<'v> Run<'v> {
    fn charge(&mut self, units: u64, at: u32) -> Outcome<()> {
        match self.budget.checked_sub(units) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => fault(FaultKind::TooExpensive, at),
        }
    }

    /// The value of a bool.
    fn test(&mut self, expr: &'v Expr) -> Outcome<bool> {
        match &expr.node {
            Node::And(left, right) => {
                self.charge(1, expr.at)?;
                self.either(left, right, false)
            }
            Node::Or(left, right) => {
                self.charge(1, expr.at)?;
                self.either(left, right, true)
            }
            Node::Not(operand) => {
                self.charge(1, expr.at)?;
                Ok(!self.test(operand)?)
            }
            Node::Compare(comparison, left, right) => {
                self.charge(1, expr.at)?;
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.compare(expr, *comparison, &left, &right)
            }
            Node::InTexts(needle, texts) => {
                self.charge(1, expr.at)?;
                match self.value(needle)? {
                    Value::Text(needle) => {
                        self.charge(cost::bytes(needle.len() as u64), expr.at)?;
                        Ok(texts.binary_search_by(|text| (**text).cmp(&*needle)).is_ok())
                    }
                    _ => internal(expr),
                }
            }
            Node::InInts(needle, ints) => {
                self.charge(1, expr.at)?;
                match self.value(needle)? {
                    Value::Int(needle) => Ok(ints.binary_search(&needle).is_ok()),
                    _ => internal(expr),
                }
            }
            Node::Loop(looped) if matches!(looped.kind, LoopKind::All | LoopKind::Exists) => {
                self.charge(1, expr.at)?;
                self.any(looped, looped.kind == LoopKind::Exists)
            }
            _ => match self.value(expr)? {
                Value::Bool(value) => Ok(value),
                _ => internal(expr),
            },
        }
    }

    /// `&&` (decided by false) and `||` (decided by true).
    fn either(&mut self, left: &'v Expr, right: &'v Expr, deciding: bool) -> Outcome<bool> {
        let left = match self.test(left) {
            Ok(value) if value == deciding => return Ok(deciding),
            Ok(_) => return self.test(right),
            Err(fault) => fault,
        };
        if !left.may_be_passed_over() {
            return Err(left);
        }
        match self.test(right) {
            Ok(value) if value == deciding => Ok(deciding),
            Err(fault) if !fault.may_be_passed_over() => Err(fault),
            _ => Err(left),
        }
    }

    /// `exists` (decided by true) and `all` (decided by false).
    fn any(&mut self, looped: &'v Loop, deciding: bool) -> Outcome<bool> {
        let mut first: Option<Box<Fault>> = None;
        for element in self.elements(&looped.range)?.iter() {
            match self.within(element, |run| run.test(&looped.body)) {
                Ok(value) if value == deciding => return Ok(deciding),
                Ok(_) => {}
                Err(fault) if !fault.may_be_passed_over() => return Err(fault),
                Err(fault) => first = first.or(Some(fault)),
            }
        }
        first.map_or(Ok(!deciding), Err)
    }

    /// What a loop goes over.
    fn elements(&mut self, range: &'v Expr) -> Outcome<List<'v>> {
        match self.value(range)? {
            Value::List(list) => Ok(list),
            Value::Map(map) => {
                self.charge(map.len() as u64, range.at)?;
                Ok(List::Values(map.keys().into()))
            }
            _ => internal(range),
        }
    }

    /// Runs the body of a loop for an element.
    fn within<T>(&mut self, element: Value<'v>, body: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        let depth = self.locals.len();
        self.locals.push(element);
        let outcome = body(self);
        self.locals.truncate(depth);
        outcome
    }

    fn value(&mut self, expr: &'v Expr) -> Outcome<Value<'v>> {
        self.charge(1, expr.at)?;
        Ok(match &expr.node {
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Text(text) => Value::Text(Text::Borrowed(text)),
            Node::Time(time) => Value::Time(*time),
            Node::Span(span) => Value::Span(*span),
            Node::Ip(address) => Value::Ip(*address),
            Node::Cidr(range) => Value::Cidr(*range),
            Node::Variable(variable) => self.variable(expr, *variable)?,
            Node::DestinationAddress => Value::Ip(self.destination_address(expr)?),
            Node::ClientAddress => Value::Ip(self.ask.identity.ip()),
            Node::HasVariable(variable) => Value::Bool(self.has_variable(expr, *variable)?),
            Node::Local(depth) => match self.locals.get(*depth) {
                Some(value) => value.clone(),
                None => return internal(expr),
            },
            Node::List(elements) => {
                let elements: Outcome<Vec<_>> = elements.iter().map(|element| self.value(element)).collect();
                Value::List(List::Values(elements?.into()))
            }
            Node::Map(entries) => self.map(entries)?,
            Node::And(..)
            | Node::Or(..)
            | Node::Not(_)
            | Node::Compare(..)
            | Node::InTexts(..)
            | Node::InInts(..) => Value::Bool(self.test(expr)?),
            Node::Negate(operand) => match self.value(operand)? {
                Value::Int(value) => Value::Int(self.fits(expr, value.checked_neg())?),
                Value::Span(span) => Value::Span(self.fits(expr, span.checked_neg())?),
                _ => return internal(expr),
            },
            Node::If(parts) => {
                let [condition, yes, no] = &**parts;
                if self.test(condition)? { self.value(yes)? } else { self.value(no)? }
            }
            Node::Arithmetic(operation, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.arithmetic(expr, *operation, left, right)?
            }
            Node::In(needle, hay) => {
                let (needle, hay) = (self.value(needle)?, self.value(hay)?);
                Value::Bool(self.contains(expr, &needle, &hay)?)
            }
            Node::Index(value, key) => {
                let (value, key) = (self.value(value)?, self.value(key)?);
                self.index(expr, &value, &key)?
            }
            Node::Header(name) => match self.header(expr, name)? {
                Some(value) => Value::text(value),
                None => return fault(FaultKind::MissingKey(name.clone()), expr.at),
            },
            Node::HasHeader(name) => Value::Bool(self.has_header(expr, name)?),
            Node::Matches(text, pattern) => match self.value(text)? {
                Value::Text(text) => {
                    self.charge(cost::matching(text.len() as u64, pattern.length), expr.at)?;
                    Value::Bool(pattern.regex.is_match(&text))
                }
                _ => return internal(expr),
            },
            Node::Call(function, operands) => self.call(expr, *function, operands)?,
            Node::Loop(looped) => match looped.kind {
                LoopKind::All | LoopKind::Exists => Value::Bool(self.test(expr)?),
                LoopKind::ExistsOne => Value::Bool(self.exactly_one(looped)?),
                LoopKind::Filter | LoopKind::Map => self.collected(looped)?,
            },
        })
    }

    fn map(&mut self, entries: &'v [(Expr, Expr)]) -> Outcome<Value<'v>> {
        let mut made: Vec<(Value<'v>, Value<'v>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let (at, key, value) = (key.at, self.value(key)?, self.value(value)?);
            self.charge(made.len() as u64, at)?;
            // The last of two entries with one key counts.
            made.retain(|(known, _)| !known.is(&key));
            made.push((key, value));
        }
        Ok(Value::Map(Map::Values(made.into())))
    }

    fn exactly_one(&mut self, looped: &'v Loop) -> Outcome<bool> {
        let mut count = 0;
        for element in self.elements(&looped.range)?.iter() {
            count += u32::from(self.within(element, |run| run.test(&looped.body))?);
        }
        Ok(count == 1)
    }

    /// `filter` and `map`.
    fn collected(&mut self, looped: &'v Loop) -> Outcome<Value<'v>> {
        let mut made = Vec::new();
        for element in self.elements(&looped.range)?.iter() {
            let kept = element.clone();
            let value = self.within(element, |run| {
                if looped.kind == LoopKind::Filter {
                    return Ok(run.test(&looped.body)?.then_some(kept));
                }
                match &looped.condition {
                    Some(condition) if !run.test(condition)? => Ok(None),
                    _ => run.value(&looped.body).map(Some),
                }
            })?;
            made.extend(value);
        }
        Ok(Value::List(List::Values(made.into())))
    }

    fn compare(
        &mut self,
        expr: &Expr,
        comparison: Comparison,
        left: &Value<'v>,
        right: &Value<'v>,
    ) -> Outcome<bool> {
        let looked_at = match (left, right) {
            (Value::Text(left), Value::Text(right)) => left.len().min(right.len()) as u64,
            (Value::List(_) | Value::Map(_), _) => left.total().min(right.total()),
            _ => 0,
        };
        self.charge(cost::bytes(looked_at), expr.at)?;
        if let Comparison::Equal | Comparison::NotEqual = comparison {
            return Ok(left.is(right) == (comparison == Comparison::Equal));
        }
        let order = match (left, right) {
            (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
            (Value::Int(left), Value::Int(right)) => left.cmp(right),
            (Value::Text(left), Value::Text(right)) => (**left).cmp(&**right),
            (Value::Time(left), Value::Time(right)) => left.cmp(right),
            (Value::Span(left), Value::Span(right)) => left.cmp(right),
            _ => return internal(expr),
        };
        Ok(match comparison {
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            _ => order.is_ge(),
        })
    }

    /// The result, unless it is out of range.
    fn fits<T>(&self, expr: &Expr, result: Option<T>) -> Outcome<T> {
        result.map_or_else(|| fault(FaultKind::Overflow, expr.at), Ok)
    }

    fn arithmetic(
        &mut self,
        expr: &Expr,
        operation: Arithmetic,
        left: Value<'v>,
        right: Value<'v>,
    ) -> Outcome<Value<'v>> {
        use Arithmetic::{Add, Divide, Multiply, Remainder, Subtract};
        Ok(match (operation, left, right) {
            (Divide | Remainder, Value::Int(_), Value::Int(0)) => {
                return fault(FaultKind::DivisionByZero, expr.at);
            }
            (_, Value::Int(left), Value::Int(right)) => {
                let result = match operation {
                    Add => left.checked_add(right),
                    Subtract => left.checked_sub(right),
                    Multiply => left.checked_mul(right),
                    Divide => left.checked_div(right),
                    Remainder => left.checked_rem(right),
                };
                Value::Int(self.fits(expr, result)?)
            }
            (Add, Value::Text(left), Value::Text(right)) => {
                self.charge(cost::bytes((left.len() + right.len()) as u64), expr.at)?;
                Value::text([&*left, &*right].concat())
            }
            (Add, Value::List(left), Value::List(right)) => {
                self.charge((left.len() + right.len()) as u64, expr.at)?;
                let joined: Rc<[_]> = left.iter().chain(right.iter()).collect();
                Value::List(List::Values(joined))
            }
            (Add, Value::Span(left), Value::Span(right)) => {
                Value::Span(self.fits(expr, left.checked_add(right))?)
            }
            (Subtract, Value::Span(left), Value::Span(right)) => {
                Value::Span(self.fits(expr, left.checked_sub(right))?)
            }
            (Add, Value::Time(time), Value::Span(span)) | (Add, Value::Span(span), Value::Time(time)) => {
                Value::Time(self.fits(expr, time.checked_add(span).ok())?)
            }
            (Subtract, Value::Time(time), Value::Span(span)) => {
                Value::Time(self.fits(expr, time.checked_sub(span).ok())?)
            }
            (Subtract, Value::Time(left), Value::Time(right)) => Value::Span(left.duration_since(right)),
            _ => return internal(expr),
        })
    }

    fn contains(&mut self, expr: &Expr, needle: &Value<'v>, hay: &Value<'v>) -> Outcome<bool> {
        match hay {
            Value::List(list) => {
                for value in list.iter() {
                    // Texts of different lengths are told apart at once.
                    let looked_at = match (needle, &value) {
                        (Value::Text(needle), Value::Text(value)) if needle.len() == value.len() => {
                            needle.len() as u64
                        }
                        (Value::List(_) | Value::Map(_), _) => needle.total(),
                        _ => 0,
                    };
                    self.charge(1 + cost::bytes(looked_at), expr.at)?;
                    if value.is(needle) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Map(map) => {
                self.charge(map.len() as u64, expr.at)?;
                Ok(map.find(needle).is_some())
            }
            _ => internal(expr),
        }
    }

    fn index(&mut self, expr: &Expr, value: &Value<'v>, key: &Value<'v>) -> Outcome<Value<'v>> {
        match (value, key) {
            (Value::List(list), Value::Int(index)) => {
                let found = usize::try_from(*index).ok().and_then(|index| list.at(index));
                let kind = FaultKind::OutOfRange { index: *index, length: list.len() };
                found.map_or_else(|| fault(kind, expr.at), Ok)
            }
            (Value::Map(map), key) => {
                self.charge(map.len() as u64, expr.at)?;
                map.find(key).map_or_else(|| fault(FaultKind::MissingKey(shown(key)), expr.at), Ok)
            }
            _ => internal(expr),
        }
    }
}

/// A key or a text for a sentence, cut.
fn shown(value: &Value<'_>) -> Box<str> {
    match value {
        Value::Text(text) => text.chars().take(64).collect::<String>().into(),
        Value::Int(value) => value.to_string().into(),
        Value::Bool(value) => value.to_string().into(),
        _ => "".into(),
    }
}
