//! The values of variables, made when they are asked for.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use super::super::super::{RequestFacts, Seen};
use super::super::fault::FaultKind;
use super::super::program::Expr;
use super::super::value::{List, Map, Text, Value};
use super::super::variables::Variable;
use super::{Outcome, Run, fault};
use crate::destination::Host;
use crate::identity::{NameKind, Workload};

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl<'v> Run<'v> {
    pub(super) fn variable(&mut self, expr: &Expr, variable: Variable) -> Outcome<Value<'v>> {
        let identity = self.ask.identity;
        let text = |text: &'v str| Value::Text(Text::Borrowed(text));
        Ok(match variable {
            Variable::User => text(identity.user.as_ref().map_or("", |user| &user.name)),
            Variable::Groups => {
                Value::List(List::Shared(identity.user.as_ref().map_or(&[], |user| &user.groups)))
            }
            Variable::ClientIp => Value::text(identity.ip().to_string()),
            Variable::Proof => text(identity.proof().as_str()),
            Variable::CertificateNames => {
                let names = identity.certificate().map_or(&[][..], |certificate| certificate.names());
                self.charge(names.len() as u64, expr.at)?;
                Value::List(List::Values(names.iter().map(|name| Value::text(name.to_string())).collect()))
            }
            Variable::Spiffe => text(self.spiffe()),
            Variable::Namespace => text(self.workload().map_or("", |workload| &workload.namespace)),
            Variable::ServiceAccount => {
                let account = self.workload().and_then(|workload| workload.service_account.as_deref());
                text(account.unwrap_or_default())
            }
            Variable::Pod => {
                text(self.workload().and_then(|workload| workload.pod.as_deref()).unwrap_or_default())
            }
            Variable::Labels => {
                Value::Map(Map::Shared(self.workload().map_or(&[], |workload| &*workload.labels)))
            }
            Variable::NamespaceLabels => {
                Value::Map(Map::Shared(self.workload().map_or(&[], |workload| &*workload.namespace_labels)))
            }
            Variable::Host => match &self.ask.destination.host {
                Host::Name(name) => text(name),
                Host::Address(address) => Value::text(address.to_string()),
            },
            Variable::Port => Value::Int(self.ask.destination.port.into()),
            Variable::DestinationIp => Value::text(self.destination_address(expr)?.to_string()),
            Variable::Method => text(self.request(expr)?.method),
            Variable::Scheme => text(self.request(expr)?.scheme),
            Variable::Path => text(self.request(expr)?.path),
            Variable::Query => Value::Map(self.query(expr)?),
            Variable::Headers => Value::Map(self.headers(expr)?),
            Variable::BodyLength => match self.request(expr)?.body_length {
                Some(length) => Value::Int(i64::try_from(length).unwrap_or(i64::MAX)),
                None => return fault(FaultKind::NoBodyLength, expr.at),
            },
            Variable::UserAgent => match self.header(expr, "user-agent")? {
                Some(value) => Value::text(value),
                None => text(""),
            },
            Variable::Now => match Timestamp::try_from(self.ask.now) {
                Ok(now) => Value::Time(now),
                Err(_) => return fault(FaultKind::Overflow, expr.at),
            },
            Variable::Hour => Value::Int(self.seconds().div_euclid(3600).rem_euclid(24)),
            Variable::Minute => Value::Int(self.seconds().div_euclid(60).rem_euclid(60)),
            // 1970 began on a Thursday.
            Variable::Weekday => {
                text(WEEKDAYS[((self.seconds().div_euclid(86_400) + 3).rem_euclid(7)) as usize])
            }
        })
    }

    /// `has(variable)`: whether there is something. What is not known is not there.
    pub(super) fn has_variable(&mut self, expr: &Expr, variable: Variable) -> Outcome<bool> {
        match variable {
            Variable::DestinationIp => Ok(self.address().is_some()),
            Variable::BodyLength => Ok(self.seen().is_some_and(|request| request.body_length.is_some())),
            Variable::Method
            | Variable::Scheme
            | Variable::Path
            | Variable::Query
            | Variable::Headers
            | Variable::UserAgent
                if self.seen().is_none() =>
            {
                Ok(false)
            }
            _ => Ok(match self.variable(expr, variable)? {
                Value::Text(text) => !text.is_empty(),
                Value::List(list) => list.len() > 0,
                Value::Map(map) => map.len() > 0,
                _ => true,
            }),
        }
    }

    pub(super) fn request(&self, expr: &Expr) -> Outcome<&'v RequestFacts<'v>> {
        self.seen().map_or_else(|| fault(FaultKind::NoRequest, expr.at), Ok)
    }

    fn seen(&self) -> Option<&'v RequestFacts<'v>> {
        match &self.ask.seen {
            Seen::Request(request) => Some(request),
            Seen::Tunnel | Seen::TunnelToOpen => None,
        }
    }

    fn address(&self) -> Option<IpAddr> {
        self.ask.address.or(self.ask.destination.host.address()).map(|address| address.to_canonical())
    }

    pub(super) fn destination_address(&self, expr: &Expr) -> Outcome<IpAddr> {
        self.address().map_or_else(|| fault(FaultKind::NoAddress, expr.at), Ok)
    }

    fn workload(&self) -> Option<&'v Workload> {
        self.ask.identity.workload.as_deref()
    }

    fn spiffe(&self) -> &'v str {
        let names = self.ask.identity.certificate().map_or(&[][..], |certificate| certificate.names());
        let uris = names.iter().filter(|name| name.kind == NameKind::Uri);
        uris.map(|name| &*name.value).find(|uri| uri.starts_with("spiffe://")).unwrap_or_default()
    }

    /// Seconds since 1970, before it negative.
    fn seconds(&self) -> i64 {
        seconds_since_1970(self.ask.now)
    }
}

fn seconds_since_1970(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            let before = before.duration();
            let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            seconds.saturating_neg().saturating_sub(i64::from(before.subsec_nanos() > 0))
        }
    }
}
