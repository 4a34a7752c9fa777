//! YAML text as a tree that knows where everything stands. Bounded in size, depth and aliases.

mod scalar;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::source::Position;
use crate::walk::MOST_FINDINGS;

/// What a file may come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most nodes after aliases were put in. It stops a small file that unfolds to a huge one.
    nodes: usize,
    /// Whether there may be several documents.
    many: bool,
}

/// The configuration itself.
const CONFIGURATION: Bounds = Bounds { nodes: 100_000, many: false };

/// A file of policies.
const POLICIES: Bounds = Bounds { nodes: 1_000_000, many: true };

/// The largest file that is read, in bytes. Far more than any real configuration, little enough to hold.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting; the schema itself needs five.
const MAX_DEPTH: usize = 32;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) kind: Kind,
}

/// What a value is, by YAML 1.2's core schema.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    /// A number, with its spelling.
    Number(serde_json::Number, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something that was already said to be wrong.
    Broken,
}

/// A field of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_position: Position,
    pub(crate) value: Node,
}

/// What the parser found wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) position: Position,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// A tree, as far as it could be read, and what is wrong with it.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The documents; none when nothing can be said about the content.
    pub(crate) roots: Vec<Node>,
    pub(crate) faults: Vec<Fault>,
    /// Where scalars stand whose secrets the look of a line does not show.
    pub(crate) hidden: Vec<Range<usize>>,
}

impl Node {
    pub(crate) fn text(position: Position, text: &str) -> Self {
        Self { position, kind: Kind::Text(text.to_owned()) }
    }

