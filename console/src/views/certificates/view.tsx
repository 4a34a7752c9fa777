// Certificates: the CA in every form, how each client is told to trust it, and whether this browser does.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { getJson } from "../../api/client";
import type { Ca, CaRejection } from "../../api/types";
import { clients } from "../../lib/instructions";
import { bytes, whole } from "../../lib/format";
import { listen } from "../../state/live";
import { remember, recall, server } from "../../state/ui";
import { Ago, Button, Code, Empty, Hostile, Tabs, Trouble, useLoad } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import { CertificateCard } from "../traffic/tlsview";

const FORMATS: Record<NonNullable<Ca["downloads"]>[number]["format"], [string, string]> = {
  pem: ["PEM", "Most programs: curl, Python, Node, Linux"],
  der: ["DER", "Windows, Android, iOS, Firefox: open the file"],
  p12: ["PKCS#12", "A truststore for Java: the public roots and this CA, no key"],
  bundle: ["Bundle", "The public roots and this CA, for programs whose setting replaces the roots"],
};

const KINDS: Record<CaRejection["kind"], string> = {
  "ca-not-trusted": "CA not trusted",
  pinned: "pinned",
  clock: "clock",
  certificate: "certificate",
  "nothing-in-common": "nothing in common",
  "gave-up": "gave up",
  "timed-out": "timed out",
  protocol: "protocol",
};

export function CertificatesView(): JSX.Element {
  const { data: ca, error, again } = useLoad((signal) => getJson<Ca>("/ca", {}, signal), "ca");
  useEffect(() => listen({ rules: (event) => event.what === "ca" && again() }), []);
  return (
    <div class="page">
      <header class="page-head">
        <h1>Certificates</h1>
        <p>Where a policy says <code>tls: Intercept</code>, clients see certificates that this CA signs. They have to trust it; other hosts stay tunnels and need nothing.</p>
      </header>
      {error !== undefined && <Trouble error={error} again={again} />}
      {ca && !ca.present && <Empty icon="certificates" title="There is no CA"><p>{ca.advice ?? "Nothing is intercepted. Start with --intercept to have one made."}</p></Empty>}
      {ca?.present && (
        <>
          <div class="grid-ca">
            <section class="card">
              <h2>The CA</h2>
              {ca.certificate && <CertificateCard certificate={ca.certificate} open />}
              {ca.constraints && ca.constraints.length > 0 && <p>May sign only: {ca.constraints.map((name) => <code key={name}><Hostile text={name} /></code>)}</p>}
              {ca.next && <><h3>Comes next (rotation is under way)</h3><CertificateCard certificate={ca.next} /></>}
              {ca.previous && <><h3>Was before</h3><CertificateCard certificate={ca.previous} /></>}
            </section>
            <div class="stack">
              <TrustCheck address={ca.trustCheckUrl} />
              <section class="card">
                <h2>Download</h2>
                <ul class="downloads">
                  {ca.downloads?.map((download) => (
                    <li key={download.path}>
                      <a class="button main" href={download.path} download={download.filename}><Icon name="download" size={15} /><span>{FORMATS[download.format][0]}</span></a>
                      <span>
                        <b class="mono">{download.filename}</b>{download.sizeBytes !== undefined && <span class="faint"> {bytes(download.sizeBytes)}</span>}
                        <small>{FORMATS[download.format][1]}{download.password && <>. Password: <code>{download.password}</code></>}</small>
                      </span>
                    </li>
                  ))}
                </ul>
                {server.value?.console.magicHost && <p class="faint">Through the proxy, this page is at <code>http://{server.value.console.magicHost}/</code> as well.</p>}
              </section>
            </div>
          </div>
          <Instructions ca={ca} />
          {ca.rejections && ca.rejections.length > 0 && (
            <section class="card flush">
              <header><h2>Clients that rejected it</h2><span class="faint">without the CA, or pinned to the origin's own certificate</span></header>
              <table class="table">
                <thead><tr><th>Identity</th><th>Host</th><th>Alert</th><th>What to do</th><th class="right">Times</th><th>Last</th><th>Passed through</th></tr></thead>
                <tbody>
                  {ca.rejections.map((rejection, i) => (
                    <tr key={i}>
                      <td class="break"><Hostile text={rejection.identity} /></td>
                      <td class="break"><Hostile text={rejection.host} mono /></td>
                      <td>{rejection.alert ? <code>{rejection.alert}</code> : <span class="faint">none</span>}</td>
                      <td><span class="chip">{KINDS[rejection.kind]}</span> {rejection.advice}</td>
                      <td class="right num">{whole(rejection.count)}</td>
                      <td><Ago time={rejection.lastSeen} /></td>
                      <td>{rejection.passthroughUntil ? <>ends <Ago time={rejection.passthroughUntil} /></> : <span class="faint">no</span>}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </section>
          )}
        </>
      )}
    </div>
  );
}

type Trust = "asking" | "yes" | "no" | "unknown";

/** Asks this very port over TLS: an answer comes only if this browser trusts the CA. */
function TrustCheck({ address }: { address: string | undefined }): JSX.Element {
  const [trust, setTrust] = useState<Trust>("asking");
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (!address) return setTrust("unknown");
    setTrust("asking");
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), 8000);
    fetch(address, { mode: "cors", credentials: "omit", cache: "no-store", signal: controller.signal })
      .then((response) => setTrust(response.ok ? "yes" : "unknown"), () => setTrust(controller.signal.aborted ? "unknown" : "no"))
      .finally(() => clearTimeout(timer));
    return () => clearTimeout(timer);
  }, [address, round]);
  const words: Record<Trust, [string, string]> = {
    asking: ["Asking…", "This page asks the proxy over TLS, with a certificate of the CA."],
    yes: ["This browser trusts the CA", "Intercepted pages open without a warning."],
    no: ["This browser does not trust the CA", "Intercepted pages show a warning. Install the CA with the lines below, start the browser again, and check again."],
    unknown: ["It could not be found out", "The proxy did not answer over TLS on the console's port."],
  };
  return (
    <section class={`card trust ${trust}`} role="status">
      <Icon name={trust === "yes" ? "check" : trust === "asking" ? "replay" : "warn"} size={22} />
      <div><h2>{words[trust][0]}</h2><p>{words[trust][1]}</p></div>
      <Button small onClick={() => setRound(round + 1)}>Check again</Button>
    </section>
  );
}

