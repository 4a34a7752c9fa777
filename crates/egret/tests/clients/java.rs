//! Java: HttpClient and URLConnection, from a single source file.

use egret_testkit::tools::{client, succeed};

use super::{script, setting};

#[test]
fn java_clients() {
    let it = setting();
    let store = it.ca.directory().join("trust.p12");
    succeed(
        client("keytool")
            .args([
                "-importcert",
                "-noprompt",
                "-alias",
                "test",
                "-storetype",
                "PKCS12",
                "-storepass",
                "changeit",
            ])
            .arg("-file")
            .arg(it.ca.pem())
            .arg("-keystore")
            .arg(&store),
    );
    let address = it.egret.address();
    let output = succeed(
        client("java")
            .arg(format!("-Djavax.net.ssl.trustStore={}", store.display()))
            .args(["-Djavax.net.ssl.trustStorePassword=changeit", "-XX:TieredStopAtLevel=1"])
            .arg(script("Clients.java"))
            .args([address.ip().to_string(), address.port().to_string()])
            .args([it.http.url(""), it.https.url_by_name("")]),
    );
    assert!(output.ends_with("good\n"), "{output}");
    egret_testkit::wait::wait_until("two tunnels", egret_testkit::wait::PATIENCE, || {
        it.egret.records().iter().filter(|r| r.method() == "CONNECT").count() >= 2
    });
}
