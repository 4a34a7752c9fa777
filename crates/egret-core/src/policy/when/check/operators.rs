//! Operators.

use cel::common::ast::{Expr as Tree, IdedExpr, operators};

use super::super::cost::{self, Size};
use super::super::program::{Arithmetic, Comparison, Node};
use super::super::types::Type;
use super::super::variables::{Entry, Variable};
use super::{Checker, Typed};

/// The operators as they are written, for sentences.
const COMPARISONS: &[(&str, Comparison, &str)] = &[
    (operators::EQUALS, Comparison::Equal, "=="),
    (operators::NOT_EQUALS, Comparison::NotEqual, "!="),
    (operators::LESS, Comparison::Less, "<"),
    (operators::LESS_EQUALS, Comparison::LessOrEqual, "<="),
    (operators::GREATER, Comparison::Greater, ">"),
    (operators::GREATER_EQUALS, Comparison::GreaterOrEqual, ">="),
];

const ARITHMETIC: &[(&str, Arithmetic, &str)] = &[
    (operators::ADD, Arithmetic::Add, "+"),
    (operators::SUBSTRACT, Arithmetic::Subtract, "-"),
    (operators::MULTIPLY, Arithmetic::Multiply, "*"),
    (operators::DIVIDE, Arithmetic::Divide, "/"),
    (operators::MODULO, Arithmetic::Remainder, "%"),
];

