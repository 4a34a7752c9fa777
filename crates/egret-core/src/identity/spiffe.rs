//! Workloads by their SPIFFE IDs.

use super::Workload;

/// The longest SPIFFE ID (SPIFFE-ID section 2.3) and trust domain (section 2.1), in bytes.
const MAX_ID_BYTES: usize = 2048;
const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// The longest name of a namespace (a DNS label, RFC 1123) and of a service account (a DNS subdomain).
const MAX_NAMESPACE_BYTES: usize = 63;
const MAX_ACCOUNT_BYTES: usize = 253;

/// The workload that a SPIFFE ID of the form `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`
/// stands for, which is what Istio and SPIRE give to the pods of Kubernetes. `None` for every other form:
/// what has more parts names something else, and could be a workload of another cluster.
#[must_use]
pub fn workload(id: &str) -> Option<Workload> {
    if id.len() > MAX_ID_BYTES {
        return None;
    }
    let mut parts = id.strip_prefix("spiffe://")?.split('/');
    let mut next = || parts.next();
    let (trust_domain, ns, namespace) = (next()?, next()?, next()?);
    let (sa, account, end) = (next()?, next()?, next());
    let fits = is_trust_domain(trust_domain)
        && (ns, sa, end) == ("ns", "sa", None)
        && is_label(namespace)
        && account.len() <= MAX_ACCOUNT_BYTES
        && account.split('.').all(is_label);
    fits.then(|| Workload {
        namespace: namespace.into(),
        service_account: Some(account.into()),
        ..Workload::default()
    })
}

fn is_trust_domain(text: &str) -> bool {
    (1..=MAX_TRUST_DOMAIN_BYTES).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
}

/// Lower case and digits, with hyphens in between. Encoded characters (`%XX`) are none of them.
fn is_label(text: &str) -> bool {
    let is_inner = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=MAX_NAMESPACE_BYTES).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_workloads_of_kubernetes() {
        for (id, namespace, account) in [
            ("spiffe://cluster.local/ns/shop/sa/cart", "shop", "cart"),
            ("spiffe://td/ns/kube-system/sa/default", "kube-system", "default"),
            ("spiffe://my_project.svc.id.goog/ns/n1/sa/a.b-c", "n1", "a.b-c"),
        ] {
            let workload = workload(id).unwrap();
            assert_eq!(
                (&*workload.namespace, workload.service_account.as_deref()),
                (namespace, Some(account))
            );
            assert!(workload.pod.is_none() && workload.labels.is_empty());
        }
    }

    #[test]
    fn other_ids_are_no_workloads() {
        let long = format!("spiffe://td/ns/{}/sa/cart", "n".repeat(64));
        let long_account = format!("spiffe://td/ns/shop/sa/{}", vec!["a"; 128].join("."));
        let long_domain = format!("spiffe://{}/ns/shop/sa/cart", "d".repeat(256));
        for id in [
            "",
            "spiffe://",
            "spiffe://td",
            "spiffe://td/",
            "spiffe://td/web",
            "spiffe://td/ns/shop",
            "spiffe://td/ns/shop/sa",
            "spiffe://td/ns/shop/sa/",
            "spiffe://td/ns//sa/cart",
            "spiffe://td//ns/shop/sa/cart",
            "spiffe:///ns/shop/sa/cart",
            "spiffe://td/ns/shop/sa/cart/",
            "spiffe://td/ns/shop/sa/cart/more",
            "spiffe://td/ns/shop/sa/cart?x",
            "spiffe://td/ns/shop/sa/cart#x",
            "spiffe://td/cluster/c1/ns/shop/sa/cart",
            "spiffe://td/region/eu/ns/shop/sa/cart",
            "spiffe://td/sa/cart/ns/shop",
            "spiffe://td/NS/shop/sa/cart",
            "spiffe://td/ns/Shop/sa/cart",
            "spiffe://td/ns/sh%6fp/sa/cart",
            "spiffe://td/ns/shop%2Fsa%2Fcart/sa/x",
            "spiffe://td/ns/shop/sa/c%61rt",
            "spiffe://td/ns/../sa/cart",
            "spiffe://td/ns/-shop/sa/cart",
            "spiffe://td/ns/shop/sa/cart.",
            "spiffe://td/ns/sh\u{f6}p/sa/cart",
            "spiffe://td:443/ns/shop/sa/cart",
            "spiffe://user@td/ns/shop/sa/cart",
            "spiffe://TD/ns/shop/sa/cart",
            "SPIFFE://td/ns/shop/sa/cart",
            "https://td/ns/shop/sa/cart",
            " spiffe://td/ns/shop/sa/cart",
            &long,
            &long_account,
            &long_domain,
        ] {
            assert_eq!(workload(id), None, "{id}");
        }
    }
}
