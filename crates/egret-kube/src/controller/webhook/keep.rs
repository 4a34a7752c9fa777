//! The certificate and the registration, kept right: by the leader alone. Every replica shows what is there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Config;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::certificate::{self, Step, plan};
use super::files::Files;
use super::register::{
    Client as WebhookClient, INJECT_PATH, OBJECTS, PODS, covers, mutating, url_of, validating,
};
use super::secret;
use super::serving::Serving;
use crate::admission::Certificates;
use crate::controller::api::{Failure, explain, within};
use crate::controller::metrics::Metrics;
use crate::controller::settings::{MANAGER, Settings, WEBHOOK_SECRET};
use crate::controller::watch::{Changes, Watched, keep};
use crate::crd::EgressProxy;

/// How often it is looked at without a change.
const LOOK: Duration = Duration::from_secs(20);
/// How often files are looked at.
const FILES: Duration = Duration::from_secs(10);
/// A certificate that ends so soon is worth a warning.
const SOON: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);
/// An object that the webhook refuses, and that is never made.
const REFUSED: &str = "egret-asks-whether-the-webhook-answers";

/// Shows what the Secret or the files hold, as long as the process lives.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) serving: Arc<Serving>,
    secret: Option<Watched<Secret>>,
    /// What the API server is to trust, from files.
    trust: Arc<std::sync::Mutex<Option<Vec<u8>>>>,
    changes: Changes,
}

impl Shown {
    /// Begins to look.
    pub(crate) fn watch(
        tasks: &mut JoinSet<()>,
        client: &Client,
        settings: &Settings,
        certificates: Certificates,
    ) -> Self {
        let (changes, serving) = (Changes::new(), Arc::new(Serving::new(certificates)));
        let trust: Arc<std::sync::Mutex<Option<Vec<u8>>>> = Arc::default();
        if let Some(dir) = &settings.webhook_cert {
            tasks.spawn(show_files(dir.clone(), serving.clone(), trust.clone(), changes.clone()));
            return Self { serving, secret: None, trust, changes };
        }
        let api: Api<Secret> = Api::namespaced(client.clone(), &settings.namespace);
        let one = Config::default().fields(&format!("metadata.name={WEBHOOK_SECRET}"));
        let secret = keep(tasks, api, one, "Secret of the webhook", |_| {}, &changes);
        tasks.spawn(show_secret(secret.clone(), serving.clone(), changes.clone()));
        Self { serving, secret: Some(secret), trust, changes }
    }

    /// How current the Secret is.
    pub(crate) fn health(&self) -> Option<&Arc<crate::controller::watch::Health>> {
        self.secret.as_ref().map(|secret| &secret.health)
    }
}

async fn show_secret(secret: Watched<Secret>, serving: Arc<Serving>, changes: Changes) {
    let mut changed = changes.listen();
    let mut said = None;
    loop {
        changed.changed_within(Duration::from_secs(3600)).await;
        let Some(found) = secret.store.state().pop() else { continue };
        let stored = secret::read(&found);
        show(&serving, certificate::read(&stored.certificate, &stored.key), WEBHOOK_SECRET, &mut said);
    }
}

async fn show_files(
    dir: PathBuf,
    serving: Arc<Serving>,
    trust: Arc<std::sync::Mutex<Option<Vec<u8>>>>,
    changes: Changes,
) {
    let (mut files, mut said) = (Files::new(&dir), None);
    let name = dir.display().to_string();
    loop {
        match files.changed() {
            Ok(None) => {}
            Ok(Some(found)) => {
                show(&serving, Ok(found.identity), &name, &mut said);
                *trust.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = found.trust;
                changes.tell();
            }
            Err(why) => show(&serving, Err(why), &name, &mut said),
        }
        tokio::time::sleep(FILES).await;
    }
}

