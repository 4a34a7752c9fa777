//! Requests inside a tunnel that was opened.

use egret_core::destination::Destination;
use egret_core::reason::Reason;
use egret_core::record::Treatment;

use super::{Inside, still_opens};
use crate::client::Client;
use crate::credentials;
use crate::flow::Flow;
use crate::http1::RequestHead;
use crate::http1::fields::FieldName;
use crate::http1::target::{Scheme, Target};
use crate::refuse::Refusal;

/// As much of a path as a record holds.
const RECORDED: usize = 2048;

/// Binds a request to the destination of its tunnel: from here on it is one with an absolute https target, as
/// any other. The head stands at the front of the client's input.
///
/// # Errors
/// The tunnel is refused, or the request is for another host than the tunnel leads to.
pub fn aim(client: &mut Client, flow: &mut Flow, head: &mut RequestHead) -> Result<(), Refusal> {
    let Some(inside) = client.inside.clone() else {
        return Err(Refusal::new(Reason::Internal, "a request outside of any tunnel"));
    };
    flow.record.treatment = Treatment::Intercept;
    let input = client.filled();
    note_target(flow, &inside, head, input);
    if let Some(refusal) = &inside.refusal {
        return Err(refusal.clone());
    }
    let target = aimed(&inside, head, input)?;
    if inside.generation != flow.snapshot.generation && !still_opens(flow, &inside.destination) {
        let detail = "by its new configuration, the proxy does not look into this tunnel any more";
        return Err(Refusal::new(Reason::Misdirected, detail));
    }
    credentials::refresh_groups(&flow.snapshot, &mut flow.identity);
    credentials::still_hold(&flow.snapshot, &flow.identity)
        .map_err(|detail| Refusal::new(Reason::PolicyChanged, detail))?;
    head.target = target;
    Ok(())
}

fn aimed(inside: &Inside, head: &RequestHead, input: &[u8]) -> Result<Target, Refusal> {
    let path = match &head.target {
        Target::Origin => head.target_text.clone(),
        // In absolute form, no path stands for the origin as a whole.
        Target::Asterisk => head.target_text.end..head.target_text.end,
        Target::Absolute { scheme: Scheme::Https, destination, authority, path } => {
            is_same(inside, destination)?;
            return Ok(Target::Absolute {
                scheme: Scheme::Https,
                destination: inside.destination.clone(),
                authority: authority.clone(),
                path: path.clone(),
            });
        }
        Target::Absolute { .. } => {
            let detail = "an http:// URL, inside TLS";
            return Err(Refusal::new(Reason::Misdirected, detail));
        }
        Target::Authority { .. } => {
            let detail = "CONNECT inside a tunnel that is looked into";
            return Err(Refusal::new(Reason::MethodUnsupported, detail));
        }
    };
    let host = head.fields.iter().find(|field| field.name == FieldName::Host);
    let Some(host) = host else {
        return Err(Refusal::new(Reason::MalformedRequest, "Host is missing"));
    };
    let named = Destination::parse_bytes(host.value(input), Some(Scheme::Https.default_port()));
    let named = named.map_err(|error| Refusal::new(Reason::MalformedRequest, format!("Host: {error}")))?;
    is_same(inside, &named)?;
    Ok(Target::Absolute { scheme: Scheme::Https, destination: named, authority: host.value_range(), path })
}

fn is_same(inside: &Inside, named: &Destination) -> Result<(), Refusal> {
    let leads_to = &inside.destination;
    if named == leads_to {
        return Ok(());
    }
    let detail = format!("the request is for {named}, and its tunnel leads to {leads_to}");
    Err(Refusal::new(Reason::Misdirected, detail))
}

/// Notes the target as a URL, as it stands in the record of any other request.
fn note_target(flow: &mut Flow, inside: &Inside, head: &RequestHead, input: &[u8]) {
    let Destination { host, port } = &inside.destination;
    let path = match &head.target {
        Target::Origin => &input[head.target_text.clone()],
        Target::Asterisk => b"/*",
        // They are URLs already, or what is refused.
        Target::Absolute { .. } | Target::Authority { .. } => return,
    };
    let path = String::from_utf8_lossy(&path[..path.len().min(RECORDED)]);
    flow.record.target = match *port {
        443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
}
