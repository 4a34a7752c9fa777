//! Answers of DNS over HTTPS (RFC 8484) that pass inside a tunnel that was opened: HTTPS records (RFC 9460) tell
//! clients of HTTP/3, by which they would go past the proxy, so it is taken out of them.
//!
//! An answer is small. One that is larger than a DNS message can be, comes in chunks or is encoded passes as it is,
//! as does one that cannot be read.

use std::future::poll_fn;
use std::task::Poll;

use egret_core::settings::Snapshot;
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::svcb::{SVCB, SvcParamKey, SvcParamValue};
use hickory_resolver::proto::rr::{RData, Record};

use crate::buffer::{self, Buffer};
use crate::client::Client;
use crate::control::CLOSE;
use crate::http1::fields::FieldName;
use crate::http1::{BodyLength, ResponseHead};
use crate::upstream::pool::UpstreamConnection;

/// The longest DNS message (RFC 1035 section 4.2.2): the limit `dns_answer`.
const LONGEST: u64 = 65_535;

/// Whether this is such an answer.
pub(super) fn is_one(input: &[u8], response: &ResponseHead) -> bool {
    if response.status != 200 || !matches!(response.body, BodyLength::Fixed(1..=LONGEST)) {
        return false;
    }
    let mut is_dns = false;
    for field in response.fields.iter().filter(|field| field.name == FieldName::Other) {
        let name = field.name_bytes(input);
        if name.eq_ignore_ascii_case(b"content-type") {
            is_dns = field.value(input).to_ascii_lowercase().starts_with(b"application/dns-message");
        } else if name.eq_ignore_ascii_case(b"content-encoding") {
            return false;
        }
    }
    is_dns
}

/// Takes HTTP/3 out of an answer, which is waited for. What fails on the way is left for whoever moves the body to
/// find.
pub(super) async fn filter(
    client: &mut Client,
    upstream: &mut UpstreamConnection,
    response: &mut ResponseHead,
    snapshot: &Snapshot,
) {
    let BodyLength::Fixed(length) = response.body else { return };
    let end = response.length + usize::try_from(length).unwrap_or(usize::MAX);
    if !read_up_to(end, client, upstream, snapshot).await {
        return;
    }
    let input = buffer::filled(&upstream.input);
    let Some(answer) = without_http3(&input[response.length..end]) else { return };
    // In place of the length stands another, and spaces where it is shorter: so everything else stays where it is.
    let mut bytes = input[..response.length].to_vec();
    for field in response.fields.iter().filter(|field| field.name == FieldName::ContentLength) {
        let place = &mut bytes[field.value_range()];
        let text = answer.len().to_string();
        if text.len() > place.len() {
            return;
        }
        place.fill(b' ');
        place[..text.len()].copy_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(&answer);
    bytes.extend_from_slice(&input[end..]);
    response.body = BodyLength::Fixed(answer.len() as u64);
    upstream.input = Some(Buffer::from_bytes(&bytes));
}

/// Reads until so many bytes are there. False: they do not come.
async fn read_up_to(
    end: usize,
    client: &mut Client,
    upstream: &mut UpstreamConnection,
    snapshot: &Snapshot,
) -> bool {
    client.deadline.set_after(snapshot.timeouts.body_idle);
    poll_fn(|context| {
        client.control.register(context);
        loop {
            if buffer::filled(&upstream.input).len() >= end {
                return Poll::Ready(true);
            }
            if client.control.has(CLOSE) {
                return Poll::Ready(false);
            }
            match buffer::poll_fill(context, &mut upstream.stream, &mut upstream.input) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => return client.deadline.poll(context).map(|()| false),
            }
        }
    })
    .await
}

/// The message without HTTP/3 in its HTTPS records. `None`: there is none in it, or it cannot be read.
fn without_http3(bytes: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(bytes, b"h3")?;
    let mut message = Message::from_vec(bytes).ok()?;
    let mut changed = false;
    for section in [&mut message.answers, &mut message.authorities, &mut message.additionals] {
        let before = section.len();
        section.retain_mut(|record| keep(record, &mut changed));
        changed |= section.len() != before;
    }
    if !changed {
        return None;
    }
    // It is not what was signed any more.
    message.metadata.authentic_data = false;
    message.to_vec().ok()
}

