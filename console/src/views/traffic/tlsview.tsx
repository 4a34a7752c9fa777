import type { JSX } from "preact";
import { useState } from "preact/hooks";

import type { Certificate, Flow, TlsSide } from "../../api/types";
import { dateOnly, duration } from "../../lib/format";
import { Button, copy, Facts, Hostile, Ago } from "../../ui/basics";
import { Icon } from "../../ui/icons";

/** The TLS of both sides, and who vouched for whom. */
export function TlsView({ flow }: { flow: Flow }): JSX.Element {
  const sides: [string, string, TlsSide | undefined][] = [
    ["Client to the proxy", "The proxy's own TLS listener", flow.clientTls],
    [flow.treatment === "tunnel" ? "Inside the tunnel" : "Client and Egret", flow.treatment === "tunnel" ? "What ClientHello shows; the rest was not seen" : "With a certificate that Egret's CA made", flow.downstreamTls],
    ["Egret and origin", "With the origin's own certificate", flow.upstreamTls],
  ];
  const there = sides.filter((side) => side[2] !== undefined);
  if (there.length === 0) return <p class="faint pad">{flow.treatment === "tunnel" ? "No TLS was seen in this tunnel." : "No side of this flow spoke TLS."}</p>;
  return <div class="tls-sides">{there.map(([title, note, side]) => <Side key={title} title={title} note={note} side={side!} />)}</div>;
}

function Side({ title, note, side }: { title: string; note: string; side: TlsSide }): JSX.Element {
  return (
    <section class="card">
      <h3>{title} <small>{note}</small></h3>
      {side.verified === false && <p class="verdict upstream"><Icon name="warn" size={14} /> {side.verifyError ? <Hostile text={side.verifyError} /> : "The chain was not trusted."}</p>}
      <Facts
        rows={[
          side.version && ["Version", <>TLS {side.version}{side.resumed && <span class="chip">resumed</span>}{side.verified && <span class="chip good">verified</span>}{side.minted && <span class="chip">made by Egret</span>}</>],
          side.cipherSuite && ["Cipher suite", <span class="mono">{side.cipherSuite}</span>],
          side.group && ["Key exchange", <span class="mono">{side.group}</span>],
          side.sni !== undefined && ["Server name", <Hostile text={side.sni} mono />],
          side.ech && ["ECH", "ClientHello was encrypted"],
          (side.alpn ?? side.offeredAlpn) !== undefined && ["ALPN", <>{side.alpn ? <b class="mono"><Hostile text={side.alpn} /></b> : <span class="faint">none</span>}{side.offeredAlpn && <span class="faint"> of <Hostile text={side.offeredAlpn.join(", ")} /></span>}</>],
          side.offeredVersions && ["Offered", side.offeredVersions.map((version) => `TLS ${version}`).join(", ")],
          side.stapledOcsp && ["Stapled OCSP", side.stapledOcsp],
          side.ja4 && ["JA4", <span class="mono">{side.ja4}</span>],
          side.handshakeMs !== undefined && ["Handshake", <span class="num">{duration(side.handshakeMs)}</span>],
        ]}
      />
      {side.chain && side.chain.length > 0 && (
        <ol class="chain" aria-label="Certificate chain, leaf first">
          {side.chain.map((certificate, i) => <li key={i}><CertificateCard certificate={certificate} open={i === 0} role={i === 0 ? "Leaf" : i === side.chain!.length - 1 && certificate.subject === certificate.issuer ? "Root" : "Intermediate"} /></li>)}
        </ol>
      )}
    </section>
  );
}

/** One certificate, folded or not. */
export function CertificateCard({ certificate, open = false, role }: { certificate: Certificate; open?: boolean; role?: string }): JSX.Element {
  const [unfolded, setUnfolded] = useState(open);
  const ended = Date.parse(certificate.notAfter) < Date.now();
  const early = Date.parse(certificate.notBefore) > Date.now();
  return (
    <div class="certificate">
      <button type="button" class="fold" aria-expanded={unfolded} onClick={() => setUnfolded(!unfolded)}>
        <Icon name="chevron" size={12} />
        {role && <span class="chip">{role}</span>}
        <span class="subject"><Hostile text={certificate.subject || "(no subject)"} /></span>
        <span class={ended || early ? "chip bad" : "faint"}>{ended ? "ended" : early ? "not valid yet" : "until"} {dateOnly(ended || !early ? certificate.notAfter : certificate.notBefore)}</span>
      </button>
      {unfolded && (
        <>
          <Facts
            rows={[
              ["Issuer", <Hostile text={certificate.issuer} />],
              certificate.sans && ["Names", <span class="sans">{certificate.sans.slice(0, 60).map((san, i) => <code key={i}><Hostile text={san} /></code>)}{certificate.sans.length > 60 && <span class="faint">and {certificate.sans.length - 60} more</span>}</span>],
              ["Valid", <>{dateOnly(certificate.notBefore)} to {dateOnly(certificate.notAfter)} <span class="faint">(<Ago time={certificate.notAfter} />)</span></>],
              certificate.key && ["Key", <>{certificate.key}{certificate.ca && <span class="chip">CA</span>}</>],
              certificate.signature && ["Signature", certificate.signature],
              ["Serial", <Hostile text={certificate.serial} mono />],
              ["SHA-256", <span class="mono break">{certificate.sha256.replace(/(.{2})(?=.)/g, "$1:")}</span>],
            ]}
          />
          {certificate.pem && <Button icon="copy" small onClick={() => void copy(certificate.pem!, "PEM copied")}>Copy PEM</Button>}
        </>
      )}
    </div>
  );
}
