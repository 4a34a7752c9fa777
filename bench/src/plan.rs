//! The scenarios: what is done, in which unit it is told, and what Egret is to reach.

/// What the clients do, each in a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Requests on kept connections; the answer's body has so many bytes.
    KeepAlive { body: usize },
    /// A client connection for each request of 1 KiB.
    NewConnection,
    /// CONNECT, 64 bytes there and back, close.
    Connect,
    /// 64 bytes there and back through open tunnels.
    PingPong,
    /// Requests through open tunnels; the answer's body has so many bytes.
    Through { body: usize },
    /// As much as passes from the origin to the client.
    Download,
    /// As much as passes from the client to the origin.
    Upload,
    /// Open tunnels in which nothing happens.
    Idle,
    /// The same as [`Load::Connect`] over mutual TLS, with a handshake for each.
    TlsConnect { resumed: bool },
    /// The same as [`Load::Download`] in a tunnel over mutual TLS to the proxy.
    TlsDownload,
    /// The same as [`Load::Idle`] over mutual TLS to the proxy.
    TlsIdle,
    /// Requests on kept connections in tunnels that the proxy looks into.
    InterceptKeepAlive { body: usize },
    /// CONNECT, a handshake, one request of 1 KiB, close; in tunnels that the proxy looks into. Each for a host
    /// that was never asked for, or all for one.
    InterceptNew { host_each: bool },
}

/// How a proxy has to be set up for a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// Forwarding and tunnels.
    Plain,
    /// The same over mutual TLS to the proxy.
    Tls,
    /// It looks into tunnels.
    Intercept,
}

impl Load {
    /// What the proxy has to be set up for.
    pub(crate) fn setup(self) -> Setup {
        match self {
            Self::InterceptKeepAlive { .. } | Self::InterceptNew { .. } => Setup::Intercept,
            _ if self.is_tls() => Setup::Tls,
            _ => Setup::Plain,
        }
    }

    /// The clients speak TLS to the proxy.
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::TlsConnect { .. } | Self::TlsDownload | Self::TlsIdle)
    }

    /// Bytes are counted, not operations.
    pub(crate) fn is_bulk(self) -> bool {
        matches!(self, Self::Download | Self::Upload | Self::TlsDownload)
    }

    /// Memory is measured, not CPU.
    pub(crate) fn is_idle(self) -> bool {
        matches!(self, Self::Idle | Self::TlsIdle)
    }
}

/// In what the cost is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Microseconds of the proxy's CPU for one operation.
    MicrosPerOp,
    /// Milliseconds of the proxy's CPU for 10^9 bytes.
    MillisPerGb,
    /// Kilobytes of the proxy's memory for one tunnel.
    KbPerTunnel,
}

impl Unit {
    /// The cost's unit, as the table names it.
    pub(crate) fn cost(self) -> &'static str {
        match self {
            Self::MicrosPerOp => "µs/op",
            Self::MillisPerGb => "ms/GB",
            Self::KbPerTunnel => "KB/tunnel",
        }
    }

    /// The throughput's unit, as the table names it.
    pub(crate) fn rate(self) -> &'static str {
        match self {
            Self::MicrosPerOp => "op/s",
            Self::MillisPerGb => "MB/s",
            Self::KbPerTunnel => "tunnels",
        }
    }
}

/// What Egret is to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// At most this share of Envoy's cost.
    OfEnvoy(f64),
    /// At most this share of mitmproxy's cost.
    OfMitmproxy(f64),
    /// At most this, in the scenario's unit.
    Absolute(f64),
    /// Nothing is set.
    None,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// What `--scenario` takes.
    pub(crate) name: &'static str,
    /// What the table says.
    pub(crate) title: &'static str,
    pub(crate) load: Load,
    /// How many clients at once.
    pub(crate) clients: usize,
    pub(crate) goal: Goal,
    /// Run when no scenario is named.
    pub(crate) standard: bool,
}

impl Scenario {
    /// In what the cost is told.
    pub(crate) fn unit(&self) -> Unit {
        match self.load {
            Load::KeepAlive { .. }
            | Load::NewConnection
            | Load::Connect
            | Load::PingPong
            | Load::Through { .. }
            | Load::TlsConnect { .. }
            | Load::InterceptKeepAlive { .. }
            | Load::InterceptNew { .. } => Unit::MicrosPerOp,
            Load::Download | Load::Upload | Load::TlsDownload => Unit::MillisPerGb,
            Load::Idle | Load::TlsIdle => Unit::KbPerTunnel,
        }
    }
}

