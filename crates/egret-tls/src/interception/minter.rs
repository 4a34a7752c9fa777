//! Makes certificates for origins when they are asked for, and keeps them for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;

use super::{CaError, InterceptionCa, Leaf, LeafNames, MintError};
use crate::authority::{AuthorityError, KeyType, is_self_issued, random_serial, san};

/// How certificates are made and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintSettings {
    /// How long a certificate is valid from when it is made.
    pub lifetime: SignedDuration,
    /// How long before it is made it is valid already, for clients whose clock is slow.
    pub backdate: SignedDuration,
    /// How long before its end a certificate is not given out any more, for clients whose clock is fast, and for
    /// connections that last.
    pub margin: SignedDuration,
    /// How many certificates are kept: the limit `leaves`. Each takes some 2 KB.
    pub leaves: usize,
}

impl Default for MintSettings {
    fn default() -> Self {
        Self {
            // A week: nothing has to be revoked, and a laptop that slept over the weekend goes on.
            lifetime: SignedDuration::from_hours(7 * 24),
            backdate: SignedDuration::from_hours(24),
            margin: SignedDuration::from_hours(24),
            leaves: 10_000,
        }
    }
}

/// What a minter has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MintCounts {
    /// Certificates that were at hand.
    pub hits: u64,
    /// Certificates that were made.
    pub minted: u64,
    /// Certificates that could not be made.
    pub failed: u64,
    /// Certificates that gave way to others: the limit [`MintSettings::leaves`] struck.
    pub evicted: u64,
    /// Certificates that are kept now.
    pub kept: u64,
}

#[derive(Debug, Default)]
struct Counters {
    hits: AtomicU64,
    minted: AtomicU64,
    failed: AtomicU64,
}

/// Counts what gives way to others.
#[derive(Clone, Debug, Default)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<Key, Arc<Leaf>> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Key, _: Arc<Leaf>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The names, and which CA has signed: a certificate that is being made while the CA changes is not taken for
/// one of the new CA's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    names: LeafNames,
    generation: u64,
}

type Leaves = Cache<Key, Arc<Leaf>, UnitWeighter, DefaultHashBuilder, Evictions>;

/// What signs.
struct Signer {
    ca: Arc<InterceptionCa>,
    generation: u64,
    /// The key of all certificates. One of its own for each would only take time: all are in the memory of the
    /// same process, beside the key that could sign others.
    key: Arc<dyn SigningKey>,
    public: KeyPair,
    /// The CAs below the root, which go along in the handshake.
    tail: Vec<CertificateDer<'static>>,
    /// Signing takes so long (RSA) that it must not hold other connections up.
    slow: bool,
}

/// Makes and keeps certificates for origins.
pub struct Minter {
    signer: ArcSwap<Signer>,
    leaves: Leaves,
    evictions: Evictions,
    counters: Counters,
    settings: MintSettings,
    /// How many certificates are signed at the same time by a slow CA. Others wait their turn, and the cores
    /// stay free for connections that need none.
    turns: Arc<Semaphore>,
}

impl std::fmt::Debug for Minter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Minter").field("ca", &self.ca().info().subject).finish_non_exhaustive()
    }
}

