//! A name server that can lie, be slow, and say nothing (RFC 1035 over UDP).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What to say to one query.
#[derive(Clone, Debug)]
pub enum DnsAnswer {
    /// These addresses (those of the family that was asked for), with this time to live in seconds.
    Addresses(Vec<IpAddr>, u32),
    /// There is no such name.
    NxDomain,
    /// The server failed.
    ServFail,
    /// The server refuses.
    Refused,
    /// No answer.
    Silence,
    /// An answer under another id, as an attacker would guess it: it must be ignored.
    WrongId(Vec<IpAddr>),
    /// Bytes that are no message.
    Garbage,
    /// Another answer, later.
    After(Duration, Box<DnsAnswer>),
}

impl DnsAnswer {
    /// One address with a time to live of 60 s.
    #[must_use]
    pub fn address(address: &str) -> Self {
        Self::Addresses(vec![address.parse().unwrap()], 60)
    }
}

type Queries = Arc<Mutex<HashMap<(String, u16), usize>>>;

/// The type of a query for IPv4 addresses.
pub const A: u16 = 1;
/// The type of a query for IPv6 addresses.
pub const AAAA: u16 = 28;

/// A running name server on loopback.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    queries: Queries,
    stop: Arc<AtomicBool>,
}

impl DnsServer {
    /// Starts it. `answer` is given the name (lower case, no trailing dot), the type, and how many
    /// times the same was asked before.
    ///
    /// # Panics
    /// When no socket can be had.
    pub fn start(answer: impl Fn(&str, u16, usize) -> DnsAnswer + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let address = socket.local_addr().unwrap();
        let queries: Queries = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (counts, stopped) = (queries.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !stopped.load(Ordering::SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                let query = buffer[..length].to_vec();
                let Some((name, kind, end)) = question(&query) else { continue };
                let before = {
                    let mut counts = counts.lock().unwrap();
                    let count = counts.entry((name.clone(), kind)).or_insert(0);
                    *count += 1;
                    *count - 1
                };
                let reply = answer(&name, kind, before);
                let socket = socket.try_clone().unwrap();
                std::thread::spawn(move || respond(&socket, from, &query[..end], kind, reply));
            }
        });
        Self { address, queries, stop }
    }

    /// A server that knows these names and says NXDOMAIN to every other.
    #[must_use]
    pub fn knowing(names: &[(&str, &str)]) -> Self {
        let names: HashMap<String, IpAddr> =
            names.iter().map(|(name, ip)| ((*name).to_owned(), ip.parse().unwrap())).collect();
        Self::start(move |name, _, _| match names.get(name) {
            Some(ip) => DnsAnswer::Addresses(vec![*ip], 60),
            None => DnsAnswer::NxDomain,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many queries of this type came for this name.
    #[must_use]
    pub fn asked(&self, name: &str, kind: u16) -> usize {
        self.queries.lock().unwrap().get(&(name.to_owned(), kind)).copied().unwrap_or(0)
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// The name, the type, and where the question ends.
fn question(query: &[u8]) -> Option<(String, u16, usize)> {
    let mut at = 12;
    let mut name = String::new();
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    Some((name, kind, at + 4))
}

fn respond(socket: &UdpSocket, to: SocketAddr, question: &[u8], kind: u16, answer: DnsAnswer) {
    let message = match answer {
        DnsAnswer::Silence => return,
        DnsAnswer::Garbage => vec![0xFF; 7],
        DnsAnswer::NxDomain => message(question, 3, &[], 0),
        DnsAnswer::ServFail => message(question, 2, &[], 0),
        DnsAnswer::Refused => message(question, 5, &[], 0),
        DnsAnswer::Addresses(addresses, ttl) => message(question, 0, &of_kind(&addresses, kind), ttl),
        DnsAnswer::WrongId(addresses) => {
            let mut message = message(question, 0, &of_kind(&addresses, kind), 60);
            message[0] ^= 0x55;
            message
        }
        DnsAnswer::After(time, answer) => {
            std::thread::sleep(time);
            return respond(socket, to, question, kind, *answer);
        }
    };
    let _ = socket.send_to(&message, to);
}

fn of_kind(addresses: &[IpAddr], kind: u16) -> Vec<IpAddr> {
    addresses.iter().filter(|a| kind == if a.is_ipv4() { A } else { AAAA }).copied().collect()
}

fn message(question: &[u8], code: u8, addresses: &[IpAddr], ttl: u32) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2] = 0x80 | (question[2] & 1); // a response, RD as it was
    message[3] = 0x80 | code;
    message[4..6].copy_from_slice(&1u16.to_be_bytes());
    message[6..8].copy_from_slice(&(addresses.len() as u16).to_be_bytes());
    message[8..12].fill(0);
    for address in addresses {
        message.extend_from_slice(&[0xC0, 12]); // the name of the question
        let (kind, bytes) = match address {
            IpAddr::V4(v4) => (A, v4.octets().to_vec()),
            IpAddr::V6(v6) => (AAAA, v6.octets().to_vec()),
        };
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&1u16.to_be_bytes());
        message.extend_from_slice(&ttl.to_be_bytes());
        message.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        message.extend_from_slice(&bytes);
    }
    if addresses.is_empty() && matches!(code, 0 | 3) {
        // A negative answer is only kept if it has an SOA record (RFC 2308 section 5).
        message[8..10].copy_from_slice(&1u16.to_be_bytes());
        message.extend_from_slice(&[0, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22, 0, 0]); // the root's, TTL 60, both names empty
        for number in [1u32, 60, 60, 60, 60] {
            message.extend_from_slice(&number.to_be_bytes());
        }
    }
    message
}
