// How each client is told to go through the proxy and to trust its CA: the exact lines. What each client reads, and
// whether it adds or replaces, was found out with the real clients.
import { shellQuote } from "./shell";

export interface Client {
  name: string;
  /** One sentence that a reader needs before the lines. */
  note: string;
  blocks: { title: string; lines: string }[];
}

export interface Place {
  /** `http://127.0.0.1:8888` */
  proxy: string;
  /** Where the CA is fetched from, without a trailing slash. */
  console: string;
  password: string;
}

/** The lines for every client, for this proxy. */
export function clients(place: Place): Client[] {
  const proxy = shellQuote(place.proxy);
  const from = place.console;
  const url = new URL(place.proxy);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const fetchPem = `curl -o egret-ca.pem ${shellQuote(`${from}/ca.pem`)}`;
  const fetchBundle = `curl -o egret-bundle.pem ${shellQuote(`${from}/ca-bundle.pem`)}`;
  return [
    {
      name: "curl",
      note: "--cacert replaces the public roots for one command; CURL_CA_BUNDLE with the bundle keeps them for a whole shell.",
      blocks: [
        { title: "One command", lines: `${fetchPem}\ncurl -x ${proxy} --cacert egret-ca.pem https://example.com/` },
        { title: "A whole shell", lines: `${fetchBundle}\nexport https_proxy=${proxy} http_proxy=${proxy}\nexport CURL_CA_BUNDLE="$PWD/egret-bundle.pem"` },
      ],
    },
    {
      name: "Python",
      note: "requests and botocore read variables of their own and ignore SSL_CERT_FILE. Where a variable replaces the public roots, it has to be the bundle.",
      blocks: [
        {
          title: "ssl, urllib, httpx, aiohttp, requests, pip, boto3",
          lines: `${fetchBundle}\nexport https_proxy=${proxy} http_proxy=${proxy}\nexport SSL_CERT_FILE="$PWD/egret-bundle.pem"\nexport REQUESTS_CA_BUNDLE="$SSL_CERT_FILE" PIP_CERT="$SSL_CERT_FILE" AWS_CA_BUNDLE="$SSL_CERT_FILE"`,
        },
        { title: "gRPC", lines: `export GRPC_DEFAULT_SSL_ROOTS_FILE_PATH="$SSL_CERT_FILE"` },
        { title: "aiohttp reads the environment only if told to", lines: `aiohttp.ClientSession(trust_env=True)` },
      ],
    },
    {
      name: "Node",
      note: "NODE_EXTRA_CA_CERTS adds to the built-in roots. Node 24 uses proxies of the environment when NODE_USE_ENV_PROXY is set; earlier versions need a library.",
      blocks: [
        { title: "Node, npm, Bun", lines: `${fetchPem}\nexport NODE_EXTRA_CA_CERTS="$PWD/egret-ca.pem"\nexport NODE_USE_ENV_PROXY=1 https_proxy=${proxy} http_proxy=${proxy}` },
        { title: "Deno", lines: `export DENO_CERT="$PWD/egret-ca.pem"` },
        { title: "If npm has a cafile configured, that one wins", lines: `npm config delete cafile` },
      ],
    },
    {
      name: "Java",
      note: "Java ignores the environment. The truststore replaces the built-in one; it is a PKCS#12 with the attribute that Java asks for, and holds the public roots too.",
      blocks: [
        {
          title: "Any JVM",
          lines: `curl -o egret-ca.p12 ${shellQuote(`${from}/ca.p12`)}\nexport JAVA_TOOL_OPTIONS="-Djavax.net.ssl.trustStore=$PWD/egret-ca.p12 -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=${place.password} -Dhttps.proxyHost=${host} -Dhttps.proxyPort=${port} -Dhttp.proxyHost=${host} -Dhttp.proxyPort=${port}"`,
        },
        { title: "Or into a truststore that is there", lines: `keytool -importcert -noprompt -cacerts -storepass changeit -alias egret -file egret-ca.pem` },
      ],
    },
    {
      name: "Go",
      note: "On Linux. SSL_CERT_FILE replaces the file of roots and keeps the directory; upper-case variables win over lower-case ones.",
      blocks: [{ title: "net/http", lines: `${fetchBundle}\nexport SSL_CERT_FILE="$PWD/egret-bundle.pem"\nexport HTTPS_PROXY=${proxy} HTTP_PROXY=${proxy}` }],
    },
    {
      name: "git",
      note: "Debian's git ignores SSL_CERT_FILE; http.sslCAInfo is read by every build.",
      blocks: [
        { title: "All repositories", lines: `${fetchBundle}\ngit config --global http.sslCAInfo "$PWD/egret-bundle.pem"\ngit config --global http.proxy ${proxy}` },
        { title: "One command", lines: `GIT_SSL_CAINFO="$PWD/egret-bundle.pem" https_proxy=${proxy} git clone https://github.com/git/git` },
      ],
    },
    {
      name: "apt",
      note: "apt reads its own configuration, and the proxy's URL has to have a scheme.",
      blocks: [
        {
          title: "/etc/apt/apt.conf.d/30egret",
          lines: `Acquire::http::Proxy "${place.proxy}";\nAcquire::https::Proxy "${place.proxy}";\nAcquire::https::CAInfo "/etc/ssl/certs/egret-bundle.pem";`,
        },
        { title: "The file it names", lines: `sudo curl -o /etc/ssl/certs/egret-bundle.pem ${shellQuote(`${from}/ca-bundle.pem`)}` },
      ],
    },
    {
      name: "Docker",
      note: "The daemon pulls images and has settings of its own; containers need the variables and the file.",
      blocks: [
        { title: "/etc/docker/daemon.json, then restart the daemon", lines: `{"proxies": {"http-proxy": "${place.proxy}", "https-proxy": "${place.proxy}"}}` },
        { title: "Trust, for pulling", lines: `sudo curl -o /usr/local/share/ca-certificates/egret.crt ${shellQuote(`${from}/ca.pem`)}\nsudo update-ca-certificates && sudo systemctl restart docker` },
        {
          title: "A container",
          lines: `docker run -e https_proxy=${proxy} -e http_proxy=${proxy} \\\n  -v "$PWD/egret-bundle.pem:/etc/ssl/certs/ca-certificates.crt:ro" \\\n  -v "$PWD/egret-ca.pem:/egret-ca.pem:ro" -e NODE_EXTRA_CA_CERTS=/egret-ca.pem IMAGE`,
        },
      ],
    },
    {
      name: "Kubernetes",
      note: "Mounting the bundle over the well-known path serves wget and GnuTLS as well, which read no variable.",
      blocks: [
        { title: "The bundle as a ConfigMap", lines: `${fetchBundle}\n${fetchPem}\nkubectl create configmap egret-ca --from-file=ca-bundle.pem=egret-bundle.pem --from-file=ca.pem=egret-ca.pem` },
        {
          title: "In the pod's template",
          lines: `spec:
  containers:
    - name: app
      env:
        - { name: https_proxy, value: "${place.proxy}" }
        - { name: http_proxy, value: "${place.proxy}" }
        - { name: no_proxy, value: "localhost,127.0.0.1,svc,.svc,cluster.local,.cluster.local" }
        - { name: SSL_CERT_FILE, value: /egret/ca-bundle.pem }
        - { name: REQUESTS_CA_BUNDLE, value: /egret/ca-bundle.pem }
        - { name: NODE_EXTRA_CA_CERTS, value: /egret/ca.pem }
      volumeMounts:
        - { name: egret-ca, mountPath: /egret, readOnly: true }
        - { name: egret-ca, mountPath: /etc/ssl/certs/ca-certificates.crt, subPath: ca-bundle.pem, readOnly: true }
  volumes:
    - name: egret-ca
      configMap: { name: egret-ca }`,
        },
      ],
    },
    {
      name: "System",
      note: "What wget and most programs on Linux read.",
      blocks: [
        { title: "Debian, Ubuntu, Alpine", lines: `sudo curl -o /usr/local/share/ca-certificates/egret.crt ${shellQuote(`${from}/ca.pem`)}\nsudo update-ca-certificates` },
        { title: "Fedora, RHEL", lines: `sudo curl -o /etc/pki/ca-trust/source/anchors/egret.pem ${shellQuote(`${from}/ca.pem`)}\nsudo update-ca-trust` },
        { title: "macOS", lines: `${fetchPem}\nsudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain egret-ca.pem` },
        { title: "Windows (as administrator)", lines: `curl.exe -o egret-ca.crt "${from}/ca.crt"\ncertutil -addstore Root egret-ca.crt` },
        { title: "Chrome and other NSS users on Linux", lines: `certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n egret -i egret-ca.pem` },
      ],
    },
  ];
}
