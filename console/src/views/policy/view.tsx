// Policy: the rules and what they met, what audit mode would have denied, explain, suggestions.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { change, getJson } from "../../api/client";
import type { AuditDenial, ExplainRequest, Policy, PolicyTrace, PolicyView as View, Rule, Suggestion } from "../../api/types";
import { count, rate, whole } from "../../lib/format";
import { quote } from "../../lib/filter";
import { listen } from "../../state/live";
import { go, params } from "../../state/ui";
import { Ago, Button, Code, Empty, Field, Hostile, Tabs, Trouble, useLoad } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import { TraceView } from "../traffic/trace";

const TABS = ["rules", "audit", "explain", "suggest"] as const;
type Tab = (typeof TABS)[number];

export function PolicyView(): JSX.Element {
  const tab = TABS.includes(params.value.tab as Tab) ? (params.value.tab as Tab) : "rules";
  const view = useLoad((signal) => getJson<View>("/policy", {}, signal), "policy");
  const audit = useLoad((signal) => getJson<{ denials: AuditDenial[] }>("/policy/audit", {}, signal), "audit");
  const [kept, setKept] = useState<View>();
  useEffect(() => {
    if (view.data) setKept(view.data);
  }, [view.data]);
  useEffect(() => {
    const stop = listen({ rules: (event) => event.what === "policy" && view.again() });
    const timer = setInterval(view.again, 10_000);
    return () => {
      stop();
      clearInterval(timer);
    };
  }, []);
  return (
    <div class="page">
      <header class="page-head">
        <h1>Policy</h1>
        {kept && <p>Generation {kept.generation}{kept.source && <> from <code>{kept.source}</code></>}, loaded <Ago time={kept.loaded} />. What no rule decides is <b>{kept.default === "Allow" ? "allowed" : "denied"}</b>.</p>}
      </header>
      <Tabs
        label="Policy"
        active={tab}
        onChange={(to) => go("policy", { tab: to === "rules" ? undefined : to })}
        tabs={[{ id: "rules", label: "Rules" }, { id: "audit", label: "Audit mode", badge: audit.data && audit.data.denials.length > 0 ? audit.data.denials.length : undefined }, { id: "explain", label: "Explain" }, { id: "suggest", label: "Suggestions" }]}
      />
      {tab === "rules" && (
        <>
          {view.error !== undefined && <Trouble error={view.error} again={view.again} />}
          {kept && <Rules view={kept} />}
        </>
      )}
      {tab === "audit" && (
        <>
          {audit.error !== undefined && <Trouble error={audit.error} again={audit.again} />}
          {audit.data && <Denials denials={audit.data.denials} />}
        </>
      )}
      {tab === "explain" && <Explain />}
      {tab === "suggest" && <Suggestions />}
    </div>
  );
}

function Rules({ view }: { view: View }): JSX.Element {
  const most = Math.max(1, view.defaultHits, ...view.policies.flatMap((policy) => policy.rules.map((rule) => rule.hits)));
  return (
    <div class="policies">
      {view.notes && view.notes.length > 0 && (
        <section class="card notes"><h2><Icon name="warn" /> Lint</h2><ul>{view.notes.map((note, i) => <li key={i}><Hostile text={note} /></li>)}</ul></section>
      )}
      {view.policies.map((policy) => <PolicyCard key={`${policy.kind}/${policy.namespace}/${policy.name}`} policy={policy} most={most} />)}
      <section class="card flush default-policy">
        <header><h2>Default: {view.default}</h2><span class="spring" /><span class="num">{whole(view.defaultHits)} flows</span></header>
      </section>
      {view.policies.length === 0 && <Empty icon="policy" title="No policies"><p>Only the default and the built-in guard decide. Policies stand under <code>policies:</code> in the configuration.</p></Empty>}
    </div>
  );
}

function PolicyCard({ policy, most }: { policy: Policy; most: number }): JSX.Element {
  return (
    <section class="card flush policy-card">
      <header>
        <h2><Hostile text={policy.name} /></h2>
        <span class="chip">{policy.kind}</span>
        {policy.namespace && <span class="chip">namespace <Hostile text={policy.namespace} /></span>}
        {policy.priority !== undefined && <span class="faint">priority {policy.priority}</span>}
        {policy.mode === "Audit" && <span class="chip audit">Audit</span>}
        {!policy.from?.length && <span class="faint">for everybody</span>}
        <span class="spring" />
        {policy.contact && <span class="faint">Ask <Hostile text={policy.contact} /></span>}
        <span class="num">{whole(policy.hits)} flows</span>
      </header>
      {policy.from && policy.from.length > 0 && <p class="from"><span class="faint">From</span> {policy.from.map((who, i) => <code key={i}><Hostile text={who} /></code>)}</p>}
      <table class="table rules">
        <colgroup><col class="w-rule" /><col class="w-action" /><col /><col class="w-if" /><col class="w-tls" /><col class="w-hits" /><col class="w-bar" /><col class="w-rate" /><col class="w-last" /></colgroup>
        <thead><tr><th>Rule</th><th>Action</th><th>To</th><th>If</th><th>TLS</th><th class="right">Hits</th><th /><th class="right">A minute</th><th>Last</th></tr></thead>
        <tbody>{policy.rules.map((rule) => <RuleRow key={rule.name} rule={rule} most={most} policy={policy} />)}</tbody>
      </table>
    </section>
  );
}

