//! Connecting to granted addresses.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use egret_core::reason::Reason;
use egret_core::settings::UpstreamSettings;
use egret_proxy::upstream::{connect, set_keepalive};

use crate::support::{assert_echo, black_hole, deadline, echo, free_port, grant};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn connects_to_the_only_address_with_nodelay_and_without_keepalive() {
    let origin = echo("127.0.0.1:0").await;
    let grant = grant(&format!("origin.test:{}", origin.port()), &[origin.ip()]);
    let (mut io, dialled) = connect(&grant, &UpstreamSettings::default(), deadline(10)).await.unwrap();
    assert_eq!(dialled, origin);
    let tcp = io.as_tcp().unwrap();
    assert!(tcp.nodelay().unwrap());
    assert!(!socket2::SockRef::from(tcp).keepalive().unwrap());
    set_keepalive(tcp, Duration::from_secs(60)).unwrap();
    assert!(socket2::SockRef::from(tcp).keepalive().unwrap());
    assert_echo(&mut io, b"").await;
}

#[tokio::test]
async fn a_first_address_that_swallows_packets_does_not_stall() {
    let hole = black_hole("127.0.0.2", 0).await;
    let origin = echo(&format!("127.0.0.3:{}", hole.address.port())).await;
    let grant = grant(&format!("origin.test:{}", origin.port()), &[hole.address.ip(), origin.ip()]);
    let began = Instant::now();
    let (_, dialled) = connect(&grant, &UpstreamSettings::default(), deadline(30)).await.unwrap();
    assert_eq!(dialled, origin);
    assert!(began.elapsed() < Duration::from_secs(10), "the deadline did not have to come near");
}

#[tokio::test]
async fn the_next_address_is_tried_at_once_when_one_refuses() {
    let origin = echo("127.0.0.3:0").await;
    let grant =
        grant(&format!("origin.test:{}", origin.port()), &[ip("127.0.0.4"), ip("127.0.0.5"), origin.ip()]);
    // Waiting for the delay would run into the deadline.
    let settings = UpstreamSettings { attempt_delay: Duration::from_secs(600), ..Default::default() };
    let (_, dialled) = connect(&grant, &settings, deadline(20)).await.unwrap();
    assert_eq!(dialled, origin);
}

#[tokio::test]
async fn the_other_family_comes_second() {
    let origin = echo("[::1]:0").await;
    let addresses = [ip("127.0.0.2"), ip("127.0.0.4"), ip("127.0.0.5"), origin.ip()];
    let grant = grant(&format!("origin.test:{}", origin.port()), &addresses);
    let (_, dialled) = connect(&grant, &UpstreamSettings::default(), deadline(20)).await.unwrap();
    assert_eq!(dialled, origin);
}

#[tokio::test]
async fn a_refusal_is_told_as_one() {
    let port = free_port();
    let grant = grant(&format!("origin.test:{port}"), &[ip("127.0.0.1")]);
    let error = connect(&grant, &UpstreamSettings::default(), deadline(10)).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectRefused);
    assert_eq!(error.detail, format!("127.0.0.1:{port} refused the connection"));
    assert_eq!(error.dialled, Some(format!("127.0.0.1:{port}").parse().unwrap()));
    assert!(error.phases.connect.is_some() && error.phases.tls.is_none());
}

#[tokio::test]
async fn silence_is_told_as_a_timeout_and_names_those_who_did_answer() {
    let hole = black_hole("127.0.0.2", 0).await;
    let port = hole.address.port();
    let one = grant(&format!("origin.test:{port}"), &[hole.address.ip()]);
    let soon = || tokio::time::Instant::now() + Duration::from_millis(700);
    let error = connect(&one, &UpstreamSettings::default(), soon()).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectTimeout);
    assert!(error.detail.starts_with(&format!("127.0.0.2:{port} did not answer within ")), "{error}");

    let two = grant(&format!("origin.test:{port}"), &[hole.address.ip(), ip("127.0.0.9")]);
    let error = connect(&two, &UpstreamSettings::default(), soon()).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectTimeout);
    assert!(error.detail.contains("1 of the 2 addresses"), "{error}");
    assert!(error.detail.contains("127.0.0.9") && error.detail.contains("refused"), "{error}");
}

#[tokio::test]
async fn binds_the_source_address() {
    let origin = echo("127.0.0.1:0").await;
    let grant = grant(&format!("origin.test:{}", origin.port()), &[origin.ip()]);
    let settings = UpstreamSettings { source_v4: Some(ip("127.0.0.7")), ..Default::default() };
    let (io, _) = connect(&grant, &settings, deadline(10)).await.unwrap();
    let tcp = io.as_tcp().unwrap();
    assert_eq!(tcp.local_addr().unwrap().ip(), ip("127.0.0.7"));
    let port_chosen_late = nix::sys::socket::sockopt::IpBindAddressNoPort;
    assert!(nix::sys::socket::getsockopt(tcp, port_chosen_late).unwrap(), "ports are shared");

    let settings = UpstreamSettings { source_v4: Some(ip("192.0.2.77")), ..Default::default() };
    let error = connect(&grant, &settings, deadline(10)).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectFailed);
    assert!(error.detail.contains("the source address 192.0.2.77 cannot be used"), "{error}");
}

/// Runs itself again with few descriptors: the limit belongs to the whole process.
#[test]
fn running_out_of_descriptors_is_told_as_that() {
    const FLAG: &str = "EGRET_TEST_FEW_DESCRIPTORS";
    if std::env::var_os(FLAG).is_none() {
        let status = std::process::Command::new("sh")
            .arg("-c")
            .arg("ulimit -n 32 && exec \"$0\" --exact dial::running_out_of_descriptors_is_told_as_that")
            .arg(std::env::current_exe().unwrap())
            .env(FLAG, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let origin = echo("127.0.0.1:0").await;
        let grant = grant(&format!("origin.test:{}", origin.port()), &[origin.ip()]);
        let hogs: Vec<_> = (0..64).map_while(|_| std::fs::File::open("/dev/null").ok()).collect();
        assert!(hogs.len() < 64);
        let error = connect(&grant, &UpstreamSettings::default(), deadline(10)).await.unwrap_err();
        assert_eq!(error.reason, Reason::OutOfDescriptors);
    });
}