/// All scenarios, in the table's order.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "keepalive-1k",
        title: "HTTP keep-alive, 1 KiB",
        load: Load::KeepAlive { body: 1024 },
        clients: 64,
        goal: Goal::OfEnvoy(0.36),
        standard: true,
    },
    Scenario {
        name: "keepalive-64k",
        title: "HTTP keep-alive, 64 KiB",
        load: Load::KeepAlive { body: 64 * 1024 },
        clients: 64,
        goal: Goal::OfEnvoy(0.65),
        standard: true,
    },
    Scenario {
        name: "new-connection",
        title: "HTTP, new client connection each time",
        load: Load::NewConnection,
        clients: 64,
        goal: Goal::OfEnvoy(0.55),
        standard: true,
    },
    Scenario {
        name: "connect",
        title: "CONNECT, one small echo, close",
        load: Load::Connect,
        clients: 64,
        goal: Goal::OfEnvoy(0.54),
        standard: true,
    },
    Scenario {
        name: "pingpong",
        title: "tunnel ping-pong 64 B, 64 tunnels",
        load: Load::PingPong,
        clients: 64,
        goal: Goal::OfEnvoy(0.72),
        standard: true,
    },
    Scenario {
        name: "bulk-1",
        title: "tunnel bulk, one",
        load: Load::Download,
        clients: 1,
        goal: Goal::OfEnvoy(0.97),
        standard: true,
    },
    Scenario {
        name: "bulk-16",
        title: "tunnel bulk, sixteen",
        load: Load::Download,
        clients: 16,
        goal: Goal::OfEnvoy(0.68),
        standard: true,
    },
    Scenario {
        name: "idle",
        title: "idle tunnels, 2000",
        load: Load::Idle,
        clients: 2000,
        goal: Goal::Absolute(5.0),
        standard: true,
    },
    Scenario {
        name: "tunnel-64k",
        title: "requests through tunnels, 64 KiB",
        load: Load::Through { body: 64 * 1024 },
        clients: 64,
        goal: Goal::None,
        standard: false,
    },
    Scenario {
        name: "tunnel-1m",
        title: "requests through tunnels, 1 MiB",
        load: Load::Through { body: 1024 * 1024 },
        clients: 16,
        goal: Goal::None,
        standard: false,
    },
    Scenario {
        name: "upload-1",
        title: "tunnel bulk to the origin, one",
        load: Load::Upload,
        clients: 1,
        goal: Goal::None,
        standard: false,
    },
    Scenario {
        name: "upload-16",
        title: "tunnel bulk to the origin, sixteen",
        load: Load::Upload,
        clients: 16,
        goal: Goal::None,
        standard: false,
    },
    Scenario {
        name: "tls-full",
        title: "mutual TLS, full handshake, CONNECT, echo",
        load: Load::TlsConnect { resumed: false },
        clients: 64,
        goal: Goal::OfEnvoy(0.52),
        standard: false,
    },
    Scenario {
        name: "tls-resumed",
        title: "mutual TLS, resumed, CONNECT, echo",
        load: Load::TlsConnect { resumed: true },
        clients: 64,
        goal: Goal::OfEnvoy(0.5),
        standard: false,
    },
    Scenario {
        name: "tls-bulk-1",
        title: "TLS tunnel bulk, one",
        load: Load::TlsDownload,
        clients: 1,
        goal: Goal::OfEnvoy(0.9),
        standard: false,
    },
    Scenario {
        name: "tls-idle",
        title: "idle TLS tunnels, 1000",
        load: Load::TlsIdle,
        clients: 1000,
        goal: Goal::Absolute(20.0),
        standard: false,
    },
    Scenario {
        name: "intercept-1k",
        title: "intercepted, keep-alive, 1 KiB",
        load: Load::InterceptKeepAlive { body: 1024 },
        clients: 64,
        goal: Goal::OfMitmproxy(0.023),
        standard: false,
    },
    Scenario {
        name: "intercept-64k",
        title: "intercepted, keep-alive, 64 KiB",
        load: Load::InterceptKeepAlive { body: 64 * 1024 },
        clients: 64,
        goal: Goal::OfMitmproxy(0.06),
        standard: false,
    },
    Scenario {
        name: "intercept-new",
        title: "intercepted, new connection, one host",
        load: Load::InterceptNew { host_each: false },
        clients: 16,
        goal: Goal::OfMitmproxy(0.08),
        standard: false,
    },
    Scenario {
        name: "intercept-hosts",
        title: "intercepted, a new host each time",
        load: Load::InterceptNew { host_each: true },
        clients: 16,
        goal: Goal::OfMitmproxy(0.1),
        standard: false,
    },
    Scenario {
        name: "tls-idle-10k",
        title: "idle TLS tunnels, 10000",
        load: Load::TlsIdle,
        clients: 10000,
        goal: Goal::Absolute(20.0),
        standard: false,
    },
];

/// The scenarios of these names, in the table's order; the standard ones when none is named.
///
/// # Errors
///
/// Names the first that does not exist, and those that do.
pub(crate) fn choose(names: &[String]) -> Result<Vec<&'static Scenario>, String> {
    if let Some(unknown) = names.iter().find(|name| !SCENARIOS.iter().any(|known| known.name == **name)) {
        let known: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        return Err(format!("no scenario is called {unknown}; there are {}", known.join(", ")));
    }
    let chosen = |scenario: &&Scenario| {
        if names.is_empty() { scenario.standard } else { names.iter().any(|name| name == scenario.name) }
    };
    Ok(SCENARIOS.iter().filter(chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SCENARIOS.len());
    }

    #[test]
    fn a_misspelt_scenario_is_named_with_the_choices() {
        let error = choose(&["keepalive-1k".to_owned(), "idel".to_owned()]).unwrap_err();
        assert!(error.contains("idel") && error.contains("idle"), "{error}");
    }

    #[test]
    fn no_name_means_the_standard_ones() {
        let names: Vec<&str> = choose(&[]).unwrap().iter().map(|scenario| scenario.name).collect();
        assert!(names.contains(&"idle") && !names.contains(&"upload-1"));
    }
}