function RuleRow({ rule, most, policy }: { rule: Rule; most: number; policy: Policy }): JSX.Element {
  return (
    <tr class={rule.hits === 0 ? "unused" : undefined}>
      <td class="break">
        <a href="#traffic" title="Flows that it decided" onClick={(event) => { event.preventDefault(); go("traffic", { filter: policy.kind === "guard" ? "reason:denied-by-guard" : `policy:${quote(policy.name)} rule:${quote(rule.name)}` }); }}><Hostile text={rule.name} /></a>
        {rule.line && <small class="faint">{rule.line}</small>}
        {rule.reason && <small class="faint">“<Hostile text={rule.reason} />”</small>}
      </td>
      <td><span class={`chip ${rule.action.toLowerCase()}`}>{rule.action}</span></td>
      <td class="break tolist">{rule.to?.map((to, i) => <code key={i}><Hostile text={to} /></code>)}{rule.toMore ? <span class="faint">and {count(rule.toMore)} more</span> : null}{!rule.to?.length && !rule.toMore && <span class="faint">anywhere</span>}</td>
      <td class="break tolist">{rule.conditions?.map((condition, i) => <code key={i}><Hostile text={condition} /></code>)}{rule.rateLimit && <code>{rule.rateLimit}</code>}</td>
      <td>{rule.tls && <span class={`treat ${rule.tls.toLowerCase()}`}><Icon name={rule.tls === "Intercept" ? "intercept" : "tunnel"} size={14} /> {rule.tls}</span>}{rule.capture && rule.capture !== "None" && <small class="faint">{rule.capture}</small>}</td>
      <td class="right num">{rule.hits === 0 ? <span class="chip">never</span> : whole(rule.hits)}{rule.auditDenials ? <small class="warn-text">{whole(rule.auditDenials)} audited</small> : null}</td>
      <td class="barcell"><meter class={`meter ${rule.action.toLowerCase()}`} min={0} max={Math.log1p(most)} value={Math.log1p(rule.hits)} aria-label={`${rule.hits} hits`} /></td>
      <td class="right num faint">{rule.perMinute ? rate(rule.perMinute) : ""}</td>
      <td><Ago time={rule.lastHit} /></td>
    </tr>
  );
}

