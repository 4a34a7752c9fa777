//! Checks of `authentication`.

use std::time::Duration;

use super::Checks;
use crate::file::{Jwt, Ldap};
use crate::values::Words;

impl Checks<'_> {
    pub(super) fn authentication(&mut self, complete: bool) {
        let file = self.config.file();
        let authentication = &file.authentication;
        let is_on = authentication.is_on() || file.kubernetes.is_some();
        // Whoever wrote it believes that clients are asked for credentials now.
        if complete && !is_on && authentication.required == Some(true) {
            let help = "add htpasswd, ldap, jwt or kubernetes, or remove the field";
            let message =
                "there is nothing that credentials are checked against, so everybody would be served";
            self.find("/authentication/required", message, help);
        }
        if complete && !is_on && authentication.groups_file.is_some() {
            let message = "there are no users who could be in groups: no credentials are asked for";
            self.find(
                "/authentication/groupsFile",
                message,
                "add htpasswd, ldap, jwt or kubernetes, or remove the field",
            );
        }
        for (field, time) in [
            ("timeout", authentication.timeout),
            ("backoff/delay", authentication.backoff.delay),
            ("backoff/maxDelay", authentication.backoff.max_delay),
        ] {
            if time.0.is_zero() {
                let pointer = format!("/authentication/{field}");
                self.find(&pointer, "zero makes no sense here", "write 1s or more");
            }
        }
        if let Some(ldap) = &authentication.ldap {
            self.ldap(ldap, complete);
        }
        if let Some(jwt) = &authentication.jwt {
            self.jwt(jwt, complete);
        }
    }

    fn ldap(&mut self, ldap: &Ldap, complete: bool) {
        let at = |field: &str| format!("/authentication/ldap/{field}");
        if ldap.timeout.0.is_zero() {
            self.find(&at("timeout"), "zero would refuse everybody", "write 1s or more");
        }
        let filter = ldap.filter();
        if !filter.contains("{user}") {
            let help = "write {user} where the name belongs, as in (uid={user})";
            self.find(&at("filter"), "the filter does not ask for the user", help);
        } else if !is_enclosed(&filter) {
            let help = "a filter stands in parentheses (RFC 4515), as in (&(objectClass=person)(uid={user}))";
            self.find(&at("filter"), "the parentheses of the filter do not match", help);
        }
        if let Some(Words(filter)) = &ldap.group_filter {
            if ldap.group_base.is_none() && complete {
                let help = "add groupBase: the entry under which the groups are";
                self.find(&at("groupFilter"), "no groups are searched that it could find", help);
            }
            if !filter.contains("{dn}") && !filter.contains("{user}") {
                let help = "write {dn} or {user} where the user belongs, as in (member={dn})";
                self.find(&at("groupFilter"), "the filter does not ask for the user", help);
            } else if !is_enclosed(filter) {
                let help = "a filter stands in parentheses (RFC 4515), as in (member={dn})";
                self.find(&at("groupFilter"), "the parentheses of the filter do not match", help);
            }
        }
        let attribute = &ldap.user_attribute.0;
        if !attribute.chars().all(|c| c.is_ascii_alphanumeric() || "-.;".contains(c)) {
            let help = "write it as in uid, sAMAccountName or mail";
            self.find(&at("userAttribute"), "this is no name of an attribute", help);
        }
        match (&ldap.bind_dn, &ldap.bind_password_file) {
            (Some(_), None) if complete => self.find(
                &at("bindDN"),
                "there is no password for it",
                "a bind without a password proves nothing; name its file in bindPasswordFile",
            ),
            (None, Some(_)) if complete => {
                self.find(&at("bindPasswordFile"), "there is nobody whose password it is", "add bindDN");
            }
            _ => {}
        }
    }

    fn jwt(&mut self, jwt: &Jwt, complete: bool) {
        let at = |field: &str| format!("/authentication/jwt/{field}");
        match (&jwt.keys_url, &jwt.keys_file) {
            (None, None) if complete => {
                let help = "add keysURL (or keysFile): the JWK set of the provider";
                self.find("/authentication/jwt", "there are no keys to check tokens by", help);
            }
            (Some(_), Some(_)) => {
                self.find(&at("keysFile"), "keys come from keysURL already", "remove one of the two")
            }
            _ => {}
        }
        if jwt.refresh.0 < Duration::from_secs(10) {
            self.find(&at("refresh"), "the provider would be asked too often", "write 10s or more");
        }
        if jwt.clock_skew.0 > Duration::from_secs(600) {
            let help = "write 10m or less, and have the clocks set by NTP";
            self.find(&at("clockSkew"), "tokens would be taken long after their end", help);
        }
    }
}

/// Whether a filter stands in parentheses, and closes those that it opens.
fn is_enclosed(filter: &str) -> bool {
    filter.starts_with('(') && filter.matches('(').count() == filter.matches(')').count()
}
