//! What the tests of several modules share.

use std::time::Duration;

use super::settings::{LeaseTimes, NAMESPACE, SERVICE, Settings, WEBHOOKS};

pub(super) fn settings() -> Settings {
    Settings {
        namespace: NAMESPACE.to_owned(),
        service: SERVICE.to_owned(),
        service_port: 443,
        listen: ([127, 0, 0, 1], 0).into(),
        webhook_url: None,
        webhook_cert: None,
        register: true,
        webhooks: WEBHOOKS.to_owned(),
        webhook_timeout: Duration::from_secs(5),
        identity: "test".to_owned(),
        lease: LeaseTimes::default(),
        webhook_days: 365,
    }
}
