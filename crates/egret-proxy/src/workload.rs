//! Who is behind a client's address in a cluster, and whether that still holds.
//!
//! What a certificate or a token proves is stronger than an address; the address adds what they do not tell,
//! such as a pod's labels. A connection is one pod's from its beginning: when that pod has ended, or its
//! address is another's, nothing more is served on it.

use std::sync::Arc;

use egret_core::identity::workloads::{Behind, Workloads};
use egret_core::identity::{Identity, Unattributed, Workload};
use egret_core::reason::Reason;

use crate::client::Client;
use crate::flow::Flow;
use crate::refuse::Refusal;
use crate::worker::Worker;

/// Finds out who is behind a connection that begins.
pub(crate) async fn identify(client: &mut Client) {
    let Some(workloads) = client.worker.shared.workloads.clone() else { return };
    let address = client.identity.ip();
    client.control.is_of(address);
    let mut behind = workloads.behind(address);
    if behind == Behind::Nobody(Unattributed::Unknown) && client.identity.workload.is_none() {
        // Boxed: few wait, and what they need is not kept.
        behind = Box::pin(workloads.appeared(address)).await;
    }
    client.worker.metrics.looked_up(match &behind {
        Behind::Pod(_) => None,
        Behind::Nobody(why) => Some(*why),
    });
    settle(&*workloads, &mut client.identity, behind);
}

/// Joins what a certificate proved with what the address tells.
fn settle(workloads: &dyn Workloads, identity: &mut Identity, behind: Behind) {
    match (&identity.workload, behind) {
        (None, Behind::Pod(workload)) => identity.workload = Some(workload),
        (None, Behind::Nobody(why)) => identity.unattributed = Some(why),
        (Some(proved), Behind::Pod(found)) if is_same(proved, &found) => identity.workload = Some(found),
        // Something stands between: what is proved counts, and the address is somebody else's.
        (Some(proved), _) => {
            if let Some(completed) = workloads.completed(proved) {
                identity.workload = Some(completed);
            }
        }
    }
}

/// Whether a workload that was proved can be the one that was found.
fn is_same(proved: &Workload, found: &Workload) -> bool {
    let is_not_another = |one: &Option<Arc<str>>, other: &Option<Arc<str>>| one.is_none() || one == other;
    proved.namespace == found.namespace
        && is_not_another(&proved.service_account, &found.service_account)
        && is_not_another(&proved.pod_uid, &found.pod_uid)
}

/// Brings what is known of a flow's workload up to date, and says whether it is still there.
///
/// # Errors
/// The pod has ended, or its address is another's.
pub(crate) fn still_stands(flow: &mut Flow) -> Result<(), Refusal> {
    if flow.worker.shared.workloads.is_none() {
        return Ok(());
    }
    let worker = flow.worker.clone();
    let outcome = refresh(&worker, &mut flow.identity);
    flow.record.workload.clone_from(&flow.identity.workload);
    flow.record.unattributed = flow.identity.unattributed;
    outcome
}

/// As [`still_stands`], for an identity.
///
/// # Errors
/// As there.
pub(crate) fn refresh(worker: &Worker, identity: &mut Identity) -> Result<(), Refusal> {
    let Some(workloads) = &worker.shared.workloads else { return Ok(()) };
    let gone =
        |workload: &Workload, how: &str| Err(Refusal::new(Reason::WorkloadGone, format!("{workload} {how}")));
    let is_proved = identity.user.as_ref().is_some_and(|user| user.workload.is_some())
        || identity.certificate().is_some_and(|shown| shown.workload().is_some());
    match &identity.workload {
        Some(workload) if is_proved => match workloads.completed(workload) {
            Some(completed) => identity.workload = Some(completed),
            None => return gone(workload, "has ended"),
        },
        Some(workload) => match workloads.behind(identity.ip()) {
            Behind::Pod(now) if now.pod_uid == workload.pod_uid => identity.workload = Some(now),
            Behind::Pod(now) => {
                return gone(workload, &format!("has ended: its address is that of {now} now"));
            }
            Behind::Nobody(Unattributed::Ambiguous) => {
                return gone(workload, "shares its address with another pod now");
            }
            Behind::Nobody(Unattributed::Stale) => {
                identity.workload = None;
                identity.unattributed = Some(Unattributed::Stale);
            }
            Behind::Nobody(_) => return gone(workload, "has ended"),
        },
        // News of a pod may come later than its first words. Of two pods with one address it is never told
        // which of them opened the connection.
        None if identity.unattributed != Some(Unattributed::Ambiguous) => {
            match workloads.behind(identity.ip()) {
                Behind::Pod(found) => {
                    identity.workload = Some(found);
                    identity.unattributed = None;
                }
                Behind::Nobody(why) => identity.unattributed = Some(why),
            }
        }
        None => {}
    }
    Ok(())
}

/// Takes the workload that credentials are of for the flow's.
///
/// # Errors
/// It is another's than the address that they came from, or its pod has ended.
pub(crate) fn adopt(flow: &mut Flow) -> Result<(), Refusal> {
    let Some(proved) = flow.identity.user.as_ref().and_then(|user| user.workload.clone()) else {
        return Ok(());
    };
    let Some(workloads) = flow.worker.shared.workloads.clone() else { return Ok(()) };
    let settings =
        flow.snapshot.authentication.as_ref().and_then(|settings| settings.service_accounts.as_ref());
    if settings.is_none_or(|settings| settings.must_fit_source)
        && let Some(found) = &flow.identity.workload
        && !is_same(&proved, found)
    {
        let detail =
            format!("the token is of {proved}, and the address {} is that of {found}", flow.identity.ip());
        return Err(Refusal::new(Reason::WorkloadMismatch, detail));
    }
    let Some(completed) = workloads.completed(&proved) else {
        let detail = format!("the token is of {proved}, which has ended");
        return Err(Refusal::new(Reason::WorkloadGone, detail));
    };
    // A token that is bound to no pod tells less than the address of a pod of the same account.
    if proved.pod_uid.is_some() || flow.identity.workload.is_none() {
        flow.identity.workload = Some(completed);
    }
    flow.identity.unattributed = None;
    flow.record.workload.clone_from(&flow.identity.workload);
    flow.record.unattributed = None;
    Ok(())
}
