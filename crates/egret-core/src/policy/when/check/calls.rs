//! Calls: which function, and whether its operands are right.

use cel::common::ast::{CallExpr, IdedExpr};

use super::super::error::meant;
use super::super::functions::{OVERLOADS, Overload, SPECIAL, names};
use super::super::program::{LoopKind, Node};
use super::super::types::Type;
use super::{Checker, Typed};

impl Checker<'_> {
    pub(super) fn call(&mut self, at: usize, call: &CallExpr) -> Typed {
        if call.target.is_none()
            && let Some(typed) = self.operator(at, &call.func_name, &call.args)
        {
            return typed;
        }
        let name = call.func_name.as_str();
        if let Some((_, counts)) = SPECIAL.iter().find(|(known, _)| *known == name) {
            return self.special(at, call, counts);
        }
        let receiver = call.target.as_deref().map(|target| self.check(target));
        let arguments: Vec<_> = call.args.iter().map(|argument| self.check(argument)).collect();
        let wrong = receiver.iter().chain(&arguments).any(|typed| typed.value_type.is_wrong());
        let named: Vec<_> = OVERLOADS.iter().filter(|overload| overload.name == name).collect();
        if named.is_empty() {
            return self.unknown(at, name);
        }
        match self.overload(at, name, &named, receiver.as_ref(), &arguments) {
            // A wrong operand fits every overload: which one was meant is not known.
            Ok(_) if wrong => self.leaf(at, Node::Bool(false), Type::Wrong),
            Ok(overload) => self.applied(at, overload, receiver, arguments),
            Err(wrong) => wrong,
        }
    }

    fn unknown(&mut self, at: usize, name: &str) -> Typed {
        let help = match (name, meant(name, names())) {
            ("lower" | "lowercase" | "toLower" | "toLowerCase", _) => "write lowerAscii()".to_owned(),
            ("len" | "length" | "count", _) => "write size(x)".to_owned(),
            ("uint" | "double" | "bytes" | "dyn" | "type", _) => {
                "conditions have bools, ints, strings, timestamps, durations, IP addresses and CIDR ranges"
                    .to_owned()
            }
            (_, Some(meant)) => format!("did you mean `{meant}`?"),
            (_, None) => String::new(),
        };
        self.wrong(at, format!("there is no function `{name}`"), help)
    }

    /// The overload that goes with the operands, or the error that says why none does.
    fn overload(
        &mut self,
        at: usize,
        name: &str,
        named: &[&'static Overload],
        receiver: Option<&Typed>,
        arguments: &[Typed],
    ) -> Result<&'static Overload, Typed> {
        let styled: Vec<_> =
            named.iter().filter(|overload| overload.receiver.is_some() == receiver.is_some()).collect();
        if styled.is_empty() {
            let (message, help) = match receiver {
                Some(_) => (format!("`{name}` is not called on a value"), format!("write {name}(x)")),
                None => (format!("`{name}` is called on a value"), format!("write x.{name}(…)")),
            };
            return Err(self.wrong(at, message, help));
        }
        let received: Vec<_> = styled
            .iter()
            .filter(|overload| match (overload.receiver, receiver) {
                (Some(kind), Some(receiver)) => kind.takes(&receiver.value_type),
                _ => true,
            })
            .collect();
        if received.is_empty() {
            let kinds =
                alternatives(styled.iter().filter_map(|overload| overload.receiver).map(|kind| kind.one()));
            let given = receiver.map_or_else(String::new, |receiver| receiver.value_type.one());
            let help = match receiver.map(|receiver| &receiver.value_type) {
                Some(Type::String) if kinds.contains("IP") => "write ip(x) to make an address of a string",
                Some(Type::String) if kinds.contains("CIDR") => "write cidr(x) to make a range of a string",
                _ => "",
            };
            return Err(self.wrong(at, format!("`{name}` is called on {kinds}, not on {given}"), help));
        }
        let counted: Vec<_> =
            received.iter().filter(|overload| overload.takes.len() == arguments.len()).collect();
        if counted.is_empty() {
            let mut counts: Vec<_> = received.iter().map(|overload| overload.takes.len()).collect();
            counts.sort_unstable();
            counts.dedup();
            return Err(self.wrong_count(at, name, &counts, arguments.len()));
        }
        let fits = |overload: &Overload| {
            overload.takes.iter().zip(arguments).all(|(kind, given)| kind.takes(&given.value_type))
        };
        if let Some(overload) = counted.iter().find(|overload| fits(overload)) {
            return Ok(overload);
        }
        let position = (0..arguments.len())
            .find(|at| !counted.iter().any(|overload| overload.takes[*at].takes(&arguments[*at].value_type)))
            .unwrap_or(0);
        let kinds = alternatives(counted.iter().map(|overload| overload.takes[position].one()));
        let given = &arguments[position];
        let message = format!(
            "{} of `{name}` is {}, but must be {kinds}",
            if arguments.len() == 1 {
                "the argument".to_owned()
            } else {
                format!("argument {}", position + 1)
            },
            given.value_type.one()
        );
        Err(self.wrong(given.expr.at as usize, message, ""))
    }

    fn wrong_count(&mut self, at: usize, name: &str, counts: &[usize], given: usize) -> Typed {
        let plural = if counts == [1] { "" } else { "s" };
        let counts = alternatives(counts.iter().map(ToString::to_string));
        self.wrong(at, format!("`{name}` takes {counts} argument{plural}, but has {given}"), "")
    }

    /// What is checked in its own way.
    fn special(&mut self, at: usize, call: &CallExpr, counts: &[usize]) -> Typed {
        let name = call.func_name.as_str();
        let target = call.target.as_deref();
        let counts: Vec<_> = match (name, target) {
            ("matches", Some(_)) => vec![1],
            ("matches", None) => vec![2],
            _ => counts.to_vec(),
        };
        if name == "has" && target.is_some() {
            return self.wrong(at, "`has` is not called on a value", "write has(x.y)");
        }
        if !counts.contains(&call.args.len()) {
            return self.wrong_count(at, name, &counts, call.args.len());
        }
        let kind = match (name, target, call.args.as_slice()) {
            ("has", _, [argument]) => return self.has(at, argument),
            ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => {
                return self.matches(at, text, pattern);
            }
            ("all", ..) => LoopKind::All,
            ("exists", ..) => LoopKind::Exists,
            ("filter", ..) => LoopKind::Filter,
            ("map", ..) => LoopKind::Map,
            _ => LoopKind::ExistsOne,
        };
        match target {
            Some(range) => self.run_loop(at, kind, range, &call.args),
            None => {
                self.wrong(at, format!("`{name}` is called on a list or a map"), format!("write x.{name}(…)"))
            }
        }
    }

    fn matches(&mut self, at: usize, text: &IdedExpr, pattern: &IdedExpr) -> Typed {
        let (text, pattern) = (self.check(text), self.check(pattern));
        self.expect(&text, &Type::String, "what `matches` looks at");
        let wrong = pattern.value_type.is_wrong() || text.value_type.is_wrong();
        if !self.expect(&pattern, &Type::String, "the pattern of `matches`") || wrong {
            return self.leaf(at, Node::Bool(false), Type::Wrong);
        }
        self.pattern(at, text, &pattern)
    }
}

/// `a, b or c`.
fn alternatives(all: impl Iterator<Item = String>) -> String {
    let mut all: Vec<_> = all.collect();
    all.dedup();
    match all.pop() {
        Some(last) if all.is_empty() => last,
        Some(last) => format!("{} or {last}", all.join(", ")),
        None => String::new(),
    }
}
