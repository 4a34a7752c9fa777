//! TLS of the listeners: reading their files at the start and on a reload.

use std::sync::Arc;

use arc_swap::ArcSwap;
use egret_config::{Loaded, Problem};
use egret_core::settings::{ListenerSettings, ListenerTls, Serves};
use egret_proxy::listener::Bound;
use egret_proxy::metrics::CertificateFigure;
use egret_tls::server::{ServerTls, SettingError};

/// A listener with what a reload puts a new one in place of.
#[derive(Clone, Debug)]
pub(crate) struct ListenerSlot {
    /// As it is configured.
    pub settings: ListenerSettings,
    /// Its TLS, if it speaks it.
    pub tls: Option<Arc<ArcSwap<ServerTls>>>,
}

/// Reads the files of every listener. What did not change since `before` is taken over.
///
/// # Errors
/// Everything that is wrong with them, at the place in the configuration that names it.
pub(crate) fn load(loaded: &Loaded, before: &[ListenerSlot]) -> Result<Vec<ListenerSlot>, Vec<Problem>> {
    let mut slots = Vec::new();
    let mut problems = Vec::new();
    for (index, settings) in loaded.compiled.listeners.iter().enumerate() {
        let tls = settings.tls.as_ref().map(|tls| {
            let before =
                same(before, &loaded.compiled.listeners[..=index]).and_then(|slot| slot.tls.as_ref());
            ServerTls::load(tls, before.map(|tls| tls.load_full()).as_deref())
        });
        let tls = match tls.transpose() {
            Ok(tls) => tls,
            Err(errors) => {
                problems.extend(errors.iter().map(|error| problem(loaded, index, error)));
                continue;
            }
        };
        let tls = tls.map(|tls| Arc::new(ArcSwap::from_pointee(tls)));
        slots.push(ListenerSlot { settings: settings.clone(), tls });
    }
    if problems.is_empty() { Ok(slots) } else { Err(problems) }
}

/// The slot of the last of these listeners. Addresses with port 0 can stand several times: the second
/// goes with the second.
fn same<'a>(slots: &'a [ListenerSlot], listeners: &[ListenerSettings]) -> Option<&'a ListenerSlot> {
    let address = listeners.last()?.address;
    let place = listeners.iter().filter(|listener| listener.address == address).count() - 1;
    slots.iter().filter(|slot| slot.settings.address == address).nth(place)
}

fn problem(loaded: &Loaded, index: usize, error: &SettingError) -> Problem {
    let pointer = format!("/listeners/{index}/tls/{}", error.setting);
    loaded.config.problem(&pointer, &error.message, error.help.as_deref())
}

/// Puts newly read TLS into force, for the next connections.
pub(crate) fn apply(in_force: &[ListenerSlot], new: &[ListenerSlot]) {
    let settings: Vec<_> = in_force.iter().map(|slot| slot.settings.clone()).collect();
    for (index, slot) in in_force.iter().enumerate() {
        let new = same(new, &settings[..=index]).and_then(|new| new.tls.as_ref());
        // Whether TLS is spoken at all does not change while a listener stands.
        if let (Some(old), Some(new)) = (&slot.tls, new) {
            old.store(new.load_full());
        }
    }
}

/// Says what may be wrong with files that can be used.
pub(crate) fn warn(slots: &[ListenerSlot]) {
    for slot in slots {
        let warnings = slot.tls.iter().flat_map(|tls| tls.load().warnings.clone());
        for warning in warnings {
            tracing::warn!(listener = %slot.settings.address, "{warning}");
        }
    }
}

/// When the certificates end.
pub(crate) fn figures(slots: &[ListenerSlot]) -> Vec<CertificateFigure> {
    let of_slot = |slot: &ListenerSlot| -> Vec<CertificateFigure> {
        let certificates = slot.tls.iter().flat_map(|tls| tls.load().certificates.clone());
        let figure = |facts: egret_tls::server::CertificateFacts| CertificateFigure {
            listener: slot.settings.address.to_string(),
            certificate: facts.name,
            not_after: facts.not_after,
        };
        certificates.map(figure).collect()
    };
    let mut figures: Vec<_> = slots.iter().flat_map(of_slot).collect();
    figures
        .sort_by(|one, other| (&one.listener, &one.certificate).cmp(&(&other.listener, &other.certificate)));
    // Certificates with several kinds of key for one name: the one that ends first counts.
    figures.dedup_by(|later, earlier| {
        let same = (&later.listener, &later.certificate) == (&earlier.listener, &earlier.certificate);
        if same {
            earlier.not_after = earlier.not_after.min(later.not_after);
        }
        same
    });
    figures
}

/// Gives sockets of the service manager the TLS of the listener that is configured for their address, or
/// else for their port. What is meant to be spoken over TLS is never served in the clear.
///
/// # Errors
/// A listener has TLS and no socket, or the other way round.
pub(crate) fn match_lent(bound: &mut [Bound], listeners: &[ListenerSlot]) -> Result<(), String> {
    let plain = |slot: &ListenerSlot| {
        slot.tls.is_none()
            && slot.settings.proxy_protocol.is_empty()
            && slot.settings.serves == Serves::default()
    };
    if listeners.iter().all(plain) {
        return Ok(());
    }
    for bound in bound.iter_mut() {
        let by_address = listeners.iter().find(|slot| slot.settings.address == bound.address);
        let by_port = || listeners.iter().find(|slot| slot.settings.address.port() == bound.address.port());
        let Some(slot) = by_address.or_else(by_port) else {
            return Err(format!(
                "no listener is configured for {}, and others have settings of their own: add it to `listeners`",
                bound.address
            ));
        };
        bound.tls.clone_from(&slot.tls);
        bound.proxy_protocol = slot.settings.proxy_protocol.as_slice().into();
        bound.serves = slot.settings.serves;
    }
    let has_socket = |tls: &ListenerTls| {
        let slot = listeners.iter().find(|slot| slot.settings.tls.as_ref() == Some(tls));
        slot.and_then(|slot| slot.tls.as_ref()).is_some_and(|tls| {
            bound.iter().any(|bound| bound.tls.as_ref().is_some_and(|own| Arc::ptr_eq(own, tls)))
        })
    };
    match listeners.iter().find(|slot| slot.settings.tls.as_ref().is_some_and(|tls| !has_socket(tls))) {
        Some(slot) => {
            Err(format!("{} is configured with `tls`, and no socket is for it", slot.settings.address))
        }
        None => Ok(()),
    }
}
