//! The variables of conditions: their names, their types, and how large they may be.

use super::cost::Size;
use super::types::Type;

/// A variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    User,
    Groups,
    ClientIp,
    Proof,
    CertificateNames,
    Spiffe,
    Namespace,
    ServiceAccount,
    Pod,
    Labels,
    NamespaceLabels,
    Host,
    Port,
    DestinationIp,
    Method,
    Scheme,
    Path,
    Query,
    Headers,
    BodyLength,
    UserAgent,
    Now,
    Hour,
    Minute,
    Weekday,
}

/// The objects, which have fields but are no values themselves.
pub(super) const OBJECTS: &[&str] = &["identity", "identity.certificate", "destination", "request", "time"];

/// What a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A string of at most so many bytes.
    Text(u64),
    Int,
    Timestamp,
    /// At most so many strings of so many bytes.
    Texts(u64, u64),
    /// At most so many strings of so many bytes, by strings.
    TextByText(u64, u64),
    /// At most so many lists of at most so many strings of so many bytes, by strings.
    TextsByText(u64, u64, u64),
}

/// A line of the table.
#[derive(Debug)]
pub(super) struct Entry {
    /// The name, as in `identity.user`.
    pub(super) path: &'static str,
    pub(super) variable: Variable,
    holds: Holds,
    /// All values that it can have, where they are few.
    pub(super) values: &'static [&'static str],
    /// Its text, or its keys, are in lower case.
    pub(super) lower_case: bool,
}

const fn entry(path: &'static str, variable: Variable, holds: Holds) -> Entry {
    Entry { path, variable, holds, values: &[], lower_case: false }
}

/// The bounds are not enforced here: they are what the estimate of the cost assumes, and what is larger meets the
/// budget of the evaluation.
const TABLE: &[Entry] = &[
    entry("identity.user", Variable::User, Holds::Text(255)),
    entry("identity.groups", Variable::Groups, Holds::Texts(256, 255)),
    entry("identity.ip", Variable::ClientIp, Holds::Text(39)),
    Entry {
        values: &["address", "certificate", "htpasswd", "ldap", "jwt", "console", "service-account"],
        ..entry("identity.proof", Variable::Proof, Holds::Text(16))
    },
    entry("identity.certificate.names", Variable::CertificateNames, Holds::Texts(16, 512)),
    entry("identity.certificate.spiffe", Variable::Spiffe, Holds::Text(2048)),
    entry("identity.namespace", Variable::Namespace, Holds::Text(63)),
    entry("identity.serviceAccount", Variable::ServiceAccount, Holds::Text(253)),
    entry("identity.pod", Variable::Pod, Holds::Text(253)),
    entry("identity.labels", Variable::Labels, Holds::TextByText(64, 63)),
    entry("identity.namespaceLabels", Variable::NamespaceLabels, Holds::TextByText(64, 63)),
    Entry { lower_case: true, ..entry("destination.host", Variable::Host, Holds::Text(253)) },
    entry("destination.port", Variable::Port, Holds::Int),
    Entry { lower_case: true, ..entry("destination.ip", Variable::DestinationIp, Holds::Text(39)) },
    entry("request.method", Variable::Method, Holds::Text(32)),
    Entry { values: &["http", "https"], ..entry("request.scheme", Variable::Scheme, Holds::Text(8)) },
    entry("request.path", Variable::Path, Holds::Text(16_384)),
    entry("request.query", Variable::Query, Holds::TextsByText(64, 16, 512)),
    Entry { lower_case: true, ..entry("request.headers", Variable::Headers, Holds::TextByText(200, 4096)) },
    entry("request.bodyLength", Variable::BodyLength, Holds::Int),
    entry("request.userAgent", Variable::UserAgent, Holds::Text(1024)),
    entry("time.now", Variable::Now, Holds::Timestamp),
    entry("time.hour", Variable::Hour, Holds::Int),
    entry("time.minute", Variable::Minute, Holds::Int),
    Entry {
        values: &["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
        ..entry("time.weekday", Variable::Weekday, Holds::Text(3))
    },
];

impl Entry {
    pub(super) fn find(path: &str) -> Option<&'static Self> {
        TABLE.iter().find(|entry| entry.path == path)
    }

    pub(super) fn of(variable: Variable) -> Option<&'static Self> {
        TABLE.iter().find(|entry| entry.variable == variable)
    }

    pub(super) fn value_type(&self) -> Type {
        match self.holds {
            Holds::Text(_) => Type::String,
            Holds::Int => Type::Int,
            Holds::Timestamp => Type::Timestamp,
            Holds::Texts(..) => Type::list(Type::String),
            Holds::TextByText(..) => Type::map(Type::String, Type::String),
            Holds::TextsByText(..) => Type::map(Type::String, Type::list(Type::String)),
        }
    }

    pub(super) fn size(&self) -> Size {
        match self.holds {
            Holds::Int | Holds::Timestamp => Size::ONE,
            Holds::Text(bytes) => Size::text(bytes),
            Holds::Texts(count, bytes) | Holds::TextByText(count, bytes) => {
                Size::many(count, Size::text(bytes))
            }
            Holds::TextsByText(count, each, bytes) => Size::many(count, Size::many(each, Size::text(bytes))),
        }
    }
}

/// The fields of an object, or, of `""`, the objects at the top.
pub(super) fn fields(object: &str) -> Vec<&'static str> {
    let paths = TABLE.iter().map(|entry| entry.path).chain(OBJECTS.iter().copied());
    let mut fields: Vec<_> = paths
        .filter_map(|path| {
            let rest = if object.is_empty() { path } else { path.strip_prefix(object)?.strip_prefix('.')? };
            rest.split('.').next()
        })
        .collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// All full names, for suggestions.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|entry| entry.path)
}

/// Each variable with the name of its type, for the manual.
#[must_use]
pub fn variables() -> Vec<(&'static str, String)> {
    TABLE.iter().map(|entry| (entry.path, entry.value_type().to_string())).collect()
}