/// Shows a new certificate; one that is no good leaves the one before.
fn show(
    serving: &Serving,
    found: Result<egret_tls::files::Identity, String>,
    source: &str,
    said: &mut Option<String>,
) {
    match found.and_then(|identity| serving.show(&identity)) {
        Ok(true) => {
            *said = None;
            let until = serving.not_after().map(|until| until.to_string()).unwrap_or_default();
            tracing::info!(source, until, "the webhook shows this certificate");
            let soon = Timestamp::now().checked_add(SOON).unwrap_or_default();
            if serving.not_after().is_some_and(|end| end < soon) {
                tracing::warn!(
                    source,
                    until,
                    "the webhook's certificate ends soon: pods are then made without the proxy"
                );
            }
        }
        Ok(false) => {}
        Err(why) if said.as_ref() == Some(&why) => {}
        Err(why) => {
            tracing::error!(source, %why, "the webhook's certificate cannot be used; the one before stays");
            *said = Some(why);
        }
    }
}

/// Keeps the Secret and the configurations. For the leader.
pub(crate) struct Registration {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) shown: Shown,
}

/// What was last found to be wrong, said once.
#[derive(Default)]
struct Said {
    certificate: Option<String>,
    registration: Option<String>,
    answers: bool,
}

impl Registration {
    /// Makes rounds for ever.
    pub(crate) async fn run(self, metrics: Arc<Metrics>) {
        let mut tasks = JoinSet::new();
        let one = || Config::default().fields(&format!("metadata.name={}", self.settings.webhooks));
        let changes = &self.shown.changes;
        // Somebody may change or delete them.
        let _mutating: Watched<MutatingWebhookConfiguration> = keep(
            &mut tasks,
            Api::all(self.client.clone()),
            one(),
            "MutatingWebhookConfiguration",
            |_| {},
            changes,
        );
        let _validating: Watched<ValidatingWebhookConfiguration> = keep(
            &mut tasks,
            Api::all(self.client.clone()),
            one(),
            "ValidatingWebhookConfiguration",
            |_| {},
            changes,
        );
        let (mut changed, mut said) = (changes.listen(), Said::default());
        let mut wait = LOOK;
        loop {
            changed.changed_within(wait).await;
            let certificate = self.certificate(Timestamp::now()).await;
            let (trust, again) = match certificate {
                Ok(found) => {
                    said.certificate = None;
                    found
                }
                Err(why) => {
                    if said.certificate.as_ref() != Some(&why) {
                        tracing::error!(%why, "the webhook's certificate could not be looked after; trying again");
                        said.certificate = Some(why);
                    }
                    metrics.done("webhook", false);
                    wait = LOOK;
                    continue;
                }
            };
            wait = again.min(LOOK);
            let went_well = match self.settings.register {
                true => self.register(trust, &mut said).await,
                false => true,
            };
            metrics.done("webhook", went_well);
        }
    }

