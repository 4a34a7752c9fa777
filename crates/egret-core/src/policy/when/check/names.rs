//! Variables, their fields, and keys of maps.

use cel::common::ast::{Expr as Tree, IdedExpr};

use super::super::cost::Size;
use super::super::error::meant;
use super::super::program::{Expr, Node};
use super::super::types::Type;
use super::super::variables::{Entry, OBJECTS, Variable, fields, paths};
use super::{Checker, Typed};

/// What a name stands for.
enum Named {
    Value(Typed),
    /// An object, by its full name.
    Object(String),
}

impl Checker<'_> {
    /// The value of a name.
    pub(super) fn name(&mut self, tree: &IdedExpr) -> Typed {
        match self.named(tree) {
            Named::Value(typed) => typed,
            Named::Object(path) => {
                let at = self.place(tree);
                let help = format!("it has the fields {}", fields(&path).join(", "));
                self.wrong(at, format!("`{path}` is not a value by itself"), help)
            }
        }
    }

    fn named(&mut self, tree: &IdedExpr) -> Named {
        let at = self.place(tree);
        match &tree.expr {
            Tree::Ident(name) => self.root(at, name),
            Tree::Select(select) => {
                let operand = match &select.operand.expr {
                    Tree::Ident(_) | Tree::Select(_) => self.named(&select.operand),
                    _ => Named::Value(self.check(&select.operand)),
                };
                match operand {
                    Named::Object(object) => self.field(at, &object, &select.field),
                    Named::Value(value) => Named::Value(self.member(at, value, &select.field)),
                }
            }
            _ => Named::Value(self.check(tree)),
        }
    }

    fn root(&mut self, at: usize, name: &str) -> Named {
        if let Some(depth) = self.locals.iter().rposition(|local| local.name == name) {
            let local = &self.locals[depth];
            let (value_type, size) = (local.value_type.clone(), local.size.clone());
            return Named::Value(self.made(at, Node::Local(depth), value_type, size, 1));
        }
        let name = name.strip_prefix('.').unwrap_or(name);
        if OBJECTS.contains(&name) {
            return Named::Object(name.to_owned());
        }
        let full = paths().find(|path| path.rsplit('.').next() == Some(name));
        let locals = self.locals.iter().map(|local| local.name.as_str());
        let help = match full.or_else(|| meant(name, fields("").into_iter().chain(locals))) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are {}", fields("").join(", ")),
        };
        Named::Value(self.wrong(at, format!("there is no variable `{name}`"), help))
    }

    fn field(&mut self, at: usize, object: &str, field: &str) -> Named {
        let path = format!("{object}.{field}");
        if OBJECTS.contains(&path.as_str()) {
            return Named::Object(path);
        }
        if let Some(entry) = Entry::find(&path) {
            return Named::Value(self.variable(at, entry));
        }
        let known = fields(object);
        let elsewhere = paths().find(|path| path.rsplit('.').next() == Some(field));
        let help = match (meant(field, known.iter().copied()), elsewhere) {
            (Some(meant), _) => format!("did you mean `{object}.{meant}`?"),
            (None, Some(elsewhere)) => format!("did you mean `{elsewhere}`?"),
            (None, None) => format!("it has the fields {}", known.join(", ")),
        };
        Named::Value(self.wrong(at, format!("`{object}` has no field `{field}`"), help))
    }

    pub(super) fn variable(&mut self, at: usize, entry: &Entry) -> Typed {
        self.mention(entry.variable);
        let size = entry.size();
        // Headers and queries are taken apart, once for an evaluation.
        let cost = match entry.variable {
            Variable::Headers | Variable::Query | Variable::CertificateNames => size.count,
            _ => 1,
        };
        self.made(at, Node::Variable(entry.variable), entry.value_type(), size, cost)
    }

    /// `value.field`: the value for a key.
    fn member(&mut self, at: usize, value: Typed, field: &str) -> Typed {
        match &value.value_type {
            Type::Wrong | Type::Nothing => self.leaf(at, Node::Bool(false), Type::Wrong),
            Type::Map(keys, _) if matches!(**keys, Type::String | Type::Nothing) => {
                let key = self.leaf(at, Node::Text(field.into()), Type::String);
                self.at_key(at, value, key)
            }
            other => {
                let message = format!("{} has no fields", other.one());
                let known = super::super::functions::names().any(|name| name == field);
                let help = if known { format!("a function is called: {field}(…)") } else { String::new() };
                self.wrong(at, message, help)
            }
        }
    }

    /// `map[key]`, whose types were checked.
    pub(super) fn at_key(&mut self, at: usize, map: Typed, key: Typed) -> Typed {
        let value_type = match &map.value_type {
            Type::Map(_, values) => (**values).clone(),
            _ => Type::Wrong,
        };
        let size = map.size.element();
        if let (Node::Variable(Variable::Headers), Node::Text(name)) = (&map.expr.node, &key.expr.node) {
            self.header_name(&key.expr, name);
            let cost = map.size.count;
            return self.made(at, Node::Header(name.clone()), value_type, size, cost);
        }
        let cost = map.cost.saturating_add(key.cost).saturating_add(map.size.count);
        let node = Node::Index(Box::new(map.expr), Box::new(key.expr));
        self.made(at, node, value_type, size, cost)
    }

    /// A header's name that stands in the condition.
    pub(super) fn header_name(&mut self, key: &Expr, name: &str) {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let help = format!("write {:?}", name.to_ascii_lowercase());
            self.error(key.at as usize, "the names of headers are in lower case here", help);
        }
    }

    /// `has(map.key)` and `key in map`.
    pub(super) fn has_key(&mut self, at: usize, map: Typed, key: Typed) -> Typed {
        if let (Node::Variable(Variable::Headers), Node::Text(name)) = (&map.expr.node, &key.expr.node) {
            self.header_name(&key.expr, name);
            let cost = map.size.count;
            return self.made(at, Node::HasHeader(name.clone()), Type::Bool, Size::ONE, cost);
        }
        let cost = map.cost.saturating_add(key.cost).saturating_add(map.size.count);
        let node = Node::In(Box::new(key.expr), Box::new(map.expr));
        self.made(at, node, Type::Bool, Size::ONE, cost)
    }

    /// `has(…)`.
    pub(super) fn has(&mut self, at: usize, argument: &IdedExpr) -> Typed {
        let Tree::Select(select) = &argument.expr else {
            let message = "has() tests a field, as in has(request.headers.accept)";
            return self.wrong(at, message, "test a key with `\"key\" in map`");
        };
        let operand = match &select.operand.expr {
            Tree::Ident(_) | Tree::Select(_) => self.named(&select.operand),
            _ => Named::Value(self.check(&select.operand)),
        };
        let place = self.place(argument);
        match operand {
            Named::Object(object) => match self.field(place, &object, &select.field) {
                Named::Value(Typed { expr: Expr { node: Node::Variable(variable), .. }, .. }) => {
                    self.leaf(at, Node::HasVariable(variable), Type::Bool)
                }
                Named::Value(typed) => typed,
                Named::Object(object) => {
                    let help = format!("test one of its fields: {}", fields(&object).join(", "));
                    self.wrong(place, format!("`{object}` is always there"), help)
                }
            },
            Named::Value(value) => match &value.value_type {
                Type::Wrong | Type::Nothing => self.leaf(at, Node::Bool(false), Type::Wrong),
                Type::Map(keys, _) if matches!(**keys, Type::String | Type::Nothing) => {
                    let key = self.leaf(place, Node::Text(select.field.as_str().into()), Type::String);
                    self.has_key(at, value, key)
                }
                other => {
                    let message = format!("{} has no fields", other.one());
                    self.wrong(place, message, "")
                }
            },
        }
    }
}
