//! Installing, again, and taking back.

use super::*;

#[test]
fn changes_nothing_unless_told_to() {
    let node = Node::debian();
    let before = node.files();
    for arguments in [&[][..], &["--dry-run"]] {
        let text = node.install(arguments);
        assert_eq!(node.files(), before);
        for part in [CONTAINERD, KUBELET, DOCKER, APT, ENVIRONMENT, DEBIAN_CA] {
            assert!(text.contains(&format!("/{part}: would be made")), "no {part} in\n{text}");
        }
        assert!(text.contains("Nothing was changed"), "{text}");
    }
    assert!(node.ok(&["remove"]).contains("Nothing is to be changed"));
}

#[test]
fn installs_once_however_often_it_is_run() {
    let node = Node::debian();
    let first = node.install(&["--apply"]);
    assert!(first.contains("systemctl daemon-reload\n    systemctl restart containerd"), "{first}");
    assert!(first.contains("update-ca-certificates"), "{first}");
    let files = node.files();
    assert_eq!(files.len(), 8, "six files, os-release, and the mark beside daemon.json: {files:?}");
    let again = node.install(&["--apply"]);
    assert!(again.contains("Nothing is to be changed"), "{again}");
    assert_eq!(node.files(), files);
    let shown = node.ok(&["show"]);
    assert_eq!(shown.matches(" installed").count(), 6, "{shown}");
}

#[test]
fn another_proxy_takes_the_place_of_the_first() {
    let node = Node::debian();
    node.install(&["--apply"]);
    node.ok(&[
        "install",
        "--apply",
        "--http-proxy",
        "http://10.0.0.6:8888",
        "--https-proxy",
        "http://10.0.0.7:3128",
    ]);
    for file in [CONTAINERD, KUBELET, DOCKER, APT, ENVIRONMENT] {
        let text = node.read(file);
        assert!(
            !text.contains("10.0.0.5") && text.contains("10.0.0.6") && text.contains("10.0.0.7"),
            "{text}"
        );
    }
    assert_eq!(node.read(ENVIRONMENT).matches("BEGIN egret node").count(), 1);
    node.ok(&["remove", "--apply"]);
    assert_eq!(node.files().len(), 1, "os-release alone is left: {:?}", node.files());
}

#[test]
fn removing_puts_everything_back_to_the_byte() {
    let node = Node::debian();
    node.write(ENVIRONMENT, "PATH=\"/usr/bin\"\nHTTP_PROXY=http://old:1\n");
    node.write(
        DOCKER,
        "{ \"log-driver\": \"journald\",\n\t\"proxies\": {\"http-proxy\": \"http://old:1\"} }",
    );
    node.write(CONTAINERD, "[Service]\nEnvironment=HTTP_PROXY=http://old:1\n");
    node.write("etc/apt/apt.conf.d/30proxy", "Acquire::http::Proxy \"http://old:1\";\n");
    let before = node.files();
    let text = node.install(&["--apply"]);
    assert!(text.contains(&format!("kept as /{CONTAINERD}.egret-backup")), "{text}");
    assert!(!node.read(CONTAINERD).contains("old:1"));
    assert!(node.ok(&["remove"]).contains("Nothing was changed"));
    node.ok(&["remove", "--apply"]);
    assert_eq!(node.files(), before);
    assert!(node.ok(&["remove", "--apply"]).contains("Nothing is to be changed"));
    assert_eq!(node.files(), before);
}

#[test]
fn takes_back_one_program_and_leaves_the_others() {
    let node = Node::debian();
    node.install(&["--apply"]);
    node.ok(&["remove", "--apply", "--only", "docker,helm"]);
    assert!(!node.path(DOCKER).exists() && !node.path(ENVIRONMENT).exists());
    assert!(node.path(CONTAINERD).exists() && node.path(APT).exists());
}

#[test]
fn two_certificates_are_two_files_and_go_when_one_is_left() {
    let node = Node::debian();
    let both = node.path("both.pem");
    let pem = fs::read_to_string(node.ca.pem()).unwrap();
    fs::write(&both, format!("{pem}{}", fs::read_to_string(TestCa::new().pem()).unwrap())).unwrap();
    node.ok(&["install", "--apply", "--only", "trust", "--ca", both.to_str().unwrap()]);
    let second = DEBIAN_CA.replace("egret-ca.crt", "egret-ca-2.crt");
    assert_eq!(node.read(&second).matches("BEGIN CERTIFICATE").count(), 1);
    node.install(&["--apply", "--only", "trust"]);
    assert!(!node.path(&second).exists() && node.path(DEBIAN_CA).exists());
}

#[test]
fn finds_the_trust_store_of_each_distribution() {
    for (release, directory, command) in [
        ("ID=ubuntu\nID_LIKE=debian\n", "usr/local/share/ca-certificates", "update-ca-certificates"),
        (
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
            "etc/pki/ca-trust/source/anchors",
            "update-ca-trust extract",
        ),
        (
            "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n",
            "etc/pki/trust/anchors",
            "update-ca-certificates",
        ),
        ("ID=arch\n", "etc/ca-certificates/trust-source/anchors", "update-ca-trust extract"),
        ("ID=alpine\n", "usr/local/share/ca-certificates", "update-ca-certificates"),
    ] {
        let node = Node::new();
        node.write("etc/os-release", release);
        let text = node.install(&["--apply"]);
        assert!(node.path(directory).join("egret-ca.crt").exists(), "{release}{text}");
        assert!(text.contains(command), "{text}");
        let has_apt = release.contains("debian");
        assert_eq!(node.path(APT).exists(), has_apt, "{release}");
    }
    let node = Node::new();
    fs::create_dir_all(node.path("etc/pki/ca-trust/source/anchors")).unwrap();
    node.install(&["--apply", "--only", "trust"]);
    assert!(node.path("etc/pki/ca-trust/source/anchors/egret-ca.crt").exists(), "by what is there");
}
