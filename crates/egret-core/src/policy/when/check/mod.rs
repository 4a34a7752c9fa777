//! Checks the types of a condition, estimates its cost, and makes of the parser's tree what is evaluated.
//!
//! It goes on after an error, so that all are found at once: what is wrong has the type [`Type::Wrong`], of which
//! no other error is made.

use cel::common::ast::{EntryExpr, Expr as Tree, IdedExpr, ListExpr, LiteralValue, MapExpr, SourceInfo};

use super::cost::{MAX_COST, Size};
use super::error::WhenError;
use super::program::{Expr, Node};
use super::types::Type;
use super::variables::Variable;

mod calls;
mod loops;
mod names;
mod operators;
mod special;

/// How deep the tree of a condition may be, so that no stack overflows.
pub const MAX_DEPTH: usize = 64;

/// What a condition looks at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mentions {
    pub(super) request: bool,
    pub(super) address: bool,
    pub(super) time: bool,
}

/// An expression with all that is known of it.
pub(super) struct Typed {
    expr: Expr,
    value_type: Type,
    size: Size,
    cost: u64,
}

/// Checks a condition: it must be a bool, and not too expensive.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn check(
    text: &str,
    tree: &IdedExpr,
    places: &SourceInfo,
) -> Result<(Expr, Mentions), Vec<WhenError>> {
    let mut checker = Checker {
        text,
        places,
        errors: Vec::new(),
        locals: Vec::new(),
        mentions: Mentions::default(),
        depth: 0,
    };
    let whole = checker.check(tree);
    if !matches!(whole.value_type, Type::Bool | Type::Wrong) {
        let error = format!("the condition is {}, but it must be a bool", whole.value_type.one());
        checker.error(whole.expr.at as usize, error, "compare it with something");
    }
    if checker.errors.is_empty() && whole.cost > MAX_COST {
        let error = WhenError::new(format!(
            "the condition could cost {} units, at most {MAX_COST} are allowed",
            whole.cost
        ));
        let help = "look at one key instead of all, put no loop into a loop, or split it over several rules";
        checker.errors.push(error.help(help));
    }
    if checker.errors.is_empty() { Ok((whole.expr, checker.mentions)) } else { Err(checker.errors) }
}

/// The variable of a loop.
struct Local {
    name: String,
    value_type: Type,
    size: Size,
}

struct Checker<'t> {
    text: &'t str,
    places: &'t SourceInfo,
    errors: Vec<WhenError>,
    locals: Vec<Local>,
    mentions: Mentions,
    depth: usize,
}

