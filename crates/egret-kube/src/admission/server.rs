//! The HTTPS server: TLS, HTTP/1.1 and HTTP/2, bounds, and an end in order.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::metrics::Limit;
use super::{Certificates, Webhook, routes};

/// Requests at once in one HTTP/2 connection.
const STREAMS: u32 = 250;

/// How long an HTTP/1.1 connection may be idle. API servers close theirs after 90 seconds; whoever closes first must not
/// be us, or a request that is just under way fails.
const IDLE: Duration = Duration::from_secs(300);

/// How often an HTTP/2 connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(60);

/// How long nothing is accepted after accepting failed, as it does when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Webhook {
    /// Serves until `end`, and then finishes what is under way.
    ///
    /// # Errors
    /// TLS could not be set up.
    pub async fn serve(&self, listener: TcpListener, end: impl Future<Output = ()>) -> io::Result<()> {
        let acceptor = TlsAcceptor::from(Arc::new(tls(&self.inner.certificates)?));
        let limits = &self.inner.limits;
        let room = Arc::new(Semaphore::new(limits.connections));
        let (ending, ended) = watch::channel(false);
        let mut open = JoinSet::new();
        tokio::pin!(end);
        loop {
            let accepted = tokio::select! {
                () = &mut end => break,
                accepted = listener.accept() => accepted,
            };
            while open.try_join_next().is_some() {}
            match accepted {
                Ok((socket, _)) => {
                    let Ok(permit) = room.clone().try_acquire_owned() else {
                        // Closed at once: the API server takes another replica, or goes on without.
                        self.inner.metrics.limit_hit(Limit::Connections);
                        continue;
                    };
                    let (webhook, acceptor, ended) = (self.clone(), acceptor.clone(), ended.clone());
                    open.spawn(async move {
                        webhook.inner.metrics.connections.inc();
                        webhook.connection(socket, acceptor, ended).await;
                        webhook.inner.metrics.connections.dec();
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the webhook cannot accept connections for a moment");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        self.begin_drain();
        ending.send_replace(true);
        let all = async { while open.join_next().await.is_some() {} };
        if tokio::time::timeout(limits.drain, all).await.is_err() {
            self.inner.metrics.limit_hit(Limit::Drain);
            open.abort_all();
        }
        Ok(())
    }

    async fn connection(&self, socket: TcpStream, acceptor: TlsAcceptor, mut ended: watch::Receiver<bool>) {
        // An answer is one small write: waiting for more to send costs every pod 40 ms.
        let _ = socket.set_nodelay(true);
        let handshake = tokio::time::timeout(self.inner.limits.handshake, acceptor.accept(socket));
        let stream = tokio::select! {
            stream = handshake => stream,
            _ = ended.wait_for(|ended| *ended) => return,
        };
        match stream {
            Ok(Ok(stream)) => self.requests(stream, ended).await,
            Ok(Err(error)) => {
                self.inner.metrics.handshake_failed();
                tracing::debug!(%error, "a TLS handshake with the webhook failed");
            }
            Err(_) => self.inner.metrics.limit_hit(Limit::Handshake),
        }
    }

    async fn requests(&self, stream: TlsStream<TcpStream>, mut ended: watch::Receiver<bool>) {
        let spoken = Arc::new(AtomicBool::new(false));
        let service = service_fn(|request| {
            spoken.store(true, Ordering::Relaxed);
            let webhook = self.clone();
            async move { Ok::<_, std::convert::Infallible>(routes::route(&webhook, request).await) }
        });
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let silent = async {
            tokio::time::sleep(self.inner.limits.first_request).await;
            if spoken.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            self.inner.metrics.limit_hit(Limit::FirstRequest);
        };
        let io = TokioIo::new(stream);
        // Errors are the other side's: it went away, or does not speak HTTP.
        if is_http2 {
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .keep_alive_interval(PING)
                .serve_connection(io, service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = silent => return,
                _ = ended.wait_for(|ended| *ended) => {}
            }
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        } else {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .serve_connection(io, service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = silent => return,
                _ = ended.wait_for(|ended| *ended) => {}
            }
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

fn tls(certificates: &Certificates) -> io::Result<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates.clone()));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
