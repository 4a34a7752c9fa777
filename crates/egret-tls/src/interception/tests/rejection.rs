use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use egret_testkit::tools::{client, run, succeed};
use rustls::AlertDescription;
use rustls::ServerConnection;

use super::*;
use crate::files::certificate_pem;

#[test]
fn tells_a_ca_that_is_not_trusted_from_a_pin_and_from_all_else() {
    use AlertDescription as Alert;
    use Stage::{AfterCertificate, BeforeCertificate, Finished, Used};
    let (untrusted, pinned) = (Some(Rejection::CaNotTrusted), Some(Rejection::Pinned));
    let other = |cause| Some(Rejection::Other(cause));
    // What it ends with, when, and what it is for a client of which nothing is known, and for one that trusts the
    // CA elsewhere.
    let table = [
        (End::Alert(Alert::UnknownCA), AfterCertificate, untrusted, pinned),
        (End::Alert(Alert::UnknownCA), Finished, untrusted, pinned),
        (End::Alert(Alert::BadCertificate), AfterCertificate, untrusted, pinned),
        (End::Alert(Alert::CertificateUnknown), AfterCertificate, untrusted, pinned),
        (End::Alert(Alert::CertificateUnknown), Finished, untrusted, pinned),
        (End::Alert(Alert::HandshakeFailure), AfterCertificate, pinned, pinned),
        (End::Alert(Alert::AccessDenied), AfterCertificate, pinned, pinned),
        (End::Closed, AfterCertificate, pinned, pinned),
        (End::Reset, AfterCertificate, pinned, pinned),
        (End::Closed, Finished, pinned, pinned),
        (End::Reset, Finished, pinned, pinned),
        (End::Alert(Alert::CertificateExpired), AfterCertificate, other(Cause::Clock), other(Cause::Clock)),
        (
            End::Alert(Alert::UnsupportedCertificate),
            AfterCertificate,
            other(Cause::Certificate),
            other(Cause::Certificate),
        ),
        (
            End::Alert(Alert::BadCertificate),
            BeforeCertificate,
            other(Cause::Certificate),
            other(Cause::Certificate),
        ),
        (
            End::Alert(Alert::ProtocolVersion),
            AfterCertificate,
            other(Cause::NothingInCommon),
            other(Cause::NothingInCommon),
        ),
        (
            End::Alert(Alert::HandshakeFailure),
            BeforeCertificate,
            other(Cause::NothingInCommon),
            other(Cause::NothingInCommon),
        ),
        (End::Alert(Alert::DecodeError), AfterCertificate, other(Cause::Protocol), other(Cause::Protocol)),
        (End::Alert(Alert::UserCanceled), AfterCertificate, other(Cause::GaveUp), other(Cause::GaveUp)),
        (End::Refused, AfterCertificate, other(Cause::Protocol), other(Cause::Protocol)),
        (End::Closed, BeforeCertificate, other(Cause::GaveUp), other(Cause::GaveUp)),
        (End::TimedOut, AfterCertificate, other(Cause::TimedOut), other(Cause::TimedOut)),
        (End::Alert(Alert::UnknownCA), Used, None, None),
        (End::Closed, Used, None, None),
    ];
    for (end, stage, unknown, elsewhere) in table {
        for (trusts_ca_elsewhere, expected) in [(false, unknown), (true, elsewhere)] {
            let observed = Observed { stage, end, trusts_ca_elsewhere };
            assert_eq!(classify(&observed), expected, "{observed:?}");
        }
    }
}

#[test]
fn reads_the_end_from_what_a_stream_gives() {
    let of = |error: rustls::Error| End::of(&io::Error::new(io::ErrorKind::InvalidData, error));
    assert_eq!(
        of(rustls::Error::AlertReceived(AlertDescription::UnknownCA)),
        End::Alert(AlertDescription::UnknownCA)
    );
    assert_eq!(of(rustls::Error::AlertReceived(AlertDescription::CloseNotify)), End::Closed);
    assert_eq!(of(rustls::Error::DecryptError), End::Refused);
    assert_eq!(End::of(&io::ErrorKind::ConnectionReset.into()), End::Reset);
    assert_eq!(End::of(&io::ErrorKind::UnexpectedEof.into()), End::Closed);
    assert_eq!(End::of(&io::ErrorKind::TimedOut.into()), End::TimedOut);
}

