//! What the list promises, against the recordings of a real API server.

use k8s_openapi::List;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use serde_json::{Value, json};

use super::facts::{self, Lists, gather};
use super::*;

fn recording(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/netdiscovery/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn from<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn facts_of(recording: &Value, service_cidrs: &str) -> ClusterFacts {
    let cidrs: List<ServiceCIDR> = from(&recording[service_cidrs]);
    let nodes: List<Node> = from(&recording["nodes"]);
    let service: Service = from(&recording["kubernetesService"]);
    let slices: &Value = ["kubernetesEndpointSlices", "endpointSlices"]
        .iter()
        .map(|name| &recording[*name])
        .find(|value| !value.is_null())
        .unwrap();
    let slices: List<EndpointSlice> = from(slices);
    gather(&Lists {
        service_cidrs: Some(&cidrs.items),
        nodes: &nodes.items,
        kubernetes_service: Some(&service),
        endpoint_slices: &slices.items,
        ..Lists::default()
    })
}

fn nodes(count: usize) -> ClusterFacts {
    let node_addresses = (0..count).map(|n| format!("10.1.{}.{}", n / 250, n % 250 + 1).parse().unwrap());
    ClusterFacts {
        service_networks: vec!["10.96.0.0/16".parse().unwrap()],
        node_addresses: node_addresses.collect(),
        node_names: (0..count).map(|n| format!("node-{n}.example.internal")).collect(),
        pod_networks: (0..count)
            .map(|n| format!("10.{}.{}.0/24", 128 + n / 256, n % 256).parse().unwrap())
            .collect(),
        ..ClusterFacts::default()
    }
}

fn user(entries: &[&str]) -> Wanted {
    Wanted { user: entries.iter().map(ToString::to_string).collect(), ..Wanted::default() }
}

#[test]
fn names_everything_of_a_recorded_cluster() {
    let facts = facts_of(&recording("single-stack"), "serviceCIDRs");
    assert_eq!(facts.warnings, Vec::<String>::new());
    let list = compute(&facts, &Wanted::default());
    assert_eq!(
        list.entries,
        [
            ".cluster.local",
            ".svc",
            "10.244.0.0/24",
            "10.244.1.0/24",
            "10.96.0.0/16",
            "10.96.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "192.0.2.10",
            "192.0.2.21",
            "192.0.2.22",
            "::1",
            "cluster.local",
            "fd00:ec2::254",
            "konnectivity",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            "svc",
        ]
    );
    assert_eq!(list.warnings, Vec::<String>::new());
}

#[test]
fn follows_a_service_network_that_is_added_while_the_cluster_runs() {
    let facts = facts_of(&recording("single-stack"), "serviceCIDRsAfterAddingOne");
    let list = compute(&facts, &Wanted::default());
    assert!(list.entries.contains(&"10.96.0.0/16".to_owned()));
    assert!(list.entries.contains(&"10.97.0.0/16".to_owned()), "{list:?}");
}

#[test]
fn writes_no_network_of_ipv6_and_no_bracket_in_a_dual_stack_cluster() {
    let facts = facts_of(&recording("dual-stack"), "serviceCIDRs");
    assert!(facts.service_networks.contains(&"fd00:10:96::/112".parse().unwrap()));
    let list = compute(&facts, &user(&["fd00:1::/64", "[fd00::5]", "fd00::6"]));
    assert!(list.entries.iter().all(|entry| !entry.contains('[')), "{list:?}");
    assert!(list.entries.iter().all(|entry| !(entry.contains(':') && entry.contains('/'))), "{list:?}");
    assert!(list.entries.contains(&"fd00::5".to_owned()) && list.entries.contains(&"fd00::6".to_owned()));
    assert_eq!(list.warnings.len(), 1, "{list:?}");
}

#[test]
fn is_sorted_without_duplicates_or_spaces() {
    let facts = facts_of(&recording("single-stack"), "serviceCIDRs");
    let list = compute(
        &facts,
        &user(&[" Corp.Example ", "corp.example", ".corp.example", "10.96.0.0/16", "10.96.0.1"]),
    );
    let mut sorted = list.entries.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(list.entries, sorted);
    assert!(!list.value().contains(char::is_whitespace));
    assert!(list.value().contains(",corp.example,"));
    assert!(list.value().starts_with(".cluster.local,.corp.example,.svc,"), "{}", list.value());
}

#[test]
fn a_star_stands_alone() {
    let facts = facts_of(&recording("single-stack"), "serviceCIDRs");
    assert_eq!(compute(&facts, &user(&["a.example", "*"])).value(), "*");
}

#[test]
fn leaves_out_what_no_client_understands_and_says_so() {
    let list = compute(
        &ClusterFacts::default(),
        &user(&[
            "10.",
            "10.1.2.*",
            "10.0.0.1-10.0.0.9",
            "http://x",
            "10.0.0.0/33",
            "[::1]:80",
            "*:80",
            "0.0.0.0/0",
            "::/0",
            "a b",
            "",
        ]),
    );
    assert_eq!(list.warnings.len(), 11, "{:#?}", list.warnings);
    assert_eq!(list.entries, compute(&ClusterFacts::default(), &Wanted::default()).entries);
}

#[test]
fn a_star_before_a_name_becomes_what_more_clients_know() {
    let list = compute(&ClusterFacts::default(), &user(&["*.corp.example", "intra.example:8443"]));
    assert!(list.entries.contains(&".corp.example".to_owned()));
    assert!(!list.entries.contains(&"corp.example".to_owned()));
    assert!(list.entries.contains(&"intra.example:8443".to_owned()));
    assert_eq!(list.warnings.len(), 2);
}

#[test]
fn networks_of_the_cluster_that_overlap_everything_are_left_out() {
    let facts = ClusterFacts {
        service_networks: vec!["0.0.0.0/0".parse().unwrap(), "10.96.0.0/16".parse().unwrap()],
        pod_networks: vec!["10.0.0.0/7".parse().unwrap()],
        ..ClusterFacts::default()
    };
    let list = compute(&facts, &Wanted::default());
    assert!(list.entries.contains(&"10.96.0.0/16".to_owned()));
    assert!(!list.value().contains("/0") || !list.value().contains("0.0.0.0"), "{list:?}");
    assert!(!list.value().contains("/7"));
    assert_eq!(list.warnings.len(), 2);
}

#[test]
fn computed_entries_can_be_left_out_one_by_one_and_by_kind() {
    let facts = facts_of(&recording("single-stack"), "serviceCIDRs");
    let except = Wanted { except: vec!["169.254.169.254".to_owned()], ..Wanted::default() };
    assert!(!compute(&facts, &except).value().contains("169.254.169.254"));
    let none = Wanted {
        localhost: false,
        cluster_domains: false,
        service_networks: false,
        pod_networks: false,
        node_networks: false,
        api_server: false,
        metadata_addresses: false,
        cloud: false,
        ..user(&["only.example"])
    };
    assert_eq!(compute(&facts, &none).value(), ".only.example,only.example");
}

#[test]
fn the_real_domain_of_the_cluster_stands_beside_the_usual_one() {
    let facts =
        ClusterFacts { cluster_domain: Some("k8s.corp.example".to_owned()), ..ClusterFacts::default() };
    let list = compute(&facts, &Wanted::default());
    for entry in
        [".k8s.corp.example", "k8s.corp.example", ".cluster.local", "kubernetes.default.svc.k8s.corp.example"]
    {
        assert!(list.entries.contains(&entry.to_owned()), "{entry} in {list:?}");
    }
}

#[test]
fn joins_neighbours_where_a_cluster_is_large() {
    let list = compute(&ClusterFacts { node_names: Vec::new(), ..nodes(256) }, &Wanted::default());
    assert!(list.entries.contains(&"10.128.0.0/16".to_owned()), "{list:?}");
    assert_eq!(list.warnings, Vec::<String>::new());
}

#[test]
fn a_list_that_is_too_long_gives_up_nodes_first_and_says_so() {
    let facts = nodes(500);
    let list = compute(&facts, &user(&["keep.example"]));
    assert!(list.value().len() <= MAX_NO_PROXY_BYTES);
    assert_eq!(list.warnings.len(), 1, "{:?}", list.warnings);
    assert!(list.warnings[0].contains("names of the nodes"));
    for needed in ["10.96.0.0/16", ".svc", "keep.example", "10.128.0.0/16"] {
        assert!(list.entries.contains(&needed.to_owned()), "{needed}");
    }
    let short = compute(&facts, &Wanted { max_bytes: 400, ..user(&["keep.example"]) });
    assert!(short.value().len() <= 400, "{}", short.value());
    assert!(short.entries.contains(&"10.96.0.0/16".to_owned()));
}

#[test]
fn each_cloud_brings_its_own_names() {
    let of = |id: &str| {
        let node: Node =
            from(&json!({"metadata": {"name": "n"}, "spec": {"providerID": id, "podCIDR": "10.1.0.0/24"}}));
        compute(&gather(&Lists { nodes: &[node], ..Lists::default() }), &Wanted::default()).entries
    };
    assert!(of("azure:///subscriptions/s/vm").contains(&"168.63.129.16".to_owned()));
    assert!(of("aws:///eu-west-1a/i-0abc").contains(&".compute.internal".to_owned()));
    let google = of("gce://my-project/europe-west1-b/gke-1");
    assert!(google.contains(&"metadata.google.internal".to_owned()));
    assert!(google.contains(&".c.my-project.internal".to_owned()));
    assert!(!of("kind://docker/kind/n").contains(&"168.63.129.16".to_owned()));
}

#[test]
fn service_networks_are_found_in_older_ways() {
    let pod: Pod = from(&json!({"spec": {"containers": [{"name": "kube-apiserver", "command":
        ["kube-apiserver", "--service-cluster-ip-range=10.100.0.0/16,fd00:1::/112"]}]}}));
    let by_flag = gather(&Lists { api_server_pods: &[pod], service_cidrs: Some(&[]), ..Lists::default() });
    assert_eq!(by_flag.service_networks.len(), 2);
    let config: ConfigMap = from(&json!({"data": {"ClusterConfiguration":
        "apiServer: {}\nnetworking:\n  dnsDomain: \"k8s.example\"\n  podSubnet: 10.200.0.0/14\n  serviceSubnet: 10.50.0.0/16\n"}}));
    let by_kubeadm = gather(&Lists { kubeadm_config: Some(&config), ..Lists::default() });
    assert_eq!(by_kubeadm.service_networks, ["10.50.0.0/16".parse().unwrap()]);
    assert_eq!(by_kubeadm.pod_networks, ["10.200.0.0/14".parse().unwrap()]);
    assert_eq!(by_kubeadm.domain(), "k8s.example");
    let probe = recording("single-stack");
    let message = probe["probeByInvalidClusterIPDryRun"]["response"]["message"].as_str().unwrap();
    let by_probe = gather(&Lists { probe_message: Some(message), ..Lists::default() });
    assert_eq!(by_probe.service_networks, ["10.96.0.0/16".parse().unwrap()]);
    let refused = probe["serviceClusterIPOutOfRange"]["response"]["message"].as_str().unwrap();
    assert!(facts::from_probe(refused).is_empty());
    let nothing = gather(&Lists::default());
    assert_eq!(nothing.warnings.len(), 1, "{nothing:?}");
}

#[test]
fn the_domain_is_read_from_where_the_cluster_writes_it() {
    let conf = "nameserver 10.96.0.10\nsearch egret-system.svc.k8s.example svc.k8s.example k8s.example corp.example\noptions ndots:5\n";
    assert_eq!(facts::from_resolv_conf(conf).as_deref(), Some("k8s.example"));
    assert_eq!(facts::from_resolv_conf("search corp.example\n"), None);
    assert_eq!(facts::from_resolv_conf(""), None);
    let corefile = ".:53 {\n    errors\n    kubernetes k8s.example in-addr.arpa ip6.arpa {\n      pods insecure\n    }\n}\n";
    assert_eq!(facts::from_corefile(corefile).as_deref(), Some("k8s.example"));
    assert_eq!(facts::from_corefile(".:53 {\n}\n"), None);
}

#[test]
fn merging_keeps_what_the_pod_wrote_and_repeats_nothing() {
    let ours = Injected::from_entries([".svc", "10.0.0.0/8"].map(str::to_owned));
    let merged = ours.merge(["only-lower", "$(KUBERNETES_SERVICE_HOST), .svc  b.example"]);
    assert_eq!(merged, "$(KUBERNETES_SERVICE_HOST),.svc,10.0.0.0/8,b.example,only-lower");
    assert_eq!(ours.merge([merged.as_str()]), merged);
    assert_eq!(ours.merge([""]), ours.value());
    assert_eq!(ours.merge(["x,*"]), "*");
}

#[test]
fn java_is_told_in_its_own_terms() {
    let entries = [
        ".svc",
        "svc",
        "10.96.0.0/15",
        "172.16.0.0/12",
        "100.64.0.0/10",
        "192.0.2.1",
        "fd00::1",
        "x:80",
        "192.0.2.0/28",
    ];
    assert_eq!(
        java::non_proxy_hosts(entries),
        "*.svc|10.96.*|10.97.*|127.*|172.16.*|172.17.*|172.18.*|172.19.*|172.20.*|172.21.*|172.22.*|172.23.*|172.24.*|\
         172.25.*|172.26.*|172.27.*|172.28.*|172.29.*|172.30.*|172.31.*|192.0.2.1|[::1]|[fd00::1]|localhost|svc"
    );
    assert_eq!(java::non_proxy_hosts(["a", "*"]), "*");
}

#[test]
fn lint_finds_what_clients_choke_on_or_pass_over() {
    let bad = [
        "*.corp.example",
        "[::1]",
        "fd00::/8",
        "10.",
        "10.1.2.*",
        "a.example b.example",
        "a,*",
        "x.example:8080",
        "http://u:secret@proxy",
        "0.0.0.0/0",
        "10.0.0.1-10.0.0.5",
        "*",
        "10.0.0.0/8,10.1.0.0/16",
    ];
    for value in bad {
        let findings = lint::no_proxy(value);
        assert_eq!(findings.len(), 1, "{value}: {findings:?}");
        assert!(!findings[0].contains("secret"));
    }
    for value in ["", ".svc,svc,::1,127.0.0.1", "a, b", "$(KUBERNETES_SERVICE_HOST),x"] {
        assert_eq!(lint::no_proxy(value), Vec::<String>::new(), "{value}");
    }
    let ours = ["10.96.0.0/16".to_owned()];
    assert_eq!(lint::no_proxy_beside("10.96.0.0/16,x", &ours), Vec::<String>::new());
    for value in [
        "proxy:3128",
        "https://proxy:3128",
        "socks5://proxy",
        "http://u:secret@proxy:1",
        "http://u:a/b@c:1",
        "ftp://x",
    ] {
        let findings = lint::proxy_url(value);
        assert_eq!(findings.len(), 1, "{value}: {findings:?}");
        assert!(!findings[0].contains("secret"));
    }
    for value in ["", "http://proxy:3128", "http://proxy:3128/", "$(PROXY)"] {
        assert_eq!(lint::proxy_url(value), Vec::<String>::new(), "{value}");
    }
}
