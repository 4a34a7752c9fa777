//! Runs the fuzz bodies over the corpus and over random mutations of it, for a bounded time and count:
//! `bounded [SECONDS [SEED]]`. No coverage feedback, but it runs on any toolchain, so CI always does.

use std::path::Path;
use std::time::{Duration, Instant};

/// A small generator (xorshift64*), so that a seed gives the same inputs everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Bytes that matter to these parsers.
const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"0",
    b"0x",
    b"FFFFFFFFFFFFFFFF",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: x\r\n",
    b"Connection: close\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"http://",
    b"@",
    b"[::1]",
    b"127.1",
    b"\xff",
    b"\xc3\xa9",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"- ",
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----END CERTIFICATE-----\n",
    b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
    b"\x30\x80",
    b"\x30\x82",
    b"\x04\x00",
    b"\x02\x01\x00",
    b"\x31\x00",
    b"\x16\x03\x01\x00",
    b"\x00\x00\x00\x0e\x00\x0c\x00\x00\x09a.example",
    b"\x00\x10\x00\x05\x00\x03\x02h2",
    b"identity.user",
    b"request.headers",
    b" && ",
    b" ? ",
    b".exists(x, ",
    b".matches('",
    b"(",
    b")",
    b"[",
    b"]",
    b"'",
    b" == ",
    b"~d ",
    b" & ",
    b" | !(",
    b"status:>=",
    b"password\":\"",
    b"\x1f\x8b\x08\x00",
    b"\x28\xb5\x2f\xfd",
    b"\x81\x85",
    b"\"env\":null,",
    b"{\"name\":\"NO_PROXY\"},",
    b"\"mountPath\":\"/etc\"",
    b"10.0.0.0/8",
    b"*.",
    b"\xc1\x7f",
];

fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        match random.below(7) {
            0 if at < data.len() => data[at] ^= 1 << random.below(8),
            1 if at < data.len() => data[at] = random.next() as u8,
            2 => data.truncate(at),
            3 if at < data.len() => {
                let end = (at + 1 + random.below(8)).min(data.len());
                data.drain(at..end);
            }
            4 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.below(other.len() + 1);
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            5 if at < data.len() => {
                let end = (at + 1 + random.below(16)).min(data.len());
                let piece = data[at..end].to_vec();
                data.splice(at..at, piece);
            }
            _ => {
                let token = TOKENS[random.below(TOKENS.len())];
                data.splice(at..at, token.iter().copied());
            }
        }
    }
    data.truncate(8192);
    data
}

/// A name and what is done with the bytes.
type Target = (&'static str, fn(&[u8]));

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(20);
    let seed: u64 = arguments.next().and_then(|a| a.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64)
    });
    println!("seed {seed}");
    let targets: [Target; 17] = [
        ("request", egret_fuzz::request),
        ("response", egret_fuzz::response),
        ("chunked", egret_fuzz::chunked),
        ("authority", egret_fuzz::authority),
        ("socks", egret_fuzz::socks),
        ("config", egret_fuzz::config),
        ("credentials", egret_fuzz::credentials),
        ("certificates", egret_fuzz::certificates),
        ("hello", egret_fuzz::hello),
        ("object", egret_fuzz::object),
        ("when", egret_fuzz::when),
        ("origin", egret_fuzz::origin),
        ("filter", egret_fuzz::filter),
        ("websocket", egret_fuzz::websocket),
        ("flow_bodies", egret_fuzz::flow_bodies),
        ("admission", egret_fuzz::admission),
        ("no_proxy", egret_fuzz::no_proxy),
    ];
    for (name, body) in targets {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut corpus: Vec<Vec<u8>> = std::fs::read_dir(&directory)
            .expect("the corpus is there")
            .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a file"))
            .collect();
        corpus.sort();
        assert!(!corpus.is_empty(), "{} is empty", directory.display());
        for data in &corpus {
            body(data);
        }
        let mut random = Random(seed | 1);
        let deadline = Instant::now() + Duration::from_secs(seconds) / targets.len() as u32;
        let mut count = 0u64;
        while count < 50_000_000 && (!count.is_multiple_of(64) || Instant::now() < deadline) {
            let data = mutate(&mut random, &corpus);
            if std::panic::catch_unwind(|| body(&data)).is_err() {
                let file = std::env::temp_dir().join(format!("egret-fuzz-{name}"));
                let _ = std::fs::write(&file, &data);
                eprintln!("{name} failed on {:?}\n(in {})", String::from_utf8_lossy(&data), file.display());
                std::process::exit(1);
            }
            count += 1;
        }
        println!("{name}: {count} inputs, {} seeds", corpus.len());
    }
}