    /// What kind of value this is, for a message.
    pub(crate) fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null | Kind::Broken => "nothing",
            Kind::Bool(true) => "true",
            Kind::Bool(false) => "false",
            Kind::Number(..) => "a number",
            Kind::Text(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping of fields",
        }
    }

    fn nodes(&self) -> usize {
        match &self.kind {
            Kind::List(items) => 1 + items.iter().map(Self::nodes).sum::<usize>(),
            Kind::Map(entries) => 1 + entries.iter().map(|entry| entry.value.nodes()).sum::<usize>(),
            _ => 1,
        }
    }

    fn depth(&self) -> usize {
        match &self.kind {
            Kind::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Map(entries) => 1 + entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// Reads one document.
pub(crate) fn read(text: &str) -> Reading {
    let mut reading = read_within(text, CONFIGURATION);
    if reading.roots.is_empty() && reading.faults.is_empty() {
        reading.roots.push(Node { position: Position::Nowhere, kind: Kind::Null });
    }
    reading
}

/// Reads all documents of a file of policies.
pub(crate) fn read_policies(text: &str) -> Reading {
    read_within(text, POLICIES)
}

fn read_within(text: &str, bounds: Bounds) -> Reading {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut reader = Reader {
        text,
        bounds,
        stack: Vec::new(),
        roots: Vec::new(),
        documents: 0,
        anchors: HashMap::new(),
        nodes: 0,
        faults: Vec::new(),
        hidden: Vec::new(),
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let result = match event {
            Ok((event, span)) => reader.event(event, span),
            Err(error) => Err(syntax_fault(text, &error)),
        };
        let enough = reader.faults.len() >= MOST_FINDINGS;
        if result.is_err() || enough {
            reader.faults.extend(result.err());
            return Reading { roots: Vec::new(), faults: reader.faults, hidden: reader.hidden };
        }
    }
    Reading { roots: reader.roots, faults: reader.faults, hidden: reader.hidden }
}

struct Reader<'text> {
    text: &'text str,
    bounds: Bounds,
    stack: Vec<Frame>,
    roots: Vec<Node>,
    documents: usize,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    faults: Vec<Fault>,
    hidden: Vec<Range<usize>>,
}

/// A collection that is still open.
struct Frame {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<(String, Position)>,
    /// The keys so far, and where each stands.
    keys: HashMap<String, Position>,
    /// A key was none.
    broken: bool,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let range = span.byte_range().unwrap_or(0..0);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 && !self.bounds.many {
                    return Err(Fault {
                        position: Position::File(range),
                        message: "a second document begins here".to_owned(),
                        help: Some("a configuration is one YAML document; remove the `---`".to_owned()),
                    });
                }
            }
            Event::Scalar(value, style, anchor, tag) => {
                self.note_hidden(&value, &range);
                let position = Position::File(range);
                let kind = self.scalar(&value, style, tag.as_deref(), &position);
                self.complete(Node { position, kind }, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Kind::List(Vec::new()), range, anchor, tag.as_deref())?
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(Kind::Map(Vec::new()), range, anchor, tag.as_deref())?
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(mut frame) = self.stack.pop() {
                    if frame.broken {
                        frame.node.kind = Kind::Broken;
                    }
                    if let Position::File(place) = &mut frame.node.position {
                        place.end = place.end.max(range.start);
                    }
                    self.complete(frame.node, frame.anchor)?;
                }
            }
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned().ok_or_else(|| Fault {
                    position: Position::File(range.clone()),
                    message: "this alias stands within what it stands for".to_owned(),
                    help: None,
                })?;
                if self.stack.len() + node.depth() > MAX_DEPTH {
                    return Err(too_deep(Position::File(range)));
                }
                self.nodes += node.nodes();
                self.complete(node, 0)?;
            }
            Event::UnresolvedAlias(name) => {
                self.faults.push(Fault {
                    position: Position::File(range.clone()),
                    message: format!("there is no anchor `&{}` for this alias", shorten(&name)),
                    help: Some(format!(
                        "for text that begins with `*`, write it in quotes: \"*{}\"",
                        shorten(&name)
                    )),
                });
                self.complete(Node { position: Position::File(range), kind: Kind::Broken }, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn open(
        &mut self,
        kind: Kind,
        range: Range<usize>,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), Fault> {
        let position = Position::File(range);
        if self.stack.len() >= MAX_DEPTH {
            return Err(too_deep(position));
        }
        if tag.is_some_and(|tag| !matches!(tag.core_suffix(), Some("map" | "seq"))) {
            self.faults.push(tag_fault(position.clone()));
        }
        // A collection cannot be a key here; said now, since afterwards its place among keys is lost.
        self.stack.push(Frame {
            node: Node { position, kind },
            anchor,
            key: None,
            keys: HashMap::new(),
            broken: false,
        });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > self.bounds.nodes {
            return Err(Fault {
                position: node.position,
                message: format!("the file unfolds to more than {} values", self.bounds.nodes),
                help: Some("use fewer aliases, or shorter lists".to_owned()),
            });
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.stack.last_mut() else {
            self.roots.push(node);
            return Ok(());
        };
        match &mut frame.node.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(entries) => match frame.key.take() {
                None => {
                    frame.broken |= matches!(node.kind, Kind::List(_) | Kind::Map(_) | Kind::Broken);
                    frame.key = Some(key_of(node, &mut self.faults));
                }
                Some((key, key_position)) => {
                    if let Some(first) = frame.keys.get(&key) {
                        let line = line_of(self.text, first);
                        self.faults.push(Fault {
                            position: key_position,
                            message: format!("`{}` is given twice", shorten(&key)),
                            help: Some(format!("it was given first on line {line}; keep one of the two")),
                        });
                    } else {
                        frame.keys.insert(key.clone(), key_position.clone());
                        entries.push(Entry { key, key_position, value: node });
                    }
                }
            },
            _ => {}
        }
        Ok(())
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, tag: Option<&Tag>, position: &Position) -> Kind {
        match tag.map(Tag::core_suffix) {
            Some(Some("str")) => return Kind::Text(value.to_owned()),
            Some(_) => {
                self.faults.push(tag_fault(position.clone()));
                return Kind::Broken;
            }
            None => {}
        }
        if style == ScalarStyle::Plain { scalar::plain(value) } else { Kind::Text(value.to_owned()) }
    }

    /// A secret whose `@` is written with an escape, or that goes over several lines, has no look by which a
    /// line could be masked: such lines are not shown at all.
    fn note_hidden(&mut self, value: &str, range: &Range<usize>) {
        let raw = self.text.get(range.clone()).unwrap_or("");
        let looks_secret = value.contains('@') || value.contains("://");
        if looks_secret && (raw.contains('\n') || !raw.contains(value)) {
            self.hidden.push(range.clone());
        }
    }
}

fn key_of(node: Node, faults: &mut Vec<Fault>) -> (String, Position) {
    let key = match node.kind {
        Kind::Text(text) => text,
        Kind::Number(_, text) => text,
        Kind::Bool(value) => value.to_string(),
        Kind::Null | Kind::Broken => String::new(),
        Kind::List(_) | Kind::Map(_) => {
            faults.push(Fault {
                position: node.position.clone(),
                message: "a list or mapping stands where the name of a field should be".to_owned(),
                help: Some("text with `{{ }}` from a template must be in quotes".to_owned()),
            });
            String::new()
        }
    };
    (key, node.position)
}

fn too_deep(position: Position) -> Fault {
    Fault { position, message: format!("nested deeper than {MAX_DEPTH} levels"), help: None }
}

fn tag_fault(position: Position) -> Fault {
    Fault {
        position,
        message: "tags (`!…`) are not supported".to_owned(),
        help: Some("text that begins with `!` must be in quotes".to_owned()),
    }
}

fn syntax_fault(text: &str, error: &ScanError) -> Fault {
    // Past the last line, point at the end of the last line that holds something.
    let end = text.trim_end().len();
    let at = error.marker().byte_offset().unwrap_or(end).min(end);
    let position = Position::File(at..(at + 1).min(text.len()));
    let line_start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let line = text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or("");
    let indentation = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
    if let Some(tab) = indentation.find('\t') {
        let tab = line_start + tab;
        return Fault {
            position: Position::File(tab..tab + 1),
            message: "a tab in the indentation".to_owned(),
            help: Some("YAML is indented with spaces alone".to_owned()),
        };
    }
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(position);
    }
    let help = match error.kind() {
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            Some("is a closing quote missing, here or above?")
        }
        ErrorKind::MappingValueNotAllowed => {
            Some("is the indentation right? text that holds `: ` must be in quotes")
        }
        ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockMappingKey => {
            Some("is the indentation right? fields of one mapping begin in the same column")
        }
        ErrorKind::SimpleKeyExpected => Some("is a `:` missing after the name of the field?"),
        _ => None,
    };
    Fault {
        position,
        message: format!("this is not valid YAML: {}", error.info()),
        help: help.map(ToOwned::to_owned),
    }
}

fn line_of(text: &str, position: &Position) -> usize {
    match position {
        Position::File(range) => text.get(..range.start).unwrap_or("").matches('\n').count() + 1,
        _ => 1,
    }
}

/// The beginning of a text that somebody else wrote, short enough for a message.
pub(crate) fn shorten(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(60).chain(['…']).collect() }
}

/// The name of a flag as a position.
pub(crate) fn flag(name: &str) -> Position {
    Position::Flag(Arc::from(name))
}
