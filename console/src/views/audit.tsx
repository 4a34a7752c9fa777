import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { getJson } from "../api/client";
import type { AuditEntry } from "../api/types";
import { dateTime } from "../lib/format";
import { Button, Empty, Hostile, Trouble, useLoad } from "../ui/basics";

/** What was done through the console, by whom. */
export function AuditView(): JSX.Element {
  const [older, setOlder] = useState<AuditEntry[]>([]);
  const [next, setNext] = useState<string>();
  const [failure, setFailure] = useState<unknown>();
  const { data, error, again } = useLoad(async (signal) => {
    const page = await getJson<{ entries: AuditEntry[]; next?: string }>("/audit", { limit: 100 }, signal);
    setOlder([]);
    setNext(page.next);
    return page;
  }, "audit");
  const more = async () => {
    try {
      const page = await getJson<{ entries: AuditEntry[]; next?: string }>("/audit", { limit: 100, cursor: next });
      setOlder([...older, ...page.entries]);
      setNext(page.next);
    } catch (problem) {
      setFailure(problem);
    }
  };
  const entries = [...(data?.entries ?? []), ...older];
  return (
    <div class="page">
      <header class="page-head">
        <h1>Audit</h1>
        <p>What was done through this console and its API. Reading bodies and exporting is written down as well as changing.</p>
        <span class="spring" />
        <Button icon="replay" onClick={again}>Load again</Button>
      </header>
      {(error ?? failure) !== undefined && <Trouble error={error ?? failure} again={again} />}
      {data && entries.length === 0 && <Empty icon="audit" title="Nothing was done yet" />}
      {entries.length > 0 && (
        <div class="card flush">
          <table class="table">
            <thead><tr><th>When</th><th>Who</th><th>Role</th><th>From</th><th>What</th><th>On</th><th>Particulars</th></tr></thead>
            <tbody>
              {entries.map((entry, i) => (
                <tr key={i}>
                  <td class="mono">{dateTime(entry.at)}</td>
                  <td>{entry.name ? <Hostile text={entry.name} /> : <span class="faint">token</span>}</td>
                  <td>{entry.role}</td>
                  <td class="mono">{entry.from}</td>
                  <td><span class={entry.action.endsWith("refused") ? "chip bad" : "chip"}>{entry.action}</span></td>
                  <td class="mono break">{entry.target && <Hostile text={entry.target} />}</td>
                  <td class="break">{entry.detail && <Hostile text={entry.detail} />}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {next && <div class="more"><Button onClick={() => void more()}>Older</Button></div>}
        </div>
      )}
    </div>
  );
}