/// Whether anything is left of a record that clients could use.
fn keep(record: &mut Record, changed: &mut bool) -> bool {
    let RData::HTTPS(https) = &mut record.data else { return true };
    let SVCB { svc_params, .. } = &mut https.0;
    let Some(SvcParamValue::Alpn(alpn)) =
        svc_params.iter_mut().find(|(key, _)| *key == SvcParamKey::Alpn).map(|(_, value)| value)
    else {
        return true;
    };
    let before = alpn.0.len();
    alpn.0.retain(|protocol| protocol != "h3" && !protocol.starts_with("h3-"));
    *changed |= alpn.0.len() != before;
    if !alpn.0.is_empty() {
        return true;
    }
    // With nothing named, HTTP/1.1 is meant, unless it says that it is not, or that something has to be named (RFC 9460
    // sections 7.1 and 8).
    let nothing_left = svc_params.iter().any(|(_, value)| match value {
        SvcParamValue::NoDefaultAlpn => true,
        SvcParamValue::Mandatory(mandatory) => mandatory.0.contains(&SvcParamKey::Alpn),
        _ => false,
    });
    svc_params.retain(|(key, _)| *key != SvcParamKey::Alpn);
    !nothing_left
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test fails by panicking
mod tests {
    use hickory_resolver::proto::rr::rdata::HTTPS;
    use hickory_resolver::proto::rr::rdata::svcb::{Alpn, Mandatory};
    use hickory_resolver::proto::rr::{Name, RData};

    use super::*;

    fn https(protocols: &[&str], more: Vec<(SvcParamKey, SvcParamValue)>) -> RData {
        let alpn = Alpn(protocols.iter().map(ToString::to_string).collect());
        let mut params = vec![(SvcParamKey::Alpn, SvcParamValue::Alpn(alpn))];
        params.extend(more);
        params.sort_by_key(|(key, _)| u16::from(*key));
        RData::HTTPS(HTTPS(SVCB::new(1, Name::root(), params)))
    }

    fn message(records: Vec<RData>) -> Vec<u8> {
        let mut message = Message::response(7, hickory_resolver::proto::op::OpCode::Query);
        message.metadata.authentic_data = true;
        for data in records {
            message.answers.push(Record::from_rdata(Name::from_ascii("a.example.").unwrap(), 300, data));
        }
        message.to_vec().unwrap()
    }

    fn filtered(records: Vec<RData>) -> Option<Vec<RData>> {
        let bytes = without_http3(&message(records))?;
        let message = Message::from_vec(&bytes).unwrap();
        assert!(!message.metadata.authentic_data);
        Some(message.answers.into_iter().map(|record| record.data).collect())
    }

    #[test]
    fn http3_goes_and_everything_else_stays() {
        let port = || vec![(SvcParamKey::Port, SvcParamValue::Port(8443))];
        let address = RData::A(std::net::Ipv4Addr::new(192, 0, 2, 1).into());
        let records = vec![https(&["h3", "h3-29", "h2"], port()), address.clone()];
        assert_eq!(filtered(records), Some(vec![https(&["h2"], port()), address]));
    }

    #[test]
    fn a_record_that_names_nothing_else_means_http1_or_goes() {
        let bare = || RData::HTTPS(HTTPS(SVCB::new(1, Name::root(), Vec::new())));
        assert_eq!(filtered(vec![https(&["h3"], Vec::new())]), Some(vec![bare()]));
        let no_default = vec![(SvcParamKey::NoDefaultAlpn, SvcParamValue::NoDefaultAlpn)];
        assert_eq!(filtered(vec![https(&["h3"], no_default)]), Some(Vec::new()));
        let mandatory = SvcParamValue::Mandatory(Mandatory(vec![SvcParamKey::Alpn]));
        assert_eq!(
            filtered(vec![https(&["h3"], vec![(SvcParamKey::Mandatory, mandatory)])]),
            Some(Vec::new())
        );
    }

    #[test]
    fn what_has_no_http3_or_is_no_message_passes_as_it_is() {
        assert_eq!(filtered(vec![https(&["h2"], Vec::new())]), None);
        assert_eq!(without_http3(b"h3 is all there is"), None);
        assert_eq!(without_http3(b""), None);
        let whole = message(vec![https(&["h3", "h2"], Vec::new())]);
        for end in 0..whole.len() {
            assert_eq!(without_http3(&whole[..end]), None, "cut at {end}");
        }
    }
}
