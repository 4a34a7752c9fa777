//! From `authentication` to what the data path knows, with the files that it refers to.

use std::sync::Arc;

use egret_core::authentication as core;

use crate::compile::Compiler;
use crate::file;
use crate::referenced;
use crate::values::FilePath;

impl Compiler<'_> {
    /// What is asked of clients; `None` where there is nothing to check it against.
    pub(crate) fn authentication(&mut self) -> Option<Arc<core::Authentication>> {
        let kubernetes = self.config.file().kubernetes.as_ref();
        let file = &self.config.file().authentication;
        if !file.is_on() && kubernetes.is_none() {
            return None;
        }
        let htpasswd = self.read_file("/authentication/htpasswd", file.htpasswd.as_ref(), referenced::users);
        let groups =
            self.read_file("/authentication/groupsFile", file.groups_file.as_ref(), referenced::groups);
        let settings = core::Authentication {
            // In a cluster most are known by their addresses: a token is asked for where that is written.
            required: file.required.unwrap_or(file.is_on()),
            realm: file.realm.0.as_str().into(),
            exempt: file.exempt.iter().map(|network| network.0).collect(),
            htpasswd: htpasswd.map(Arc::new),
            ldap: file.ldap.as_ref().map(|ldap| Arc::new(self.directory(ldap))),
            jwt: file.jwt.as_ref().and_then(|jwt| self.tokens(jwt)).map(Arc::new),
            service_accounts: kubernetes.map(|kubernetes| core::ServiceAccounts {
                audience: kubernetes.token_audience.0.as_str().into(),
                must_fit_source: kubernetes.token_must_fit_source,
            }),
            groups: groups.map(Arc::new),
            max_groups: file.max_groups as usize,
            cache: core::VerdictCache {
                accepted: file.cache.accepted.0,
                refused: file.cache.refused.0,
                entries: file.cache.entries as usize,
            },
            backoff: core::Backoff {
                failures: file.backoff.failures,
                delay: file.backoff.delay.0,
                max_delay: file.backoff.max_delay.0,
                clients: file.backoff.clients as usize,
            },
            checks: file.checks as usize,
            timeout: file.timeout.0,
        };
        Some(Arc::new(settings))
    }

    fn read_file<T>(
        &mut self,
        pointer: &str,
        path: Option<&FilePath>,
        read: impl FnOnce(&std::path::Path) -> Result<T, referenced::FileError>,
    ) -> Option<T> {
        let path = self.base_dir.join(&path?.0);
        let result = read(&path);
        self.read(pointer, result)
    }

    fn directory(&mut self, ldap: &file::Ldap) -> core::Directory {
        let at = |field| format!("/authentication/ldap/{field}");
        let password = ldap.bind_password_file.as_ref();
        let password = self.read_file(&at("bindPasswordFile"), password, referenced::password);
        let tls = |tls| match (tls, ldap.start_tls) {
            (true, _) => core::DirectoryTls::Ldaps,
            (false, true) => core::DirectoryTls::StartTls,
            (false, false) => core::DirectoryTls::Off,
        };
        let servers = ldap.urls.iter();
        let servers = servers
            .map(|url| core::DirectoryServer { address: url.server.clone(), tls: tls(url.tls) })
            .collect();
        core::Directory {
            servers,
            trusted_ca: self.trusted_ca(&at("trustedCA"), ldap.trusted_ca.as_ref()),
            bind_dn: ldap.bind_dn.as_ref().map(|dn| dn.0.clone()).unwrap_or_default(),
            bind_password: core::Secret(password.unwrap_or_default()),
            base: ldap.base.0.clone(),
            filter: ldap.filter(),
            user_attribute: ldap.user_attribute.0.clone(),
            allowed_groups: ldap.allowed_groups.iter().map(|group| group.0.clone()).collect(),
            group_base: ldap.group_base.as_ref().map(|base| base.0.clone()),
            group_filter: ldap.group_filter.as_ref().map(|filter| filter.0.clone()),
            nested_groups: ldap.nested_groups,
            connections: ldap.connections as usize,
            timeout: ldap.timeout.0,
        }
    }

    fn tokens(&mut self, jwt: &file::Jwt) -> Option<core::Tokens> {
        let at = |field| format!("/authentication/jwt/{field}");
        let keys = match &jwt.keys_url {
            Some(url) => core::KeySource::Url(url.url.clone()),
            None => {
                let keys = self.read_file(&at("keysFile"), jwt.keys_file.as_ref(), referenced::keys)?;
                core::KeySource::File(keys)
            }
        };
        let texts = |list: &[crate::values::Words]| list.iter().map(|text| text.0.clone()).collect();
        Some(core::Tokens {
            keys,
            refresh: jwt.refresh.0,
            trusted_ca: self.trusted_ca(&at("trustedCA"), jwt.trusted_ca.as_ref()),
            issuers: texts(&jwt.issuers),
            audiences: texts(&jwt.audiences),
            clock_skew: jwt.clock_skew.0,
            user_claim: jwt.user_claim.0.clone(),
            groups_claim: jwt.groups_claim.0.clone(),
        })
    }
}
