//! What a certificate costs that is made for an origin, by the kind of the CA's key; and one that is at hand.
#![allow(clippy::unwrap_used)] // a measurement fails by panicking

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use egret_core::destination::Host;
use egret_tls::authority::{Authority, CaRequest, Constraints, KeyType, Subject};
use egret_tls::interception::{InterceptServer, InterceptionCa, LeafNames, MintSettings, Minter};
use jiff::Timestamp;

fn main() {
    divan::main();
}

fn minter(key_type: KeyType) -> Minter {
    let now = Timestamp::now();
    let request = CaRequest {
        subject: Subject { common_name: "bench".to_owned(), organization: None },
        key_type,
        days: 100,
        path_length: Some(0),
        constraints: Constraints::default(),
    };
    let ca = Authority::create(&request, now).unwrap();
    let ca = InterceptionCa::from_identity(ca.identity().clone(), now).unwrap();
    Minter::new(Arc::new(ca), MintSettings::default()).unwrap()
}

#[divan::bench(args = [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048, KeyType::Rsa4096])]
fn mint(bencher: Bencher<'_, '_>, key_type: KeyType) {
    let (minter, now) = (minter(key_type), Timestamp::now());
    let names = LeafNames::of(&Host::parse("api.internal.example.com").unwrap());
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| minter.mint_now(&names, now).unwrap());
}

#[divan::bench]
fn at_hand(bencher: Bencher<'_, '_>) {
    let (minter, now) = (minter(KeyType::EcdsaP256), Timestamp::now());
    let names = LeafNames::of(&Host::parse("api.internal.example.com").unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bencher
        .counter(ItemsCount::new(1u32))
        .bench_local(|| runtime.block_on(minter.leaf(&names, now)).unwrap());
}

/// What each connection needs besides the certificate.
#[divan::bench]
fn configuration(bencher: Bencher<'_, '_>) {
    let minter = minter(KeyType::EcdsaP256);
    let names = LeafNames::of(&Host::parse("api.internal.example.com").unwrap());
    let leaf = minter.mint_now(&names, Timestamp::now()).unwrap();
    let server = InterceptServer::new().unwrap();
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| server.config(&leaf, &[b"h2", b"http/1.1"]));
}
