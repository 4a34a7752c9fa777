//! The programs themselves read what was written.

use egret_testkit::tools::succeed;

use super::*;

#[test]
fn apt_takes_the_proxy_and_reaches_named_hosts_directly() {
    let node = Node::debian();
    node.install(&["--apply", "--no-proxy", "deb.corp.example"]);
    let mut command = client("apt-config");
    command.args(["-c", node.path(APT).to_str().unwrap(), "dump"]);
    let dump = succeed(&mut command);
    for line in [
        "Acquire::http::Proxy \"http://10.0.0.5:8888\";",
        "Acquire::https::Proxy \"http://10.0.0.5:8888\";",
        "Acquire::http::Proxy::deb.corp.example \"DIRECT\";",
        "Acquire::https::Proxy::169.254.169.254 \"DIRECT\";",
    ] {
        assert!(dump.lines().any(|found| found == line), "no {line} in\n{dump}");
    }
}

#[test]
fn systemd_gives_the_variables_to_the_unit() {
    let node = Node::debian();
    node.install(&["--apply"]);
    for unit in ["containerd", "kubelet"] {
        let file = format!("etc/systemd/system/{unit}.service");
        node.write(&file, "[Service]\nExecStart=/bin/true\n");
        let mut command = client("systemd-analyze");
        command
            .arg(format!("--root={}", node.root.path().display()))
            .args(["verify", &format!("{unit}.service")]);
        let output = run(&mut command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("http-proxy.conf"), "systemd has a word to say about it:\n{said}");
    }
    let text = node.read(CONTAINERD);
    assert!(text.contains("[Service]\nEnvironment=\"HTTP_PROXY=http://10.0.0.5:8888\"\n"), "{text}");
}

#[test]
fn the_trust_store_of_debian_takes_the_ca_in_and_forgets_it() {
    let node = Node::debian();
    node.install(&["--apply", "--only", "trust"]);
    let certificates = node.path("etc/ssl/certs");
    for folder in ["etc/ssl/certs", "usr/share/ca-certificates", "hooks"] {
        fs::create_dir_all(node.path(folder)).unwrap();
    }
    node.write("etc/ca-certificates.conf", "");
    // A store with nothing in it at all is left as it was.
    let other = fs::read_to_string(TestCa::new().pem()).unwrap();
    node.write("usr/local/share/ca-certificates/other.crt", &other);
    let update = |more: &[&str]| {
        let mut command = client("update-ca-certificates");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(more);
        for (flag, folder) in [
            ("--localcertsdir", "usr/local/share/ca-certificates"),
            ("--certsdir", "usr/share/ca-certificates"),
            ("--certsconf", "etc/ca-certificates.conf"),
            ("--etccertsdir", "etc/ssl/certs"),
            ("--hooksdir", "hooks"),
        ] {
            command.arg(flag).arg(node.path(folder));
        }
        succeed(&mut command);
        fs::read_to_string(certificates.join("ca-certificates.crt")).unwrap()
    };
    let pem = node.read(DEBIAN_CA);
    assert!(update(&[]).contains(pem.trim()));
    let text = node.ok(&["remove", "--apply"]);
    assert!(text.contains("update-ca-certificates --fresh"), "{text}");
    assert!(!update(&["--fresh"]).contains(pem.trim()));
}
