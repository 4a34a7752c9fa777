// WebSocket messages, gRPC frames and server-sent events.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { getJson } from "../../api/client";
import type { Flow, Message, Messages as Page } from "../../api/types";
import { decodeProto, fromBase64, hexRows, type ProtoField } from "../../lib/binary";
import { bytes, duration, whole } from "../../lib/format";
import { visible } from "../../lib/text";
import { listen } from "../../state/live";
import { complain } from "../../state/ui";
import { Button, Hostile } from "../../ui/basics";
import { JsonBody } from "./body";

export function Messages({ flow, only }: { flow: Flow; only?: "up" | "down" }): JSX.Element {
  const [messages, setMessages] = useState<Message[]>([]);
  const [page, setPage] = useState<Page>();
  const [open, setOpen] = useState<number>();
  const [search, setSearch] = useState("");

  const load = async (after: number | undefined) => {
    try {
      const got = await getJson<Page>(`/flows/${flow.id}/messages`, { after, limit: 500 });
      setPage(got);
      setMessages((known) => {
        const last = known[known.length - 1]?.index ?? 0;
        return after === undefined ? got.messages : [...known, ...got.messages.filter((message) => message.index > last)];
      });
    } catch (error) {
      complain(error);
    }
  };
  const last = messages[messages.length - 1]?.index;
  useEffect(() => void load(undefined), [flow.id]);
  useEffect(() => listen({ flows: (event) => event.flows.some((changed) => changed.id === flow.id && (changed.messages ?? 0) > (last ?? 0)) && messages.length < 2000 && void load(last) }), [flow.id, last]);

  const shown = messages.filter((message) => (!only || message.direction === only) && (search === "" || (message.text ?? "").toLowerCase().includes(search.toLowerCase())));
  const more = page !== undefined && last !== undefined && last < page.total;
  return (
    <div class="messages">
      <div class="messages-head">
        {!only && <input type="search" aria-label="Search the messages that are loaded" placeholder="Search these messages" value={search} onInput={(event) => setSearch(event.currentTarget.value)} />}
        <span class="faint">{whole(shown.length)}{page && ` of ${whole(page.total)}`}</span>
        {page && page.dropped > 0 && <span class="chip bad">{whole(page.dropped)} not kept</span>}
      </div>
      {shown.length === 0 && <p class="faint pad">No messages.</p>}
      <ol>
        {shown.map((message) => (
          <li key={message.index} class={`message ${message.direction}`}>
            <button type="button" class="message-line" aria-expanded={open === message.index} onClick={() => setOpen(open === message.index ? undefined : message.index)}>
              <span class="arrow" role="img" aria-label={message.direction === "up" ? "from the client" : "to the client"}>{message.direction === "up" ? "↑" : "↓"}</span>
              <span class="num faint">{duration(message.atMs)}</span>
              <span class="chip">{message.event ? visible(message.event) : message.type}{message.closeCode !== undefined && ` ${message.closeCode}`}</span>
              <span class="preview">{preview(message)}</span>
              <span class="num faint">{bytes(message.size)}</span>
            </button>
            {open === message.index && <MessageBody message={message} />}
          </li>
        ))}
      </ol>
      {more && <Button small onClick={() => void load(last)}>More</Button>}
    </div>
  );
}

function preview(message: Message): string {
  if (message.text !== undefined) return visible(message.text.slice(0, 300));
  if (message.type === "grpc" && message.base64) {
    const fields = decodeProto(fromBase64(message.base64));
    if (fields) return visible(fields.map((field) => `${field.number}: ${field.fields ? "{…}" : field.value}`).join("  ").slice(0, 300));
  }
  return message.base64 ? hexRows(fromBase64(message.base64).subarray(0, 16))[0]?.hex.trim() ?? "" : "";
}

function MessageBody({ message }: { message: Message }): JSX.Element {
  const text = message.text;
  const data = message.base64 !== undefined ? fromBase64(message.base64) : undefined;
  const fields = message.type === "grpc" && data ? decodeProto(data) : undefined;
  return (
    <div class="message-body">
      {text !== undefined && (/^\s*[[{]/.test(text) ? <JsonBody text={text} /> : <pre tabIndex={0}>{visible(text).replace(/\\n/g, "\n")}</pre>)}
      {fields && <ProtoTree fields={fields} />}
      {data && !fields && <pre class="hexpre" tabIndex={0}>{hexRows(data.subarray(0, 65_536)).map((row) => `${row.offset}  ${row.hex}  ${row.text}`).join("\n")}</pre>}
      {message.truncated && <p class="tip">Cut: of {bytes(message.size)}.</p>}
      {message.compressed && <span class="chip">was compressed</span>}
    </div>
  );
}

function ProtoTree({ fields }: { fields: ProtoField[] }): JSX.Element {
  return (
    <ul class="proto">
      {fields.slice(0, 500).map((field, i) => (
        <li key={i}>
          <span class="jindex">{field.number}</span> <span class="faint">{field.wire}</span>{" "}
          {field.fields ? <ProtoTree fields={field.fields} /> : <Hostile text={field.value} />}
        </li>
      ))}
    </ul>
  );
}