/// A server that intercepts, and says what came of its first connection.
struct Interceptor {
    port: u16,
    ca: PathBuf,
    place: tempfile::TempDir,
    outcome: std::thread::JoinHandle<Option<Rejection>>,
}

impl Interceptor {
    fn start() -> Self {
        let minter = minter(InterceptionCa::create(now()).unwrap(), MintSettings::default());
        let place = tempfile::tempdir().unwrap();
        let ca = place.path().join("ca.pem");
        std::fs::write(&ca, certificate_pem(minter.ca().anchor())).unwrap();
        let leaf = minter.mint_now(&LeafNames::of(&host("localhost")), now()).unwrap();
        let config = InterceptServer::new().unwrap().config(&leaf, &[b"http/1.1"]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let outcome = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let (stage, end) = serve(ServerConnection::new(config).unwrap(), stream);
            classify(&Observed { stage, end, trusts_ca_elsewhere: false })
        });
        Self { port, ca, place, outcome }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/", self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

/// Serves one request, and says how far it came and how it ended.
fn serve(mut session: ServerConnection, mut stream: TcpStream) -> (Stage, End) {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    while session.is_handshaking() {
        if let Err(error) = session.complete_io(&mut stream) {
            return (Stage::AfterCertificate, End::of(&error));
        }
    }
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    match tls.read(&mut [0; 4096]) {
        Ok(0) => (Stage::Finished, End::Closed),
        Ok(_) => {
            let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
            session.send_close_notify();
            let _ = session.complete_io(&mut stream);
            (Stage::Used, End::Closed)
        }
        Err(error) => (Stage::Finished, End::of(&error)),
    }
}

/// Runs a client against an interceptor: whether it succeeds, and what the interceptor says.
fn outcome(command: impl FnOnce(&Interceptor) -> Command) -> (bool, Option<Rejection>) {
    let interceptor = Interceptor::start();
    let status = run(&mut command(&interceptor)).status;
    (status.success(), interceptor.outcome.join().unwrap())
}

const GOOD: (bool, Option<Rejection>) = (true, None);
const UNTRUSTED: (bool, Option<Rejection>) = (false, Some(Rejection::CaNotTrusted));
const PINNED: (bool, Option<Rejection>) = (false, Some(Rejection::Pinned));

fn curl(interceptor: &Interceptor, arguments: &[&str]) -> Command {
    let mut command = client("curl");
    command.args(["-sS", "--http1.1"]).args(arguments).arg(interceptor.url());
    command
}

#[test]
fn real_clients_of_openssl_say_what_they_mean() {
    let ca = |interceptor: &Interceptor| interceptor.ca.to_str().unwrap().to_owned();
    assert_eq!(outcome(|i| curl(i, &["--cacert", &ca(i)])), GOOD);
    assert_eq!(outcome(|i| curl(i, &[])), UNTRUSTED);
    assert_eq!(outcome(|i| curl(i, &["--tls-max", "1.2"])), UNTRUSTED);
    let pin = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(outcome(|i| curl(i, &["--cacert", &ca(i), "--pinnedpubkey", pin])), PINNED);

    let s_client = |interceptor: &Interceptor, further: &[&str]| {
        let mut command = client("openssl");
        let connect = format!("localhost:{}", interceptor.port);
        command.args(["s_client", "-verify_return_error", "-connect", &connect]).args(further);
        command
    };
    assert_eq!(outcome(|i| s_client(i, &[])), UNTRUSTED);
    assert_eq!(outcome(|i| s_client(i, &["-tls1_2"])), UNTRUSTED);

    let script = "import ssl, sys, urllib.request as r\n\
                  c = ssl.create_default_context(cafile=sys.argv[2] if len(sys.argv) > 2 else None)\n\
                  r.build_opener(r.ProxyHandler({}), r.HTTPSHandler(context=c)).open(sys.argv[1]).read()\n";
    let python = |interceptor: &Interceptor, trusts: bool| {
        let mut command = client("python3");
        command.arg("-c").arg(script).arg(interceptor.url());
        if trusts {
            command.arg(&interceptor.ca);
        }
        command
    };
    assert_eq!(outcome(|i| python(i, true)), GOOD);
    assert_eq!(outcome(|i| python(i, false)), UNTRUSTED);
}

#[test]
fn real_clients_in_go_say_what_they_mean() {
    let source = r#"package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
)

func main() {
	config := &tls.Config{}
	if len(os.Args) > 2 {
		pem, _ := os.ReadFile(os.Args[2])
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(pem)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	if len(os.Args) > 3 {
		config.VerifyConnection = func(tls.ConnectionState) error { return errors.New("pinned") }
	}
	if _, err := client.Get(os.Args[1]); err != nil {
		println(err.Error())
		os.Exit(1)
	}
}
"#;
    let place = tempfile::tempdir().unwrap();
    let (file, program) = (place.path().join("main.go"), place.path().join("client"));
    std::fs::write(&file, source).unwrap();
    let cache = std::env::temp_dir().join("egret-test-go-cache");
    succeed(client("go").env("GOCACHE", cache).args(["build", "-o"]).arg(&program).arg(&file));
    let go = |interceptor: &Interceptor, arguments: &[&Path]| {
        let mut command = client(&program);
        command.arg(interceptor.url()).args(arguments);
        command
    };
    assert_eq!(outcome(|i| go(i, &[&i.ca])), GOOD);
    assert_eq!(outcome(|i| go(i, &[])), UNTRUSTED);
    // The same alert: only that it trusts the CA elsewhere tells them apart.
    assert_eq!(outcome(|i| go(i, &[&i.ca, Path::new("pinned")])), UNTRUSTED);
}

#[test]
fn real_clients_in_java_and_node_say_what_they_mean() {
    let source = r#"import java.net.*;
import java.net.http.*;

public class Get {
    public static void main(String[] arguments) throws Exception {
        var url = URI.create(arguments[1]);
        if (arguments[0].equals("old")) {
            url.toURL().openStream().readAllBytes();
        } else {
            var request = HttpRequest.newBuilder(url).build();
            HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        }
    }
}
"#;
    let java = |interceptor: &Interceptor, api: &str, trusts: bool| {
        let mut command = client("java");
        if trusts {
            let store = interceptor.path("trust.p12");
            let certificates = crate::files::load_cas(&interceptor.ca).unwrap();
            let password = crate::files::Password::new("changeit".to_owned());
            let bytes = crate::files::pkcs12_truststore(&certificates, "egret", &password).unwrap();
            std::fs::write(&store, bytes).unwrap();
            command.arg(format!("-Djavax.net.ssl.trustStore={}", store.display()));
            command.arg("-Djavax.net.ssl.trustStorePassword=changeit");
        }
        command
            .arg("-XX:TieredStopAtLevel=1")
            .arg(interceptor.write("Get.java", source))
            .args([api, &interceptor.url()]);
        command
    };
    assert_eq!(outcome(|i| java(i, "old", true)), GOOD);
    assert_eq!(outcome(|i| java(i, "old", false)), UNTRUSTED);
    assert_eq!(outcome(|i| java(i, "new", true)), GOOD);
    // The newer one closes the connection, mostly before its alert has gone out.
    assert!([PINNED, UNTRUSTED].contains(&outcome(|i| java(i, "new", false))));

    let script = "require('https').get(process.argv[1], r => r.resume()).on('error', e => { console.error(e); process.exit(1) })";
    let node = |interceptor: &Interceptor, trusts: bool| {
        let mut command = client("node");
        command.args(["-e", script]).arg(interceptor.url());
        if trusts {
            command.env("NODE_EXTRA_CA_CERTS", &interceptor.ca);
        }
        command
    };
    assert_eq!(outcome(|i| node(i, true)), GOOD);
    // It looks at the certificate when the handshake is over, and goes without a word.
    assert_eq!(outcome(|i| node(i, false)), PINNED);
}
