// Changing traffic while debugging: breakpoints, and rules that change what passes.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { change, getJson } from "../../api/client";
import type { Breakpoint, ChangeAction, ChangeRule, Held } from "../../api/types";
import { count } from "../../lib/format";
import { plainKey } from "../../lib/keys";
import { held } from "../../state/held";
import { listen } from "../../state/live";
import { complain, go, now, readOnly, say, server } from "../../state/ui";
import { Ago, Button, Empty, Field, Hostile, Modal, Trouble, useLoad } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import { StatusChip } from "../traffic/columns";
import { ACTIONS, ActionFields, BLANK, describe, kindOf, type ActionKind } from "./actions";
import { release } from "./release";

export function ChangesView(): JSX.Element {
  const points = useLoad((signal) => getJson<{ breakpoints: Breakpoint[]; held: Held[] }>("/breakpoints", {}, signal), "breakpoints");
  const rules = useLoad((signal) => getJson<{ rules: ChangeRule[] }>("/changes", {}, signal), "changes");
  const [editPoint, setEditPoint] = useState<Breakpoint | "new">();
  const [editRule, setEditRule] = useState<ChangeRule | "new">();
  useEffect(() => {
    if (points.data) held.value = points.data.held;
  }, [points.data]);
  useEffect(
    () =>
      listen({
        rules: (event) => {
          if (event.what === "breakpoints") points.again();
          if (event.what === "changes") rules.again();
        },
      }),
    [],
  );
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
      const target = event.target as HTMLElement;
      const typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
      const key = plainKey({ key: event.key, ctrlKey: event.ctrlKey, metaKey: event.metaKey, altKey: event.altKey, typing });
      const first = held.value[0];
      const act: Record<string, (() => void) | false | undefined> = {
        a: first && (() => void release(first, { action: "go-on" }).then(points.again)),
        A: first && (() => void goOnWithAll().then(points.again)),
        X: first && (() => void release(first, { action: "drop" }).then(points.again)),
        e: first && (() => go("traffic", { flow: first.flow.id })),
        n: () => setEditRule("new"),
        b: () => setEditPoint("new"),
      };
      const run = key !== undefined && !typing && !readOnly.value && act[key];
      if (!run) return;
      event.preventDefault();
      run();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  });
  const features = server.value?.features;
  const act = async (what: () => Promise<unknown>, again: () => void) => {
    try {
      await what();
      again();
    } catch (error) {
      complain(error);
    }
  };
  return (
    <div class="page">
      <header class="page-head">
        <h1>Changes</h1>
        <p>For debugging: hold requests and responses to edit them, or change them by rule. What was changed is marked in Traffic and in the record.</p>
      </header>

      {held.value.length > 0 && (
        <section class="card flush attention">
          <header>
            <h2><Icon name="hold" /> Held now</h2>
            <span class="faint">When nobody looks at the console any more, everything goes on.</span>
            <span class="spring" />
            {held.value.length > 1 && <Button small disabled={readOnly.value} title="Let everything go on (A)" onClick={() => void goOnWithAll().then(points.again)}>Go on with all</Button>}
          </header>
          <table class="table">
            <tbody>
              {held.value.map((entry) => (
                <tr key={entry.flow.id}>
                  <td>{entry.phase}</td>
                  <td><StatusChip flow={entry.flow} /></td>
                  <td class="mono break"><b><Hostile text={entry.flow.method} /></b> <Hostile text={entry.flow.target.slice(0, 300)} /></td>
                  <td><Hostile text={entry.flow.identity} /></td>
                  <td class="num">{Math.max(0, Math.ceil((Date.parse(entry.deadline) - now.value) / 1000))} s</td>
                  <td class="actions">
                    <Button small icon="edit" onClick={() => go("traffic", { flow: entry.flow.id })}>Look, edit</Button>
                    <Button small kind="danger" disabled={readOnly.value} title="Refuse it (X: the first)" onClick={() => void release(entry, { action: "drop" }).then(points.again)}>Drop</Button>
                    <Button small kind="main" disabled={readOnly.value} title="Let it go on as it is (a: the first)" onClick={() => void release(entry, { action: "go-on" }).then(points.again)}>Go on</Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}

      <section class="card flush">
        <header>
          <h2>Breakpoints</h2>
          <span class="spring" />
          <Button icon="plus" small disabled={readOnly.value || features?.breakpoints === false} onClick={() => setEditPoint("new")}>Breakpoint</Button>
        </header>
        {points.error !== undefined && <Trouble error={points.error} again={points.again} />}
        {points.data?.breakpoints.length === 0 && <Empty icon="hold" title="No breakpoints"><p>A breakpoint holds flows that a filter finds, until you let them go on or its time is over.</p></Empty>}
        {points.data && points.data.breakpoints.length > 0 && (
          <table class="table">
            <thead><tr><th class="tight">On</th><th>Filter</th><th>Holds</th><th>For</th><th>Then</th><th class="right">Hits</th><th /></tr></thead>
            <tbody>
              {points.data.breakpoints.map((point) => (
                <tr key={point.id} class={point.enabled ? undefined : "dim"}>
                  <td><Switch on={point.enabled} label={`Breakpoint ${point.filter || "everything"}`} onChange={(enabled) => void act(() => change("PUT", `/breakpoints/${point.id}`, { ...bare(point), enabled }), points.again)} /></td>
                  <td class="break"><code>{point.filter || "everything"}</code></td>
                  <td>{point.phase === "both" ? "request and response" : point.phase}</td>
                  <td class="num">{point.timeoutMs / 1000} s</td>
                  <td>{point.onTimeout === "drop" ? "drop" : "go on"}</td>
                  <td class="right num">{count(point.hits)}</td>
                  <td class="actions">
                    <Button icon="edit" kind="quiet" small title="Edit" disabled={readOnly.value} onClick={() => setEditPoint(point)} />
                    <Button icon="trash" kind="quiet" small title="Remove" disabled={readOnly.value} onClick={() => void act(() => change("DELETE", `/breakpoints/${point.id}`), points.again)} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>

      <section class="card flush">
        <header>
          <h2>Change rules</h2>
          <span class="spring" />
          <Button icon="plus" small disabled={readOnly.value || features?.changes === false} onClick={() => setEditRule("new")}>Rule</Button>
        </header>
        {rules.error !== undefined && <Trouble error={rules.error} again={rules.again} />}
        {rules.data?.rules.length === 0 && <Empty icon="changes" title="No rules"><p>A rule sets or removes headers, rewrites targets, answers from a file, delays or blocks what a filter finds.</p></Empty>}
        {rules.data && rules.data.rules.length > 0 && (
          <table class="table">
            <thead><tr><th class="tight">On</th><th>Name</th><th>Filter</th><th>Does</th><th class="right">Hits</th><th>Last</th><th /></tr></thead>
            <tbody>
              {rules.data.rules.map((rule) => (
                <tr key={rule.id} class={rule.enabled ? undefined : "dim"}>
                  <td><Switch on={rule.enabled} disabled={rule.source === "config"} label={`Rule ${rule.name}`} onChange={(enabled) => void act(() => change("PUT", `/changes/${rule.id}`, { ...bareRule(rule), enabled }), rules.again)} /></td>
                  <td><Hostile text={rule.name} />{rule.source === "config" && <span class="chip">from the config</span>}</td>
                  <td class="break"><code>{rule.filter || "everything"}</code></td>
                  <td><ul class="plainlist">{rule.actions.map((action, i) => <li key={i}><Hostile text={describe(action)} /></li>)}</ul></td>
                  <td class="right num">{count(rule.hits)}</td>
                  <td><Ago time={rule.lastHit} /></td>
                  <td class="actions">
                    <Button icon="edit" kind="quiet" small title="Edit" disabled={readOnly.value || rule.source === "config"} onClick={() => setEditRule(rule)} />
                    <Button icon="trash" kind="quiet" small title="Remove" disabled={readOnly.value || rule.source === "config"} onClick={() => void act(() => change("DELETE", `/changes/${rule.id}`), rules.again)} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      {editPoint && <BreakpointDialog point={editPoint} onClose={() => setEditPoint(undefined)} onDone={points.again} />}
      {editRule && <RuleDialog rule={editRule} onClose={() => setEditRule(undefined)} onDone={rules.again} />}
    </div>
  );
}

async function goOnWithAll(): Promise<void> {
  for (const entry of held.value) await release(entry, { action: "go-on" });
}

function Switch({ on, label, onChange, disabled }: { on: boolean; label: string; onChange: (on: boolean) => void; disabled?: boolean }): JSX.Element {
  return <button type="button" role="switch" class="switch" aria-checked={on} aria-label={label} disabled={(disabled ?? false) || readOnly.value} onClick={() => onChange(!on)}><i /></button>;
}

function bare(point: Breakpoint): Omit<Breakpoint, "id" | "hits"> {
  return { filter: point.filter, phase: point.phase, enabled: point.enabled, timeoutMs: point.timeoutMs, onTimeout: point.onTimeout };
}

function bareRule(rule: ChangeRule): Pick<ChangeRule, "name" | "filter" | "enabled" | "actions"> {
  return { name: rule.name, filter: rule.filter, enabled: rule.enabled, actions: rule.actions };
}

function BreakpointDialog({ point, onClose, onDone }: { point: Breakpoint | "new"; onClose: () => void; onDone: () => void }): JSX.Element {
  const [failure, setFailure] = useState<unknown>();
  const known = point === "new" ? undefined : point;
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const body = {
      filter: String(data.get("filter")).trim(),
      phase: String(data.get("phase")),
      enabled: known?.enabled ?? true,
      timeoutMs: Math.round(Number(data.get("timeout")) * 1000),
      onTimeout: String(data.get("onTimeout")),
    };
    try {
      if (known) await change("PUT", `/breakpoints/${known.id}`, body);
      else await change("POST", "/breakpoints", body);
      say(known ? "Changed" : "Added");
      onDone();
      onClose();
    } catch (error) {
      setFailure(error);
    }
  };
  return (
    <Modal title={known ? "Edit the breakpoint" : "New breakpoint"} onClose={onClose}>
      <form class="form" onSubmit={(event) => void save(event)}>
        {failure !== undefined && <Trouble error={failure} />}
        <Field label="Filter" wide hint="The language of Traffic. At the request, only what the request shows is known.">{(id) => <input id={id} name="filter" class="mono" defaultValue={known?.filter ?? ""} placeholder="host:api.example.com method:POST" spellcheck={false} autofocus />}</Field>
        <Field label="Hold">{(id) => <select id={id} name="phase" defaultValue={known?.phase ?? "request"}><option value="request" selected={known?.phase === "request"}>the request</option><option value="response" selected={known?.phase === "response"}>the response</option><option value="both" selected={known?.phase === "both"}>both</option></select>}</Field>
        <Field label="For seconds">{(id) => <input id={id} name="timeout" type="number" min={1} max={600} defaultValue={String((known?.timeoutMs ?? 60_000) / 1000)} required />}</Field>
        <Field label="Then">{(id) => <select id={id} name="onTimeout"><option value="go-on" selected={known?.onTimeout !== "drop"}>go on</option><option value="drop" selected={known?.onTimeout === "drop"}>drop</option></select>}</Field>
        <div class="form-end"><Button onClick={onClose}>Cancel</Button><Button submit kind="main">Save</Button></div>
      </form>
    </Modal>
  );
}

function RuleDialog({ rule, onClose, onDone }: { rule: ChangeRule | "new"; onClose: () => void; onDone: () => void }): JSX.Element {
  const known = rule === "new" ? undefined : rule;
  const [actions, setActions] = useState<ChangeAction[]>(known?.actions ?? [BLANK.setRequestHeader]);
  const [failure, setFailure] = useState<unknown>();
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const body = { name: String(data.get("name")).trim(), filter: String(data.get("filter")).trim(), enabled: known?.enabled ?? true, actions };
    try {
      if (known) await change("PUT", `/changes/${known.id}`, body);
      else await change("POST", "/changes", body);
      say(known ? "Changed" : "Added");
      onDone();
      onClose();
    } catch (error) {
      setFailure(error);
    }
  };
  const set = (at: number, action: ChangeAction) => setActions(actions.map((old, i) => (i === at ? action : old)));
  return (
    <Modal title={known ? "Edit the rule" : "New change rule"} onClose={onClose} wide>
      <form class="form" onSubmit={(event) => void save(event)}>
        {failure !== undefined && <Trouble error={failure} />}
        <Field label="Name">{(id) => <input id={id} name="name" defaultValue={known?.name ?? ""} maxLength={128} required autofocus />}</Field>
        <Field label="Filter" wide>{(id) => <input id={id} name="filter" class="mono" defaultValue={known?.filter ?? ""} placeholder="host:api.example.com path:/v1/" spellcheck={false} />}</Field>
        <fieldset>
          <legend>Does</legend>
          {actions.map((action, i) => (
            <div key={i} class="action-row">
              <select aria-label="Action" value={kindOf(action)} onChange={(event) => set(i, BLANK[event.currentTarget.value as ActionKind])}>
                {Object.entries(ACTIONS).map(([value, label]) => <option key={value} value={value} selected={value === kindOf(action)}>{label}</option>)}
              </select>
              <ActionFields action={action} onChange={(changed) => set(i, changed)} />
              <Button icon="close" kind="quiet" small title="Remove this action" disabled={actions.length === 1} onClick={() => setActions(actions.filter((_, j) => j !== i))} />
            </div>
          ))}
          <Button icon="plus" small onClick={() => setActions([...actions, BLANK.setRequestHeader])}>Action</Button>
        </fieldset>
        <div class="form-end"><Button onClick={onClose}>Cancel</Button><Button submit kind="main">Save</Button></div>
      </form>
    </Modal>
  );
}
