//! Whether a flow is what an expression says.

use std::net::SocketAddr;

use super::ast::{Atom, Expr, Flag, NetField, NumberField, Test, TextField, TextMatch};
use super::{Bodies, Pattern};
use crate::flow::{Flow, Headers, Level, Side, Treatment};

pub(super) struct Context<'a> {
    pub(super) flow: &'a Flow,
    pub(super) now: u64,
    pub(super) bodies: &'a dyn Bodies,
}

pub(super) fn matches(expr: &Expr, on: &Context<'_>) -> bool {
    match expr {
        Expr::All => true,
        Expr::Not(inner) => !matches(inner, on),
        Expr::And(all) => all.iter().all(|expr| matches(expr, on)),
        Expr::Or(all) => all.iter().any(|expr| matches(expr, on)),
        Expr::Test(test) => on.test(test),
    }
}

impl Context<'_> {
    fn test(&self, test: &Test) -> bool {
        match test {
            Test::Regex(atom, pattern) => self.regex(*atom, pattern),
            Test::Is(flag) => self.is(*flag),
            Test::Text(field, TextMatch::Glob(glob)) => {
                self.text(*field, |text| glob.matches(text.as_bytes()))
            }
            Test::Text(field, TextMatch::Regex(pattern)) => {
                self.text(*field, |text| pattern.finds(text.as_bytes()))
            }
            Test::Number(field, range) => self.number(*field).is_some_and(|number| range.contains(number)),
            Test::Net(NetField::Client, network) => network.contains(&self.flow.client.ip().to_canonical()),
            Test::Net(NetField::Address, network) => {
                self.flow.dialled.is_some_and(|address| network.contains(&address.ip().to_canonical()))
            }
            Test::Header(side, name, value) => self.headers(*side).any(|headers| {
                headers
                    .all(name.as_bytes())
                    .any(|found| value.as_ref().is_none_or(|glob| glob.matches(found)))
            }),
        }
    }

    /// The headers of one side, or of both.
    fn headers(&self, side: Option<Side>) -> impl Iterator<Item = &Headers> {
        [Side::Request, Side::Response]
            .into_iter()
            .filter(move |this| side.is_none_or(|wanted| wanted == *this))
            .filter_map(|this| self.flow.headers(this))
    }

    fn regex(&self, atom: Atom, pattern: &Pattern) -> bool {
        let flow = self.flow;
        let finds = |text: &str| pattern.finds(text.as_bytes());
        match atom {
            Atom::Url => finds(&flow.request.url()),
            Atom::Domain => finds(&flow.request.host),
            Atom::Method => finds(&flow.request.method),
            Atom::Header => self.header_lines(None, pattern),
            Atom::RequestHeader => self.header_lines(Some(Side::Request), pattern),
            Atom::ResponseHeader => self.header_lines(Some(Side::Response), pattern),
            Atom::Body => {
                self.body(Side::Request, pattern)
                    || self.body(Side::Response, pattern)
                    || self.messages(None, pattern)
            }
            Atom::RequestBody => {
                self.body(Side::Request, pattern) || self.messages(Some(Side::Request), pattern)
            }
            Atom::ResponseBody => {
                self.body(Side::Response, pattern) || self.messages(Some(Side::Response), pattern)
            }
            Atom::Type => self.types(None, |value| pattern.finds(value)),
            Atom::RequestType => self.types(Some(Side::Request), |value| pattern.finds(value)),
            Atom::ResponseType => self.types(Some(Side::Response), |value| pattern.finds(value)),
            Atom::Source => finds(&flow.client.to_string()),
            Atom::Destination => {
                flow.destination.as_ref().is_some_and(|to| finds(&to.to_string()))
                    || flow.dialled.is_some_and(|address| finds(&address.to_string()))
            }
            Atom::Comment => flow.comment.as_deref().is_some_and(finds),
            Atom::Marker => flow.mark.as_deref().is_some_and(finds),
            Atom::Meta => {
                use TextField::{
                    Audit, Group, Identity, Namespace, Pod, Policy, Reason, Rule, ServiceAccount, Tag,
                };
                [Audit, Group, Identity, Namespace, Pod, Policy, Reason, Rule, ServiceAccount, Tag]
                    .into_iter()
                    .any(|field| self.text(field, finds))
            }
        }
    }

    /// Each field as the line that it would be in HTTP/1.1.
    fn header_lines(&self, side: Option<Side>, pattern: &Pattern) -> bool {
        let mut line = Vec::new();
        self.headers(side).any(|headers| {
            headers.iter().any(|(name, value)| {
                line.clear();
                line.extend_from_slice(name);
                line.extend_from_slice(b": ");
                line.extend_from_slice(value);
                pattern.finds(&line)
            })
        })
    }

    fn types(&self, side: Option<Side>, is: impl Fn(&[u8]) -> bool) -> bool {
        self.headers(side).any(|headers| headers.all(b"content-type").any(&is))
    }

    fn body(&self, side: Side, pattern: &Pattern) -> bool {
        self.flow.body(side).is_some_and(|body| body.captured > 0)
            && self.bodies.decoded(self.flow, side).is_some_and(|bytes| pattern.finds(&bytes))
    }

    fn messages(&self, side: Option<Side>, pattern: &Pattern) -> bool {
        let mut messages = self.flow.messages.iter();
        messages
            .any(|message| side.is_none_or(|side| side == message.from) && pattern.finds(&message.payload))
    }

    fn is(&self, flag: Flag) -> bool {
        let flow = self.flow;
        match flag {
            Flag::Error => flow.failure.is_some(),
            Flag::Refused => flow.failure.as_ref().is_some_and(|failure| failure.blame == "policy"),
            Flag::Complete => !flow.active && flow.failure.is_none(),
            Flag::Events => self.types(Some(Side::Response), |value| {
                value.to_ascii_lowercase().starts_with(b"text/event-stream")
            }),
            Flag::Handshake => flow.downstream == "TLS",
            Flag::Waiting => flow.active && flow.status == 0,
            Flag::Answered => flow.status != 0,
            Flag::Asset => self.types(Some(Side::Response), is_asset),
            Flag::Http => flow.is_http(),
            Flag::Tunnel => flow.treatment == Treatment::Tunnel,
            Flag::Udp => flow.request.method.starts_with("UDP"),
            Flag::WebSocket => flow.is_websocket(),
            Flag::Grpc => flow.is_grpc(),
            Flag::Marked => flow.mark.is_some(),
            Flag::Commented => flow.comment.is_some(),
            Flag::Changed => !flow.changes.is_empty(),
            Flag::Replay => flow.replay_of.is_some(),
            Flag::Active => flow.active,
            Flag::Truncated => flow.truncated,
            Flag::Captured => flow.capture != Level::None,
            Flag::Audited => flow.decision.audit.is_some(),
        }
    }

    fn number(&self, field: NumberField) -> Option<u64> {
        let flow = self.flow;
        match field {
            NumberField::Status => Some(u64::from(flow.status)),
            NumberField::Port => Some(u64::from(flow.destination.as_ref()?.port)),
            NumberField::Bytes => Some(flow.bytes_up.saturating_add(flow.bytes_down)),
            NumberField::BytesUp => Some(flow.bytes_up),
            NumberField::BytesDown => Some(flow.bytes_down),
            // One that goes on has taken so long already.
            NumberField::Time if flow.active => Some(self.now.saturating_sub(flow.started)),
            NumberField::Time => flow.timings.total,
            NumberField::FirstByte => flow.timings.first_byte,
            NumberField::Age => Some(self.now.saturating_sub(flow.started)),
            NumberField::Messages => Some(flow.messages.len() as u64 + flow.messages_dropped),
        }
    }

    fn text(&self, field: TextField, is: impl Fn(&str) -> bool) -> bool {
        let flow = self.flow;
        let tls = || [&flow.client_tls, &flow.origin_tls].into_iter().flatten();
        let address = |address: SocketAddr| is(&address.ip().to_string()) || is(&address.to_string());
        let optional = |text: &Option<String>| text.as_deref().is_some_and(&is);
        match field {
            TextField::Host => is(&flow.request.host),
            TextField::Url => is(&flow.request.url()),
            TextField::Path => is(&flow.request.path),
            TextField::Method => is(&flow.request.method),
            TextField::Scheme => is(&flow.request.scheme),
            TextField::Protocol => is(&flow.downstream) || flow.upstream.as_deref().is_some_and(is),
            // Whoever has no name is listed by the address.
            TextField::Identity => match &flow.identity.name {
                Some(name) => is(name),
                None => is(&flow.client.ip().to_string()),
            },
            TextField::Proof => is(&flow.identity.proof),
            TextField::Namespace => optional(&flow.identity.namespace),
            TextField::ServiceAccount => optional(&flow.identity.service_account),
            TextField::Pod => optional(&flow.identity.pod),
            TextField::Group => flow.identity.groups.iter().any(|group| is(group)),
            TextField::Audit => optional(&flow.decision.audit),
            TextField::Policy => optional(&flow.decision.policy),
            TextField::Rule => optional(&flow.decision.rule),
            TextField::Reason => flow.failure.as_ref().is_some_and(|failure| is(&failure.reason)),
            TextField::Blame => flow.failure.as_ref().is_some_and(|failure| is(&failure.blame)),
            TextField::Treatment => is(flow.treatment.as_str()),
            TextField::Capture => is(flow.capture.as_str()),
            TextField::Client => address(flow.client),
            TextField::Address => flow.dialled.is_some_and(address),
            TextField::Destination => flow.destination.as_ref().is_some_and(|to| is(&to.to_string())),
            TextField::Parent => optional(&flow.route),
            // `type:application/json` is meant whatever the charset.
            TextField::Type => self.types(None, |value| {
                std::str::from_utf8(value)
                    .is_ok_and(|value| is(value.split(';').next().unwrap_or_default().trim()))
            }),
            TextField::Sni => tls().any(|tls| optional(&tls.sni)),
            TextField::Alpn => tls().any(|tls| optional(&tls.alpn)),
            TextField::Tls => tls().any(|tls| is(&tls.version)),
            TextField::Tag => flow.tags.iter().any(|tag| is(tag)),
            TextField::Mark => optional(&flow.mark),
            TextField::Change => flow.changes.iter().any(|name| is(name)),
            TextField::Comment => optional(&flow.comment),
            TextField::Id => is(flow.id.as_str()) || flow.tunnel.is_some_and(|id| is(id.as_str())),
        }
    }
}

/// What mitmproxy calls an asset: scripts, style sheets, images, fonts.
fn is_asset(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let exact = ["text/javascript", "application/x-javascript", "application/javascript", "text/css"];
    kind.starts_with("image/")
        || kind.starts_with("font/")
        || kind.starts_with("application/font")
        || exact.contains(&kind.as_str())
}
