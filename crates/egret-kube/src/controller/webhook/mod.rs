//! The webhook, as the API server comes to know and to trust it: its certificate ([`certificate`]), where that is kept
//! ([`secret`]) or read from ([`files`]), what is served ([`serving`]), and its registration ([`register`]).

pub(crate) mod certificate;
pub(crate) mod files;
pub(crate) mod keep;
pub(crate) mod register;
pub(crate) mod secret;
pub(crate) mod serving;