impl Checker<'_> {
    /// An operator with its operands; `None` if it is none.
    pub(super) fn operator(&mut self, at: usize, name: &str, operands: &[IdedExpr]) -> Option<Typed> {
        Some(match (name, operands) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                self.logic(at, name == operators::LOGICAL_AND, left, right)
            }
            (operators::LOGICAL_NOT, [operand]) => {
                let operand = self.check(operand);
                self.expect(&operand, &Type::Bool, "what `!` turns round");
                let cost = operand.cost.saturating_add(1);
                self.made(at, Node::Not(Box::new(operand.expr)), Type::Bool, Size::ONE, cost)
            }
            (operators::NEGATE, [operand]) => self.negation(at, operand),
            (operators::CONDITIONAL, [condition, yes, no]) => self.choice(at, condition, yes, no),
            (operators::IN, [needle, hay]) => self.membership(at, needle, hay),
            (operators::INDEX, [value, key]) => self.index(at, value, key),
            (_, [left, right]) => {
                if let Some((_, comparison, sign)) = COMPARISONS.iter().find(|(known, ..)| *known == name) {
                    self.comparison(at, *comparison, sign, left, right)
                } else {
                    let (_, operation, sign) = ARITHMETIC.iter().find(|(known, ..)| *known == name)?;
                    self.arithmetic(at, *operation, sign, left, right)
                }
            }
            _ => return None,
        })
    }

    fn logic(&mut self, at: usize, and: bool, left: &IdedExpr, right: &IdedExpr) -> Typed {
        let what = if and { "what `&&` joins" } else { "what `||` joins" };
        let (left, right) = (self.check(left), self.check(right));
        let good = self.expect(&left, &Type::Bool, what) & self.expect(&right, &Type::Bool, what);
        let cost = left.cost.saturating_add(right.cost).saturating_add(1);
        let (left, right) = (Box::new(left.expr), Box::new(right.expr));
        let node = if and { Node::And(left, right) } else { Node::Or(left, right) };
        self.made(at, node, if good { Type::Bool } else { Type::Wrong }, Size::ONE, cost)
    }

    fn negation(&mut self, at: usize, operand: &IdedExpr) -> Typed {
        let operand = self.check(operand);
        match &operand.value_type {
            Type::Int | Type::Duration | Type::Wrong | Type::Nothing => {
                let cost = operand.cost.saturating_add(1);
                let node = Node::Negate(Box::new(operand.expr));
                self.made(at, node, operand.value_type, Size::ONE, cost)
            }
            other => {
                let message = format!("`-` is for an int or a duration, not for {}", other.one());
                self.wrong(at, message, "")
            }
        }
    }

    fn choice(&mut self, at: usize, condition: &IdedExpr, yes: &IdedExpr, no: &IdedExpr) -> Typed {
        let (condition, yes, no) = (self.check(condition), self.check(yes), self.check(no));
        self.expect(&condition, &Type::Bool, "what stands before `?`");
        let Some(value_type) = yes.value_type.join(&no.value_type) else {
            let (yes, no) = (yes.value_type.one(), no.value_type.one());
            return self.wrong(at, format!("`?:` gives {yes} or {no}, but must give one type"), "");
        };
        let cost = condition.cost.saturating_add(yes.cost.max(no.cost)).saturating_add(1);
        let size = yes.size.either(&no.size);
        let node = Node::If(Box::new([condition.expr, yes.expr, no.expr]));
        self.made(at, node, value_type, size, cost)
    }

    fn comparison(
        &mut self,
        at: usize,
        comparison: Comparison,
        sign: &str,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Typed {
        let (left, right) = (self.check(left), self.check(right));
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        match left.value_type.join(&right.value_type) {
            None => {
                let (one, other) = (left.value_type.one(), right.value_type.one());
                let help = same_type_help(&left, &right);
                return self.wrong(at, format!("`{sign}` compares {one} with {other}"), help);
            }
            Some(joined) if !equality && !joined.is_ordered() && !joined.is_wrong() => {
                let help = "only bools, ints, strings, timestamps and durations have an order";
                return self.wrong(at, format!("`{sign}` does not compare {}", joined.one()), help);
            }
            Some(_) => {}
        }
        if equality {
            self.possible(&left, &right);
            self.possible(&right, &left);
        }
        let looked_at = cost::bytes(left.size.total().min(right.size.total()));
        let cost = left.cost.saturating_add(right.cost).saturating_add(1 + looked_at);
        let node = Node::Compare(comparison, Box::new(left.expr), Box::new(right.expr));
        self.made(at, node, Type::Bool, Size::ONE, cost)
    }

    /// Reports the comparison of a variable with a text that it never is.
    fn possible(&mut self, variable: &Typed, text: &Typed) {
        if let (Node::Variable(variable), Node::Text(text_value)) = (&variable.expr.node, &text.expr.node) {
            self.possible_value(*variable, text_value, text.expr.at as usize);
        }
    }

    fn possible_value(&mut self, variable: Variable, value: &str, at: usize) {
        let Some(entry) = Entry::of(variable) else { return };
        if !entry.values.is_empty() && !entry.values.contains(&value) {
            let help = format!("it is one of {}", entry.values.join(", "));
            self.error(at, format!("`{}` is never {value:?}", entry.path), help);
        } else if entry.lower_case && value.chars().any(char::is_uppercase) {
            let help = format!("it is in lower case: write {:?}", value.to_lowercase());
            self.error(at, format!("`{}` is never {value:?}", entry.path), help);
        } else if variable == Variable::Host && value.len() > 1 && value.ends_with('.') {
            let help = format!("it has no dot at its end: write {:?}", value.trim_end_matches('.'));
            self.error(at, format!("`{}` is never {value:?}", entry.path), help);
        }
    }

    fn arithmetic(
        &mut self,
        at: usize,
        operation: Arithmetic,
        sign: &str,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Typed {
        use Arithmetic::{Add, Subtract};
        let (left, right) = (self.check(left), self.check(right));
        let mut size = Size::ONE;
        let value_type = match (operation, &left.value_type, &right.value_type) {
            (_, Type::Wrong | Type::Nothing, _) | (_, _, Type::Wrong | Type::Nothing) => Type::Wrong,
            (_, Type::Int, Type::Int) => Type::Int,
            (Add, Type::String, Type::String) => {
                size = left.size.joined(&right.size);
                Type::String
            }
            (Add, Type::List(_), Type::List(_)) => {
                size = left.size.joined(&right.size);
                match left.value_type.join(&right.value_type) {
                    Some(joined) => joined,
                    None => {
                        let (one, other) = (left.value_type.one(), right.value_type.one());
                        return self.wrong(at, format!("`+` joins {one} with {other}"), "");
                    }
                }
            }
            (Add | Subtract, Type::Duration, Type::Duration) => Type::Duration,
            (Add | Subtract, Type::Timestamp, Type::Duration) | (Add, Type::Duration, Type::Timestamp) => {
                Type::Timestamp
            }
            (Subtract, Type::Timestamp, Type::Timestamp) => Type::Duration,
            (_, one, other) => {
                let message = format!("`{sign}` does not go with {} and {}", one.one(), other.one());
                let help = match (operation, one, other) {
                    (Add, Type::String, _) | (Add, _, Type::String) => {
                        "write string(x) to make a string of x"
                    }
                    _ => "",
                };
                return self.wrong(at, message, help);
            }
        };
        // The elements of a list are shared, not copied.
        let copied = if value_type == Type::String { cost::bytes(size.count) } else { size.count };
        let cost = left.cost.saturating_add(right.cost).saturating_add(1 + copied);
        let node = Node::Arithmetic(operation, Box::new(left.expr), Box::new(right.expr));
        self.made(at, node, value_type, size, cost)
    }

    fn membership(&mut self, at: usize, needle: &IdedExpr, hay: &IdedExpr) -> Typed {
        if let Tree::Call(call) = &needle.expr
            && call.func_name == operators::LOGICAL_NOT
        {
            return self.wrong(at, "`!` binds closer than `in`", "write !(x in y)");
        }
        let (needle, hay) = (self.check(needle), self.check(hay));
        let of = match &hay.value_type {
            Type::List(of) => (**of).clone(),
            Type::Map(keys, _) => (**keys).clone(),
            Type::Wrong | Type::Nothing => return self.leaf(at, Node::Bool(false), Type::Wrong),
            other => {
                let message = format!("`in` looks in a list or a map, not in {}", other.one());
                let help = if *other == Type::String { "write text.contains(part)" } else { "" };
                return self.wrong(at, message, help);
            }
        };
        if needle.value_type.join(&of).is_none() {
            let message = format!("`in` looks for {} among {} values", needle.value_type.one(), of);
            let help = match (&needle.expr.node, &of) {
                (Node::Int(int), Type::String) => format!("write \"{int}\""),
                (Node::Text(text), Type::Int) if text.parse::<i64>().is_ok() => format!("write {text}"),
                _ => String::new(),
            };
            return self.wrong(at, message, help);
        }
        if matches!(hay.value_type, Type::Map(..)) {
            return self.has_key(at, hay, needle);
        }
        let each = 1 + cost::bytes(needle.size.total());
        let searched = hay.size.count.saturating_mul(each);
        let cost = needle.cost.saturating_add(hay.cost).saturating_add(searched);
        let node = self.among(needle, hay);
        self.made(at, node, Type::Bool, Size::ONE, cost)
    }

    /// A list of texts or numbers that stand in the condition is put in order once.
    fn among(&mut self, needle: Typed, hay: Typed) -> Node {
        if let Node::List(elements) = &hay.expr.node {
            let texts: Option<Vec<Box<str>>> = elements
                .iter()
                .map(|element| match &element.node {
                    Node::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect();
            if let Some(mut texts) = texts.filter(|texts| !texts.is_empty()) {
                if let Node::Variable(variable) = needle.expr.node {
                    for (text, element) in texts.iter().zip(elements) {
                        self.possible_value(variable, text, element.at as usize);
                    }
                }
                texts.sort_unstable();
                return Node::InTexts(Box::new(needle.expr), texts.into());
            }
            let ints: Option<Vec<i64>> = elements
                .iter()
                .map(|element| match &element.node {
                    Node::Int(int) => Some(*int),
                    _ => None,
                })
                .collect();
            if let Some(mut ints) = ints.filter(|ints| !ints.is_empty()) {
                ints.sort_unstable();
                return Node::InInts(Box::new(needle.expr), ints.into());
            }
        }
        Node::In(Box::new(needle.expr), Box::new(hay.expr))
    }

    fn index(&mut self, at: usize, value: &IdedExpr, key: &IdedExpr) -> Typed {
        let (value, key) = (self.check(value), self.check(key));
        match &value.value_type {
            Type::Wrong | Type::Nothing => self.leaf(at, Node::Bool(false), Type::Wrong),
            Type::List(of) => {
                let of = (**of).clone();
                self.expect(&key, &Type::Int, "the index of a list");
                if of == Type::Nothing {
                    return self.wrong(at, "an empty list has no elements", "");
                }
                let cost = value.cost.saturating_add(key.cost).saturating_add(1);
                let size = value.size.element();
                let node = Node::Index(Box::new(value.expr), Box::new(key.expr));
                self.made(at, node, of, size, cost)
            }
            Type::Map(keys, of) => {
                let keys = (**keys).clone();
                let empty = **of == Type::Nothing;
                if !self.expect(&key, &keys, "the key of this map") {
                    return self.leaf(at, Node::Bool(false), Type::Wrong);
                }
                if empty {
                    return self.wrong(at, "an empty map has no entries", "");
                }
                self.at_key(at, value, key)
            }
            other => {
                let message = format!("{} has no elements", other.one());
                let help = if *other == Type::String { "write text.charAt(index)" } else { "" };
                self.wrong(at, message, help)
            }
        }
    }
}

/// How a literal would be written to go with the other operand.
fn same_type_help(left: &Typed, right: &Typed) -> String {
    for (literal, other) in [(left, right), (right, left)] {
        match (&literal.expr.node, &other.value_type) {
            (Node::Text(text), Type::Int) if text.parse::<i64>().is_ok() => {
                return format!("write {text} without quotation marks");
            }
            (Node::Int(int), Type::String) => return format!("write \"{int}\""),
            (Node::Bool(value), Type::String) => return format!("write \"{value}\""),
            (Node::Text(text), Type::Ip) => return format!("write ip({text:?})"),
            (Node::Text(text), Type::Timestamp) => return format!("write timestamp({text:?})"),
            (Node::Text(text), Type::Duration) => return format!("write duration({text:?})"),
            (Node::Text(text), Type::List(_)) => return format!("write {text:?} in …"),
            _ => {}
        }
    }
    String::new()
}
