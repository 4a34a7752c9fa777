//! The configurations that the proxies are measured with: as lean as each can be made by setting alone,
//! without access log, without cache, with the same number of workers.

use std::net::SocketAddr;
use std::path::Path;

/// Egret: its defaults, and no access log.
pub(crate) fn egret() -> String {
    "accessLog:\n  output: off\n".to_owned()
}

/// tinyproxy has a thread for each connection and no workers to set.
pub(crate) fn tinyproxy(address: SocketAddr) -> String {
    format!(
        "Listen {}\nPort {}\nTimeout 600\nMaxClients 20000\nLogLevel Critical\nAllow 127.0.0.1\n",
        address.ip(),
        address.port()
    )
}

/// Squid.
pub(crate) fn squid(address: SocketAddr, workers: usize, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "http_port {address}
workers {workers}
visible_hostname egret-bench
http_access allow localhost
http_access deny all
cache deny all
cache_mem 0
memory_cache_shared off
access_log none
cache_store_log none
cache_log {directory}/cache.log
pid_filename {directory}/squid.pid
coredump_dir {directory}
netdb_filename none
pinger_enable off
icp_port 0
htcp_port 0
shutdown_lifetime 0 seconds
max_filedescriptors 16384
"
    )
}

/// Envoy: the dynamic forward proxy, for requests and for CONNECT. What it adds to a request by default
/// (an identifier, headers of its own) is off.
pub(crate) fn envoy(address: SocketAddr) -> String {
    let ip = address.ip();
    let port = address.port();
    let types = "type.googleapis.com/envoy.extensions";
    format!(
        r#"static_resources:
  listeners:
  - name: proxy
    address: {{socket_address: {{address: {ip}, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {types}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: proxy
          codec_type: HTTP1
          generate_request_id: false
          upgrade_configs: [{{upgrade_type: CONNECT}}]
          route_config:
            virtual_hosts:
            - name: any
              domains: ["*"]
              routes:
              - match: {{connect_matcher: {{}}}}
                route:
                  cluster: out
                  timeout: 0s
                  upgrade_configs: [{{upgrade_type: CONNECT, connect_config: {{}}}}]
              - match: {{prefix: "/"}}
                route: {{cluster: out, timeout: 0s}}
          http_filters:
          - name: envoy.filters.http.dynamic_forward_proxy
            typed_config:
              "@type": {types}.filters.http.dynamic_forward_proxy.v3.FilterConfig
              dns_cache_config: &dns {{name: dns, dns_lookup_family: V4_ONLY}}
          - name: envoy.filters.http.router
            typed_config:
              "@type": {types}.filters.http.router.v3.Router
              suppress_envoy_headers: true
  clusters:
  - name: out
    lb_policy: CLUSTER_PROVIDED
    connect_timeout: 5s
    circuit_breakers:
      thresholds: [{{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}}]
    cluster_type:
      name: envoy.clusters.dynamic_forward_proxy
      typed_config:
        "@type": {types}.clusters.dynamic_forward_proxy.v3.ClusterConfig
        dns_cache_config: *dns
"#
    )
}

/// Egret with mutual TLS: its defaults, and no access log.
pub(crate) fn egret_tls(address: SocketAddr) -> String {
    format!(
        "accessLog:
  output: off
listeners:
  - address: {address}
    tls:
      certificates: [{{certificate: server.crt, key: server.key}}]
      clientAuth: required
      clientCA: ca.crt
"
    )
}

/// Egret, looking into all tunnels: hosts by a file, as no name server knows them.
pub(crate) fn egret_intercept() -> String {
    "accessLog:
  output: off
interception: {everything: true}
dns: {hostsFile: hosts}
upstream: {trustedCA: ca.crt}
"
    .to_owned()
}

/// What leads mitmproxy to the hosts, which no name server knows.
pub(crate) fn mitmproxy_script() -> String {
    "def server_connect(data):
    data.server.address = (\"127.0.0.1\", data.server.address[1])
"
    .to_owned()
}

/// stunnel before tinyproxy: a thread for each connection, no log.
pub(crate) fn stunnel(address: SocketAddr, proxy: SocketAddr, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "foreground = yes
pid =
debug = 0
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[proxy]
accept = {address}
connect = {proxy}
cert = {directory}/server.crt
key = {directory}/server.key
CAfile = {directory}/ca.crt
verifyChain = yes
"
    )
}

/// Squid with mutual TLS. Without a session context it would refuse to resume.
pub(crate) fn squid_tls(address: SocketAddr, workers: usize, directory: &Path) -> String {
    let listener = format!(
        "https_port {address} tls-cert={0}/server.crt tls-key={0}/server.key clientca={0}/ca.crt tls-cafile={0}/ca.crt sslcontext=bench\n",
        directory.display()
    );
    let plain = squid(address, workers, directory);
    plain.replacen(&format!("http_port {address}\n"), &listener, 1)
}

/// Envoy with mutual TLS.
pub(crate) fn envoy_tls(address: SocketAddr, directory: &Path) -> String {
    let directory = directory.display();
    let socket = format!(
        r#"    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          common_tls_context:
            tls_params: {{tls_maximum_protocol_version: TLSv1_3}}
            tls_certificates:
            - certificate_chain: {{filename: {directory}/server.crt}}
              private_key: {{filename: {directory}/server.key}}
            validation_context: {{trusted_ca: {{filename: {directory}/ca.crt}}}}
      filters:
"#
    );
    envoy(address).replacen("    filter_chains:\n    - filters:\n", &socket, 1)
}