impl Checker<'_> {
    fn check(&mut self, tree: &IdedExpr) -> Typed {
        let at = self.place(tree);
        if self.depth == MAX_DEPTH {
            let error = format!("the expression is deeper than {MAX_DEPTH} levels");
            return self.wrong(at, error, "group its parts with parentheses");
        }
        self.depth += 1;
        let typed = match &tree.expr {
            Tree::Literal(value) => self.literal(at, value),
            Tree::Ident(_) | Tree::Select(_) => self.name(tree),
            Tree::Call(call) => self.call(at, call),
            Tree::List(list) => self.list(at, list),
            Tree::Map(map) => self.map(at, map),
            Tree::Struct(message) => {
                let error = format!("there is no message type `{}`", message.type_name);
                self.wrong(at, error, "conditions have no messages, only {\"key\": value}")
            }
            // The parser was told to leave macros alone, and what it could not read is an error already.
            Tree::Comprehension(_) | Tree::Unspecified => {
                self.wrong(at, "this expression is not understood", "write it in another way")
            }
        };
        self.depth -= 1;
        typed
    }

    fn literal(&mut self, at: usize, value: &LiteralValue) -> Typed {
        match value {
            LiteralValue::Boolean(value) => self.leaf(at, Node::Bool(*value.inner()), Type::Bool),
            LiteralValue::Int(value) => self.leaf(at, Node::Int(*value.inner()), Type::Int),
            LiteralValue::String(value) => {
                let size = Size::text(value.inner().len() as u64);
                let leaf = self.leaf(at, Node::Text(value.inner().into()), Type::String);
                Typed { size, ..leaf }
            }
            LiteralValue::UInt(value) => {
                let help = format!("write {}", value.inner());
                self.wrong(at, "there are no unsigned ints in conditions", help)
            }
            LiteralValue::Double(_) => {
                self.wrong(at, "there are no fractions in conditions", "all their numbers are ints")
            }
            LiteralValue::Bytes(_) => {
                self.wrong(at, "there are no bytes in conditions", "leave the b before the text out")
            }
            LiteralValue::Null => self.wrong(
                at,
                "nothing in a condition is ever null",
                "texts are \"\" and lists are empty where there is nothing; has(…) tests for it",
            ),
        }
    }

    fn list(&mut self, at: usize, list: &ListExpr) -> Typed {
        let elements: Vec<_> = list.elements.iter().map(|element| self.check(element)).collect();
        let (of, size) = self.common(&elements, "elements of a list");
        let cost = elements.iter().fold(1, |cost: u64, element| cost.saturating_add(element.cost));
        let size = Size::many(elements.len() as u64, size);
        let node = Node::List(elements.into_iter().map(|element| element.expr).collect());
        self.made(at, node, Type::list(of), size, cost)
    }

    fn map(&mut self, at: usize, map: &MapExpr) -> Typed {
        let mut keys = Vec::new();
        let mut values = Vec::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
            let key = self.check(&entry.key);
            if !matches!(key.value_type, Type::String | Type::Int | Type::Bool | Type::Wrong) {
                let error = format!("{} is no key of a map", key.value_type.one());
                self.error(key.expr.at as usize, error, "keys are strings, ints or bools");
            }
            keys.push(key);
            values.push(self.check(&entry.value));
        }
        let (key, _) = self.common(&keys, "keys of a map");
        let (value, size) = self.common(&values, "values of a map");
        let all = || keys.iter().chain(&values);
        let cost = all().fold(1 + keys.len() as u64, |cost, part| cost.saturating_add(part.cost));
        let size = Size::many(keys.len() as u64, size);
        let entries = keys.into_iter().map(|key| key.expr).zip(values.into_iter().map(|value| value.expr));
        self.made(at, Node::Map(entries.collect()), Type::map(key, value), size, cost)
    }

    /// The type and the size that go for all.
    fn common(&mut self, all: &[Typed], what: &str) -> (Type, Size) {
        let mut common = (Type::Nothing, Size::ONE);
        for one in all {
            let Some(joined) = common.0.join(&one.value_type) else {
                let error = format!(
                    "the {what} are of one type: this is {}, those before {}",
                    one.value_type.one(),
                    common.0.one()
                );
                self.error(one.expr.at as usize, error, "");
                return (Type::Wrong, Size::ONE);
            };
            let size = if common.0 == Type::Nothing { one.size.clone() } else { common.1.either(&one.size) };
            common = (joined, size);
        }
        common
    }

    /// An expression without parts.
    fn leaf(&mut self, at: usize, node: Node, value_type: Type) -> Typed {
        self.made(at, node, value_type, Size::ONE, 1)
    }

    fn made(&mut self, at: usize, node: Node, value_type: Type, size: Size, cost: u64) -> Typed {
        let value_type = if value_type.is_wrong() { Type::Wrong } else { value_type };
        Typed { expr: Expr { at: at as u32, node }, value_type, size, cost }
    }

    /// Reports an error. An empty help is none.
    fn error(&mut self, at: usize, message: impl Into<String>, help: impl Into<String>) {
        let error = WhenError::new(message).at(self.text, at);
        let help = help.into();
        self.errors.push(if help.is_empty() { error } else { error.help(help) });
    }

    /// Reports an error, and stands for what it is about.
    fn wrong(&mut self, at: usize, message: impl Into<String>, help: impl Into<String>) -> Typed {
        self.error(at, message, help);
        self.leaf(at, Node::Bool(false), Type::Wrong)
    }

    /// Whether it has the type, or was wrong before; reports it otherwise.
    fn expect(&mut self, typed: &Typed, wanted: &Type, what: &str) -> bool {
        if typed.value_type == *wanted || matches!(typed.value_type, Type::Wrong | Type::Nothing) {
            return true;
        }
        let error = format!("{what} is {}, but must be {}", typed.value_type.one(), wanted.one());
        let help = match (&typed.value_type, wanted) {
            (Type::String | Type::Int, Type::Bool) => "compare it with something",
            _ => "",
        };
        self.error(typed.expr.at as usize, error, help);
        false
    }

    /// Where an expression begins to be itself: an operator, the name of a function or of a field.
    fn place(&self, tree: &IdedExpr) -> usize {
        let Some((start, _)) = self.places.offset_for(tree.id) else { return 0 };
        let start = (start as usize).min(self.text.len());
        match &tree.expr {
            Tree::Select(select) => {
                self.text[start..].find(&select.field).map_or(start, |after| start + after)
            }
            Tree::Call(call) if self.text[start..].starts_with('(') => {
                self.text[..start].rfind(&call.func_name).unwrap_or(start)
            }
            _ => start,
        }
    }

    fn mention(&mut self, variable: Variable) {
        use Variable as V;
        match variable {
            V::Method | V::Scheme | V::Path | V::Query | V::Headers | V::BodyLength | V::UserAgent => {
                self.mentions.request = true;
            }
            V::DestinationIp => self.mentions.address = true,
            V::Now | V::Hour | V::Minute | V::Weekday => self.mentions.time = true,
            _ => {}
        }
    }
}