impl Minter {
    /// A minter for this CA.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(ca: Arc<InterceptionCa>, settings: MintSettings) -> Result<Self, CaError> {
        let evictions = Evictions::default();
        let leaves = settings.leaves.max(1);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            signer: ArcSwap::from_pointee(Signer::new(ca, 0)?),
            leaves: Cache::with(
                leaves,
                leaves as u64,
                UnitWeighter,
                DefaultHashBuilder::default(),
                evictions.clone(),
            ),
            evictions,
            counters: Counters::default(),
            settings,
            turns: Arc::new(Semaphore::new(cores.div_ceil(2))),
        })
    }

    /// The CA that signs.
    #[must_use]
    pub fn ca(&self) -> Arc<InterceptionCa> {
        self.signer.load().ca.clone()
    }

    /// Takes another CA. Certificates of the old one are dropped; connections that have one keep it.
    ///
    /// # Errors
    /// The system gives no random bytes. Then the old one still signs.
    pub fn change_ca(&self, ca: Arc<InterceptionCa>) -> Result<(), CaError> {
        let current = self.signer.load();
        if current.ca.chain() == ca.chain() {
            return Ok(());
        }
        let signer = Signer::new(ca, current.generation + 1)?;
        self.signer.store(Arc::new(signer));
        self.leaves.clear();
        Ok(())
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> MintCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MintCounts {
            hits: read(&self.counters.hits),
            minted: read(&self.counters.minted),
            failed: read(&self.counters.failed),
            evicted: read(&self.evictions.0),
            kept: self.leaves.len() as u64,
        }
    }

    /// The certificate for these names: one at hand, or a new one, which is made once however many ask for it
    /// at the same time. Who waits for it holds nothing up. Needs a tokio runtime.
    ///
    /// # Errors
    /// The CA must not sign for it, or cannot.
    pub async fn leaf(&self, names: &LeafNames, now: Timestamp) -> Result<Arc<Leaf>, MintError> {
        let signer = self.signer.load_full();
        let key = Key { names: names.clone(), generation: signer.generation };
        loop {
            match self.leaves.get_value_or_guard_async(&key).await {
                Ok(leaf) if now < leaf.use_until => {
                    self.counters.hits.fetch_add(1, Ordering::Relaxed);
                    return Ok(leaf);
                }
                Ok(_) => {
                    self.leaves.remove_if(&key, |leaf| leaf.use_until <= now);
                }
                Err(guard) => {
                    let minted = self.mint(&signer, names, now).await;
                    let counter = if minted.is_ok() { &self.counters.minted } else { &self.counters.failed };
                    counter.fetch_add(1, Ordering::Relaxed);
                    let leaf = Arc::new(minted?);
                    // Near the end of the CA a certificate is made for each connection.
                    if now < leaf.use_until {
                        let _ = guard.insert(leaf.clone());
                    }
                    return Ok(leaf);
                }
            }
        }
    }

    async fn mint(&self, signer: &Arc<Signer>, names: &LeafNames, now: Timestamp) -> Result<Leaf, MintError> {
        if !signer.slow {
            return signer.mint(names, &self.settings, now);
        }
        let turn = self.turns.clone().acquire_owned().await;
        let (signer, names, settings) = (signer.clone(), names.clone(), self.settings.clone());
        let signing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            signer.mint(&names, &settings, now)
        });
        signing.await.unwrap_or_else(|error| Err(MintError::Signing { detail: error.to_string() }))
    }

    /// Makes a certificate, whether there is one at hand or not: for measurements.
    ///
    /// # Errors
    /// As [`Minter::leaf`].
    #[doc(hidden)]
    pub fn mint_now(&self, names: &LeafNames, now: Timestamp) -> Result<Leaf, MintError> {
        self.signer.load().mint(names, &self.settings, now)
    }
}

impl Signer {
    fn new(ca: Arc<InterceptionCa>, generation: u64) -> Result<Self, CaError> {
        let der = KeyType::EcdsaP256.generate()?;
        let encoding = |detail: String| AuthorityError::Encoding { detail };
        Ok(Self {
            generation,
            key: any_supported_type(&der).map_err(|error| encoding(error.to_string()))?,
            public: KeyPair::try_from(&der).map_err(AuthorityError::from)?,
            tail: ca.chain().iter().filter(|der| !is_self_issued(der)).cloned().collect(),
            slow: ca.info().key.starts_with("RSA"),
            ca,
        })
    }

    fn mint(&self, names: &LeafNames, settings: &MintSettings, now: Timestamp) -> Result<Leaf, MintError> {
        let authority = self.ca.authority();
        let whole = self.ca.validity();
        if now > whole.not_after {
            return Err(MintError::CaExpired { at: whole.not_after });
        }
        let sans = names.sans();
        if !sans.iter().all(|name| self.ca.permits(name)) {
            return Err(MintError::NotPermitted { host: names.host.clone() });
        }
        // Certificates know whole seconds.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let shifted = |by: SignedDuration| now.checked_add(by).unwrap_or(now);
        // Nothing is valid longer than what signed it, nor earlier.
        let not_before = shifted(-settings.backdate).max(whole.not_before);
        let not_after = shifted(settings.lifetime).min(whole.not_after);
        let name_error =
            |error: AuthorityError| MintError::Name { host: names.host.clone(), detail: error.to_string() };

        let mut params = CertificateParams::default();
        params.not_before = std::time::SystemTime::from(not_before).into();
        params.not_after = std::time::SystemTime::from(not_after).into();
        params.serial_number =
            Some(random_serial().map_err(|error| MintError::Signing { detail: error.to_string() })?);
        params.subject_alt_names = sans.iter().map(san).collect::<Result<_, _>>().map_err(name_error)?;
        params.distinguished_name = subject(names);
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params
            .signed_by(&self.public, authority.issuer())
            .map_err(|error| MintError::Signing { detail: error.to_string() })?;
        let mut chain = Vec::with_capacity(1 + self.tail.len());
        chain.push(certificate.der().clone());
        chain.extend(self.tail.iter().cloned());
        let certified = Arc::new(CertifiedKey::new(chain, self.key.clone()));
        let use_until = not_after.checked_sub(settings.margin).unwrap_or(not_after).max(not_before);
        Ok(Leaf { certified, not_before, not_after, use_until })
    }
}

/// The longest common name (RFC 5280 appendix A.1).
const COMMON_NAME: usize = 64;

/// The subject, for people: clients go by subjectAltName.
fn subject(names: &LeafNames) -> DistinguishedName {
    let name = match names.wildcards.first() {
        Some(wildcard) => wildcard.clone(),
        None => names.host.to_string(),
    };
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Egret interception");
    if name.len() <= COMMON_NAME {
        subject.push(DnType::CommonName, name);
    }
    subject
}
