//! `all`, `exists`, `exists_one`, `filter` and `map`.

use cel::common::ast::{Expr as Tree, IdedExpr};

use super::super::cost::Size;
use super::super::program::{Loop, LoopKind, Node};
use super::super::types::Type;
use super::{Checker, Local, Typed};

/// How many loops may stand in each other.
pub(in super::super) const MAX_LOOPS: usize = 3;

impl Checker<'_> {
    /// A loop over `range`. `arguments` has as many elements as the loop takes.
    pub(super) fn run_loop(
        &mut self,
        at: usize,
        kind: LoopKind,
        range: &IdedExpr,
        arguments: &[IdedExpr],
    ) -> Typed {
        let range = self.check(range);
        let (value_type, size) = match &range.value_type {
            Type::List(of) => ((**of).clone(), range.size.element()),
            Type::Map(keys, _) => ((**keys).clone(), Size::key()),
            Type::Wrong | Type::Nothing => (Type::Wrong, Size::ONE),
            other => {
                let message = format!("a loop goes over a list or a map, not over {}", other.one());
                self.error(at, message, "");
                (Type::Wrong, Size::ONE)
            }
        };
        let (variable, condition, body) = match arguments {
            [variable, body] => (variable, None, body),
            [variable, condition, body] => (variable, Some(condition), body),
            _ => return self.wrong(at, "a loop takes a variable and an expression", ""),
        };
        let Tree::Ident(name) = &variable.expr else {
            let at = self.place(variable);
            return self.wrong(at, "the first argument of a loop is a name for each element", "write x");
        };
        if self.locals.len() == MAX_LOOPS {
            return self.wrong(at, format!("at most {MAX_LOOPS} loops may stand in each other"), "");
        }
        self.locals.push(Local { name: name.clone(), value_type, size: size.clone() });
        let condition = condition.map(|condition| self.check(condition));
        let body = self.check(body);
        self.locals.pop();

        if let Some(condition) = &condition {
            self.expect(condition, &Type::Bool, "the condition of a loop");
        }
        if kind != LoopKind::Map {
            self.expect(&body, &Type::Bool, "the condition of a loop");
        }
        let each = condition
            .as_ref()
            .map_or(0, |condition| condition.cost)
            .saturating_add(body.cost)
            .saturating_add(1);
        let cost = range.cost.saturating_add(range.size.count.saturating_mul(each)).saturating_add(1);
        let (given, size) = match kind {
            LoopKind::All | LoopKind::Exists | LoopKind::ExistsOne => (Type::Bool, Size::ONE),
            LoopKind::Filter => {
                let of = match &range.value_type {
                    Type::List(of) => (**of).clone(),
                    Type::Map(keys, _) => (**keys).clone(),
                    _ => Type::Wrong,
                };
                (Type::list(of), Size::many(range.size.count, size))
            }
            LoopKind::Map => {
                (Type::list(body.value_type.clone()), Size::many(range.size.count, body.size.clone()))
            }
        };
        let wrong = range.value_type.is_wrong() || body.value_type.is_wrong();
        let node = Node::Loop(Box::new(Loop {
            kind,
            range: range.expr,
            condition: condition.map(|condition| condition.expr),
            body: body.expr,
        }));
        self.made(at, node, if wrong { Type::Wrong } else { given }, size, cost)
    }
}
