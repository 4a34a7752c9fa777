//! Connecting to the services that the proxy itself needs: a directory, the keys of tokens. Whoever runs
//! the proxy has named them, so neither the guard nor the rules are asked; no client chooses where this
//! leads.

use egret_core::destination::Destination;
use egret_core::gate::{grant_parent, grant_service_by_parent};
use egret_core::reason::Reason;
use egret_core::settings::Snapshot;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::{DialError, Upstream, dial};
use crate::stream::Stream;

impl Upstream {
    /// Connects to a service directly.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn connect_service(
        &self,
        snapshot: &Snapshot,
        service: &Destination,
        deadline: Instant,
    ) -> Result<TcpStream, DialError> {
        match self.connect_service_directly(snapshot, service, deadline).await? {
            Stream::Tcp(tcp) => Ok(tcp),
            _ => Err(DialError::new(Reason::Internal, "not a TCP connection")),
        }
    }

    /// Connects to a service by the way that the routes have for it: directly, or through a parent.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn reach_service(
        &self,
        snapshot: &Snapshot,
        service: &Destination,
        deadline: Instant,
    ) -> Result<Stream, DialError> {
        let Some(group) = snapshot.routes.choose(service, &[]) else {
            return self.connect_service_directly(snapshot, service, deadline).await;
        };
        let grant = if group.resolve_locally {
            let resolved = self.addresses_of(&service.host).await?;
            grant_parent(&snapshot.gate, service, &resolved)
                .map_err(|denial| DialError::new(denial.reason, denial.detail))?
        } else {
            grant_service_by_parent(service)
        };
        let tunnel = self.tunnel_through(snapshot, group, &grant, None, deadline).await?;
        // A server of HTTP or TLS does not speak first.
        Ok(tunnel.io)
    }

    async fn connect_service_directly(
        &self,
        snapshot: &Snapshot,
        service: &Destination,
        deadline: Instant,
    ) -> Result<Stream, DialError> {
        let resolved = timeout_at(deadline, self.addresses_of(&service.host)).await;
        let resolved = resolved.map_err(|_| {
            DialError::new(Reason::DnsTimeout, format!("{service}: the name could not be resolved in time"))
        })??;
        let grant = grant_parent(&snapshot.gate, service, &resolved)
            .map_err(|denial| DialError::new(denial.reason, denial.detail))?;
        Ok(dial::connect(&grant, &snapshot.upstream, deadline).await?.0)
    }
}
