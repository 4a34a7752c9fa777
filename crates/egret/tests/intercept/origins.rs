//! A bad certificate never becomes a good one: what is wrong with an origin is told inside, and only a setting for
//! its host accepts it.

use egret_testkit::bad_origin::NAME;
use egret_testkit::tools::{client, succeed};
use egret_testkit::{BadOrigins, Egret, Fault};

struct Behind {
    directory: tempfile::TempDir,
    egret: Egret,
}

impl Behind {
    fn start(origins: &BadOrigins, upstream: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let hosts = directory.path().join("hosts");
        std::fs::write(&hosts, format!("127.0.0.1 {NAME}\n")).unwrap();
        let yaml = format!(
            "dns: {{hostsFile: {}}}\nupstream:\n  trustedCA: {}\n  crl: [{}]\n{upstream}",
            hosts.display(),
            origins.roots().display(),
            origins.crl().display()
        );
        let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"))
            .arg("--intercept")
            .arg("--state-dir")
            .arg(directory.path())
            .config(&yaml)
            .start();
        Self { directory, egret }
    }

    /// Status and page.
    fn get(&self, port: u16) -> (String, String) {
        let mut curl = client("curl");
        curl.args([
            "-sS",
            "--http1.1",
            "--max-time",
            "30",
            "--proxy",
            &self.egret.url(),
            "-w",
            "\n%{http_code}",
        ]);
        curl.arg("--cacert").arg(self.directory.path().join("interception-ca.crt"));
        let text = succeed(curl.arg(format!("https://{NAME}:{port}/")));
        let (page, status) = text.rsplit_once('\n').unwrap();
        (status.to_owned(), page.to_owned())
    }
}

#[test]
fn whatever_is_wrong_with_an_origin_is_said_in_a_page_inside() {
    let origins = BadOrigins::new();
    let it = Behind::start(&origins, "");
    for fault in Fault::ALL {
        let origin = origins.start(*fault);
        let (status, page) = it.get(origin.address().port());
        match fault.code() {
            None => assert_eq!(status, "200", "{fault:?}: {page}"),
            Some(code) => {
                assert_eq!(status, "502", "{fault:?}: {page}");
                assert!(page.contains(&format!("({code})")), "{fault:?} is {code}: {page}");
                let reason = if page.contains("upstream-certificate-invalid") {
                    "upstream-certificate-invalid"
                } else {
                    "upstream-tls-failed"
                };
                assert!(page.contains(&format!("Reason code: {reason}")), "{fault:?}: {page}");
            }
        }
    }
}

#[test]
fn only_a_setting_for_its_host_accepts_a_bad_certificate_and_the_record_says_so() {
    let origins = BadOrigins::new();
    let it = Behind::start(&origins, &format!("  origins: [{{hosts: [{NAME}], accept: [expired]}}]\n"));
    let expired = origins.start(Fault::Expired);
    assert_eq!(it.get(expired.address().port()).0, "200");
    let record = it.egret.record(|record| record.method() == "GET");
    assert_eq!(record.text("upstreamTlsExcused"), "expired");
    let other = origins.start(Fault::WrongName);
    let (status, page) = it.get(other.address().port());
    assert_eq!(status, "502");
    assert!(page.contains("(wrong-name)"), "{page}");
    let elsewhere = Behind::start(&origins, "  origins: [{hosts: [elsewhere.test], accept: [expired]}]\n");
    assert_eq!(elsewhere.get(expired.address().port()).0, "502");
}