function Denials({ denials }: { denials: AuditDenial[] }): JSX.Element {
  if (denials.length === 0) return <Empty icon="check" title="Audit mode would have denied nothing"><p>Policies with <code>mode: Audit</code> record what they would deny, and let it through.</p></Empty>;
  return (
    <section class="card flush">
      <header><h2>Would have been denied</h2><span class="faint">was let through, as the policy is in audit mode</span></header>
      <table class="table">
        <thead><tr><th>Identity</th><th>Destination</th><th>Policy / rule</th><th class="right">Flows</th><th>First</th><th>Last</th><th /></tr></thead>
        <tbody>
          {denials.map((denial, i) => (
            <tr key={i}>
              <td class="break"><Hostile text={denial.identity} /></td>
              <td class="break"><Hostile text={denial.destination} mono /></td>
              <td class="break"><Hostile text={denial.policy} /> <span class="faint">/</span> <Hostile text={denial.rule} /></td>
              <td class="right num">{whole(denial.count)}</td>
              <td><Ago time={denial.firstSeen} /></td>
              <td><Ago time={denial.lastSeen} /></td>
              <td class="actions">{denial.lastFlow && <Button small onClick={() => go("traffic", { filter: "is:audit", flow: denial.lastFlow })}>Last flow</Button>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Explain(): JSX.Element {
  const [trace, setTrace] = useState<PolicyTrace>();
  const [failure, setFailure] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(data.get(name) ?? "").trim() || undefined;
    const who: ExplainRequest["as"] = { user: text("user"), groups: text("groups")?.split(/[\s,]+/), certificate: text("certificate"), client: text("client"), namespace: text("namespace"), serviceAccount: text("serviceAccount") };
    const given = Object.fromEntries(Object.entries(who).filter(([, value]) => value !== undefined)) as NonNullable<ExplainRequest["as"]>;
    const body: ExplainRequest = { method: text("method") ?? "GET", url: text("url") ?? "" };
    if (Object.keys(given).length > 0) body.as = given;
    setBusy(true);
    setFailure(undefined);
    try {
      setTrace(await change<PolicyTrace>("POST", "/policy/explain", body));
    } catch (error) {
      setFailure(error);
      setTrace(undefined);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="explain">
      <form class="card form" onSubmit={(event) => void submit(event)}>
        <h2>What would happen to this request?</h2>
        <div class="editor-line">
          <input name="method" aria-label="Method" class="mono method-field" defaultValue="GET" list="methods" spellcheck={false} />
          <datalist id="methods">{["GET", "POST", "PUT", "DELETE", "CONNECT"].map((method) => <option key={method} value={method} />)}</datalist>
          <input name="url" aria-label="URL, or host:port for a tunnel" class="mono" placeholder="https://api.example.com/v1/orders, or host:port" required spellcheck={false} autofocus />
        </div>
        <fieldset class="who">
          <legend>As</legend>
          <Field label="User">{(id) => <input id={id} name="user" spellcheck={false} />}</Field>
          <Field label="Groups">{(id) => <input id={id} name="groups" placeholder="build, deploy" spellcheck={false} />}</Field>
          <Field label="Certificate name">{(id) => <input id={id} name="certificate" placeholder="spiffe://…" spellcheck={false} />}</Field>
          <Field label="Client address">{(id) => <input id={id} name="client" placeholder="10.1.2.3" spellcheck={false} />}</Field>
          <Field label="Namespace">{(id) => <input id={id} name="namespace" spellcheck={false} />}</Field>
          <Field label="Service account">{(id) => <input id={id} name="serviceAccount" spellcheck={false} />}</Field>
        </fieldset>
        <div class="form-end"><span class="faint">Nothing is sent and nothing is counted.</span><span class="spring" /><Button submit kind="main" disabled={busy}>Explain</Button></div>
      </form>
      {failure !== undefined && <Trouble error={failure} />}
      {trace && <section class="card" aria-live="polite"><TraceView trace={trace} /></section>}
    </div>
  );
}

function Suggestions(): JSX.Element {
  const { data, error, again } = useLoad((signal) => getJson<{ suggestions: Suggestion[] }>("/policy/suggest", {}, signal), "suggest");
  const [open, setOpen] = useState<string>();
  if (error !== undefined) return <Trouble error={error} again={again} />;
  if (!data) return <p class="faint pad">Looking at what was seen…</p>;
  if (data.suggestions.length === 0) return <Empty icon="policy" title="Nothing to suggest yet"><p>Suggestions are made from the traffic of each identity. Let some pass.</p></Empty>;
  const chosen = data.suggestions.find((suggestion) => suggestion.identity === open) ?? data.suggestions[0]!;
  return (
    <div class="suggest">
      <nav class="card flush" aria-label="Identities">
        <ul>
          {data.suggestions.map((suggestion) => (
            <li key={suggestion.identity}>
              <button type="button" aria-current={suggestion === chosen} onClick={() => setOpen(suggestion.identity)}>
                <Hostile text={suggestion.identity} />
                <small class="faint">{whole(suggestion.destinations.length)} destinations{suggestion.flows !== undefined && `, ${count(suggestion.flows)} flows`}</small>
              </button>
            </li>
          ))}
        </ul>
      </nav>
      <div>
        <section class="card">
          <header><h2>Smallest reasonable allow-list</h2><span class="spring" />{chosen.since && <span class="faint">from traffic since <Ago time={chosen.since} /></span>}</header>
          <Code label="Policy as YAML">{chosen.yaml}</Code>
          <p class="faint">Review it, then put it into <code>policies:</code>. With <code>mode: Audit</code> first, it denies nothing.</p>
        </section>
        <section class="card flush">
          <header><h2>Why</h2></header>
          <table class="table">
            <thead><tr><th>Host</th><th>Ports</th><th class="right">Flows</th><th>Last</th></tr></thead>
            <tbody>
              {chosen.destinations.map((destination, i) => (
                <tr key={i}>
                  <td class="break"><Hostile text={destination.host} mono />{destination.collapsed ? <small class="faint">stands for {destination.collapsed} names</small> : null}</td>
                  <td class="num">{destination.ports.join(", ")}</td>
                  <td class="right num">{whole(destination.count)}</td>
                  <td><Ago time={destination.lastSeen} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </div>
    </div>
  );
}