    /// Looks after the certificate. Gives what the API server is to trust, and when to look again.
    async fn certificate(&self, now: Timestamp) -> Result<(Option<Vec<u8>>, Duration), String> {
        if self.shown.secret.is_none() {
            let trust = self.shown.trust.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            return Ok((trust.clone(), LOOK));
        }
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.settings.namespace);
        let words = |failure: Failure| explain(&failure);
        let found = within(api.get_opt(WEBHOOK_SECRET)).await.map_err(words)?;
        let stored = found.as_ref().map(secret::read);
        let names = certificate::names(
            &self.settings.service,
            &self.settings.namespace,
            self.settings.webhook_url.as_deref(),
        );
        match plan(stored.as_ref(), &names, self.settings.webhook_days, now)? {
            Step::Keep(again) => {
                let wait = again.duration_since(now).unsigned_abs();
                Ok((stored.map(|stored| stored.trust), wait))
            }
            Step::Store(stored, why) => {
                match secret::write(&api, WEBHOOK_SECRET, found.as_ref(), &stored).await {
                    Ok(_) => tracing::info!(why, "the webhook's certificate was changed"),
                    // Another was faster: theirs is looked at next.
                    Err(failure) if failure.has_status(409) => {
                        return Err("somebody else wrote the Secret at the same time".to_owned());
                    }
                    Err(failure) => return Err(explain(&failure)),
                }
                Ok((Some(stored.trust), Duration::from_secs(1)))
            }
        }
    }

    async fn register(&self, trust: Option<Vec<u8>>, said: &mut Said) -> bool {
        let pods = self.settings.clone();
        let own = |url: Option<String>| WebhookClient {
            url: self.settings.webhook_url.clone().or(url),
            trust: trust.clone(),
        };
        let owner = self.owner().await;
        let first = self
            .apply::<MutatingWebhookConfiguration>(|live| {
                mutating(&pods, &own(url_of(live, PODS, INJECT_PATH)), owner.as_deref())
            })
            .await;
        let answers = said.answers;
        let second = self
            .apply::<ValidatingWebhookConfiguration>(|live| {
                let strict = answers || live["webhooks"][0]["failurePolicy"] == "Fail";
                let client = own(url_of(live, OBJECTS, super::register::VALIDATE_PATH));
                validating(&pods, &client, owner.as_deref(), strict)
            })
            .await;
        match first.and(second) {
            Ok(strict) => {
                said.registration = None;
                if !strict && !said.answers {
                    said.answers = self.answers().await;
                    if said.answers {
                        tracing::info!(
                            "the API server reaches the webhook: Egret's own kinds are refused unchecked from now on"
                        );
                        self.shown.changes.tell();
                    }
                }
                true
            }
            Err(failure) => {
                let why = explain(&failure);
                if said.registration.as_ref() != Some(&why) {
                    tracing::error!(%why, "the webhook could not be registered; trying again");
                    said.registration = Some(why);
                }
                false
            }
        }
    }

    /// Makes a configuration what it should be. Gives whether it says `Fail`.
    async fn apply<K>(&self, wanted: impl Fn(&Value) -> Value) -> Result<bool, Failure>
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Serialize,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let live = within(api.get_opt(&self.settings.webhooks)).await?;
        let live = live.and_then(|live| serde_json::to_value(live).ok()).unwrap_or_default();
        let wanted = wanted(&live);
        let strict = wanted["webhooks"][0]["failurePolicy"] == "Fail";
        let comparable = json!({ "metadata": wanted["metadata"], "webhooks": wanted["webhooks"] });
        if covers(&live, &comparable) {
            return Ok(strict);
        }
        let parameters = PatchParams::apply(MANAGER).force();
        within(api.patch(&self.settings.webhooks, &parameters, &Patch::Apply(&wanted))).await?;
        tracing::info!(kind = %K::kind(&()), name = self.settings.webhooks, "registered the webhook");
        Ok(strict)
    }

    /// The UID of the installation's namespace.
    async fn owner(&self) -> Option<String> {
        let api: Api<PartialObjectMeta<Namespace>> = Api::all(self.client.clone());
        let found = within(api.get_opt(&self.settings.namespace)).await.ok()??;
        found.metadata.uid.filter(|_| found.metadata.deletion_timestamp.is_none())
    }

    /// Whether the API server reaches the webhook: it is asked to refuse an object, without making it.
    async fn answers(&self) -> bool {
        let api: Api<EgressProxy> = Api::all(self.client.clone());
        let object = json!({
            "apiVersion": crate::crd::API_VERSION,
            "kind": EgressProxy::KIND,
            "metadata": { "name": REFUSED },
            "spec": { "noProxy": ["*.refused"] },
        });
        let Ok(object) = serde_json::from_value::<EgressProxy>(object) else { return false };
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        match within(api.create(&parameters, &object)).await {
            Err(Failure::Api(kube::Error::Api(status))) => {
                status.message.contains(&format!("admission webhook \"{OBJECTS}\" denied"))
            }
            _ => false,
        }
    }
}
