//! Which certificate a client gets: by the name it asks for, and what it can verify.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::UnixTime;

use super::ocsp::Staple;

/// One certificate, with its OCSP response and without.
#[derive(Debug)]
pub(super) struct Entry {
    bare: Arc<CertifiedKey>,
    /// The response goes along until it is out of date.
    stapled: Option<(Arc<CertifiedKey>, UnixTime)>,
}

impl Entry {
    pub(super) fn new(key: CertifiedKey, staple: Option<Staple>) -> Self {
        let stapled = staple.map(|staple| {
            let mut key = key.clone();
            key.ocsp = Some(staple.response);
            (Arc::new(key), staple.until)
        });
        Self { bare: Arc::new(key), stapled }
    }

    fn key(&self, now: UnixTime) -> Arc<CertifiedKey> {
        match &self.stapled {
            Some((key, until)) if now < *until => key.clone(),
            _ => self.bare.clone(),
        }
    }
}

/// The certificates of a listener. The first is the default.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    entries: Vec<Entry>,
    exact: HashMap<String, Vec<usize>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<usize>>,
}

impl Resolver {
    pub(super) fn add(&mut self, entry: Entry, names: &[String]) {
        let index = self.entries.len();
        self.entries.push(entry);
        for name in names {
            match name.strip_prefix("*.") {
                Some(rest) => self.wildcard.entry(rest.to_owned()).or_default().push(index),
                None => self.exact.entry(name.clone()).or_default().push(index),
            }
        }
    }

    /// The indices to try, best first: of the very name, of a wildcard, and all others.
    fn candidates(&self, name: Option<&str>) -> impl Iterator<Item = usize> {
        let name = name.map(str::to_ascii_lowercase).unwrap_or_default();
        let exact = self.exact.get(&name).into_iter().flatten();
        let above = name.split_once('.').map_or("", |(_, above)| above);
        let wildcard = self.wildcard.get(above).into_iter().flatten();
        exact.chain(wildcard).copied().chain(0..self.entries.len())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let can_verify = |index: &usize| {
            self.entries.get(*index).is_some_and(|entry| entry.bare.key.choose_scheme(schemes).is_some())
        };
        // With none that the client can verify, the first says so better than silence.
        let index = self.candidates(hello.server_name()).find(can_verify).unwrap_or(0);
        self.entries.get(index).map(|entry| entry.key(UnixTime::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(certificates: &[&[&str]]) -> Resolver {
        let mut resolver = Resolver::default();
        for names in certificates {
            let pair = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
            let der = pair.signing_key.serialize_der();
            let key =
                super::super::certified(vec![pair.cert.der().clone()], der.try_into().unwrap()).unwrap();
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            resolver.add(Entry::new(key, None), &names);
        }
        resolver
    }

    #[test]
    fn the_name_decides_then_the_wildcard_then_the_order() {
        let resolver =
            resolver(&[&["first.test"], &["*.a.test"], &["b.a.test"], &["*.test"], &["first.test"]]);
        let first = |name| resolver.candidates(name).next();
        assert_eq!(first(None), Some(0));
        assert_eq!(first(Some("b.a.test")), Some(2));
        assert_eq!(first(Some("B.A.TEST")), Some(2));
        assert_eq!(first(Some("c.a.test")), Some(1));
        assert_eq!(first(Some("a.test")), Some(3));
        assert_eq!(first(Some("d.c.a.test")), Some(0), "a wildcard is for one label");
        assert_eq!(first(Some("nobody.example")), Some(0));
        let both: Vec<usize> = resolver.candidates(Some("first.test")).take(2).collect();
        assert_eq!(both, [0, 4], "certificates with several kinds of key for one name");
    }
}