function Instructions({ ca }: { ca: Ca }): JSX.Element {
  const facts = server.value;
  const listeners = facts?.listeners.filter((listener) => listener.protocols.includes("http")) ?? [];
  const [chosenUrl, setChosenUrl] = useState<string>();
  const proxy = chosenUrl ?? (listeners.find((listener) => !listener.tls) ?? listeners[0])?.url ?? "http://127.0.0.1:8888";
  const password = ca.downloads?.find((download) => download.format === "p12")?.password ?? "changeit";
  const all = clients({ proxy, console: location.origin, password });
  const [name, setName] = useState(recall("client") ?? "curl");
  const client = all.find((entry) => entry.name === name) ?? all[0]!;
  return (
    <section class="card">
      <header>
        <h2>Set a client up</h2>
        <span class="spring" />
        {listeners.length > 1 && <label class="inline-check">Proxy <select value={proxy} onChange={(event) => setChosenUrl(event.currentTarget.value)}>{listeners.map((listener) => <option key={listener.url} value={listener.url} selected={listener.url === proxy}>{listener.url}</option>)}</select></label>}
      </header>
      <Tabs label="Client" active={client.name} onChange={(to) => { setName(to); remember("client", to); }} tabs={all.map((entry) => ({ id: entry.name, label: entry.name }))} />
      <div role="tabpanel" aria-label={client.name} class="instructions">
        <p>{client.note}</p>
        {client.blocks.map((block) => (
          <div key={block.title}>
            <h3>{block.title}</h3>
            <Code label={block.title}>{block.lines}</Code>
          </div>
        ))}
      </div>
    </section>
  );
}
