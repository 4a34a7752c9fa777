// A body, shown as what it is. Captured bytes become text nodes, or, if their first bytes are those of a raster image,
// an image from a blob whose type is set here. Nothing else of the browser ever reads them.
import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { getBytes, getJson, url } from "../../api/client";
import type { BodyInfo, BodyText, Flow, Side } from "../../api/types";
import { hexRows, parseForm, parseMultipart } from "../../lib/binary";
import { bytes, whole } from "../../lib/format";
import { imageType } from "../../lib/images";
import { JsonError, jsonRows, parseJson, prettyJson, type JsonNode, type JsonRow } from "../../lib/jsontree";
import { visible, visibleLines } from "../../lib/text";
import { Button, copy, Hostile, Trouble, useLoad } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import { Messages } from "./messages";

type Form = "json" | "form" | "multipart" | "image" | "grpc" | "text" | "hex";
const LABELS: Record<Form, string> = { json: "JSON", form: "Form", multipart: "Parts", image: "Image", grpc: "gRPC", text: "Text", hex: "Hex" };
const WHY: Record<string, string> = {
  "capture-limit": "The policy keeps no more of a body than this.",
  "decode-limit": "Decoding was ended at the bound for viewing.",
  length: "Cut here for showing.",
  "not-spilled": "The bound for bodies on disk was reached, the rest was not kept.",
};
/** Bytes loaded for a hex dump at first. */
const HEX_PAGE = 16_384;
const IMAGE_LIMIT = 20_000_000;
/** Lines and characters of text that are put on the page. */
const TEXT_LIMIT = 400_000;

function formsOf(info: BodyInfo): Form[] {
  const forms: Form[] = [];
  if (info.kind === "json") forms.push("json");
  if (info.kind === "form") forms.push("form");
  if (info.kind === "multipart") forms.push("multipart");
  if (info.image) forms.push("image");
  if (info.kind === "grpc") forms.push("grpc");
  if (!["image", "grpc", "binary"].includes(info.kind)) forms.push("text");
  forms.push("hex");
  if (["grpc", "binary"].includes(info.kind)) forms.push("text");
  return forms;
}

export function Body({ flow, side, info }: { flow: Flow; side: Side; info: BodyInfo }): JSX.Element {
  const forms = formsOf(info);
  const [chosen, setChosen] = useState<Form>();
  const form = chosen && forms.includes(chosen) ? chosen : forms[0]!;
  const path = `/flows/${flow.id}/${side}`;
  const empty = info.size === 0 && info.captured === 0;
  return (
    <section class="block">
      <header>
        <span class="foldtitle">Body</span>
        <span class="faint">
          {bytes(info.size)}
          {info.encodings && info.encodings.length > 0 && <> · <Hostile text={info.encodings.join(", ")} />{info.decodedSize !== undefined && ` → ${bytes(info.decodedSize)}`}</>}
          {info.contentType && <> · <Hostile text={info.contentType} /></>}
        </span>
        <span class="spring" />
        {!empty && info.captured > 0 && (
          <>
            <div class="segments" role="group" aria-label="Show the body as">
              {forms.map((name) => <button key={name} type="button" aria-pressed={name === form} onClick={() => setChosen(name)}>{LABELS[name]}</button>)}
            </div>
            <a class="button quiet small iconic" href={url(`${path}/body`)} download={`${flow.id}-${side}.bin`} title="Download" aria-label="Download the body"><Icon name="download" size={13} /></a>
          </>
        )}
      </header>
      {info.truncated && <p class="tip">{whole(info.captured)} of {whole(info.size)} bytes. {WHY[info.truncated]}</p>}
      {info.decodeError && <p class="tip"><Icon name="warn" size={13} /> <Hostile text={info.decodeError} /></p>}
      {empty ? <p class="faint pad">Empty.</p>
      : info.captured === 0 ? <p class="faint pad">Not captured.</p>
      : form === "hex" ? <HexBody path={path} />
      : form === "image" ? <ImageBody path={path} />
      : form === "grpc" ? <Messages flow={flow} only={side === "request" ? "up" : "down"} />
      : <TextBody path={path} form={form} contentType={info.contentType ?? ""} />}
    </section>
  );
}

function TextBody({ path, form, contentType }: { path: string; form: Form; contentType: string }): JSX.Element {
  const { data, error, again } = useLoad((abort) => getJson<BodyText>(`${path}/text`, {}, abort), path);
  if (error !== undefined) return <Trouble error={error} again={again} />;
  if (!data) return <p class="faint pad">Loading…</p>;
  return (
    <>
      {form === "json" && <JsonBody text={data.text} />}
      {form === "form" && <FormTable rows={parseForm(data.text)} />}
      {form === "multipart" && <FormTable rows={parseMultipart(data.text, contentType).map((part) => ({ name: part.filename !== undefined ? `${part.name} (${part.filename})` : part.name, value: part.text }))} />}
      {form === "text" && <PlainText text={data.text} />}
      {data.truncated && <p class="tip">{WHY[data.truncated]} <a href={url(`${path}/body`)} download="">Download all of it</a></p>}
      {data.replaced && <p class="tip">Some bytes are not {data.charset}. Hex shows them.</p>}
    </>
  );
}

function PlainText({ text }: { text: string }): JSX.Element {
  const shown = visibleLines(text.length > TEXT_LIMIT ? text.slice(0, TEXT_LIMIT) : text);
  return (
    <div class="textbody">
      <Button icon="copy" kind="quiet" small title="Copy the body" onClick={() => void copy(text)} />
      <pre tabIndex={0}>{shown}</pre>
      {text.length > TEXT_LIMIT && <p class="tip">The first {whole(TEXT_LIMIT)} of {whole(text.length)} characters.</p>}
    </div>
  );
}

function FormTable({ rows }: { rows: { name: string; value: string }[] }): JSX.Element {
  if (rows.length === 0) return <p class="faint pad">No fields.</p>;
  return (
    <dl class="headers">
      {rows.slice(0, 2000).map((row, i) => (
        <div key={i}>
          <dt><bdi>{visible(row.name)}</bdi></dt>
          <dd class="lines">{visibleLines(row.value.slice(0, 20_000))}</dd>
        </div>
      ))}
    </dl>
  );
}

/** JSON as a tree that folds. */
export function JsonBody({ text }: { text: string }): JSX.Element {
  const parsed = useMemo<{ node?: JsonNode; error?: JsonError }>(() => {
    try {
      return { node: parseJson(text) };
    } catch (error) {
      return { error: error as JsonError };
    }
  }, [text]);
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());
  const [limit, setLimit] = useState(1000);
  if (!parsed.node) {
    return (
      <>
        <p class="tip"><Icon name="warn" size={13} /> Not valid JSON at character {parsed.error?.position}: {parsed.error?.message}.</p>
        <PlainText text={text} />
      </>
    );
  }
  const rows = jsonRows(parsed.node, toggled, 3, limit + 1);
  const toggle = (path: string) => {
    const next = new Set(toggled);
    if (!next.delete(path)) next.add(path);
    setToggled(next);
  };
  return (
    <div class="json">
      <Button icon="copy" kind="quiet" small title="Copy, indented" onClick={() => void copy(prettyJson(parsed.node!))} />
      <ul role="tree" aria-label="JSON">
        {rows.slice(0, limit).map((row) => <JsonLine key={row.path} row={row} onToggle={toggle} />)}
      </ul>
      {rows.length > limit && <Button small onClick={() => setLimit(limit + 5000)}>More rows</Button>}
    </div>
  );
}

function JsonLine({ row, onToggle }: { row: JsonRow; onToggle: (path: string) => void }): JSX.Element {
  const { node } = row;
  const label = row.key !== undefined ? <span class="jkey">{visible(JSON.stringify(row.key).slice(1, -1))}</span> : row.index !== undefined ? <span class="jindex">{row.index}</span> : null;
  const leaf =
    node.type === "string" ? <span class="jstring">{visible(JSON.stringify(node.value.length > 4000 ? `${node.value.slice(0, 4000)}…` : node.value))}</span>
    : node.type === "number" ? <span class="jnumber">{node.text}</span>
    : node.type === "literal" ? <span class="jliteral">{node.text}</span>
    : <span class="jsize">{node.type === "array" ? `[${row.size}]` : `{${row.size}}`}</span>;
  return (
    <li role="treeitem" aria-level={row.depth + 1} aria-expanded={row.size ? row.open : undefined} style={{ paddingLeft: `${row.depth * 16 + 4}px` }}>
      {row.size ? (
        <button type="button" class="jfold" aria-label={row.open ? "Fold" : "Unfold"} onClick={() => onToggle(row.path)}><Icon name={row.open ? "down" : "chevron"} size={11} /></button>
      ) : <span class="jfold" />}
      {label}
      {label && <span class="faint">: </span>}
      {leaf}
    </li>
  );
}

function HexBody({ path }: { path: string }): JSX.Element {
  const [length, setLength] = useState(HEX_PAGE);
  const [raw, setRaw] = useState(false);
  const { data, error, again } = useLoad((abort) => getBytes(`${path}/body`, { length, form: raw ? "raw" : "decoded" }, abort), `${path}?${length}&${raw}`);
  if (error !== undefined) return <Trouble error={error} again={again} />;
  if (!data) return <p class="faint pad">Loading…</p>;
  return (
    <div class="hex">
      <label class="inline-check"><input type="checkbox" checked={raw} onChange={() => setRaw(!raw)} /> as sent, not decoded</label>
      <pre tabIndex={0}>
        {hexRows(data.data).map((row) => <div key={row.offset}><i>{row.offset}</i>  {row.hex}  <b>{row.text}</b></div>)}
      </pre>
      {data.size > data.data.length && <Button small onClick={() => setLength(length * 4)}>More: {bytes(data.data.length)} of {bytes(data.size)}</Button>}
    </div>
  );
}

function ImageBody({ path }: { path: string }): JSX.Element {
  const [source, setSource] = useState<string>();
  const [problem, setProblem] = useState<string>();
  const [size, setSize] = useState("");
  useEffect(() => {
    const controller = new AbortController();
    let made: string | undefined;
    getBytes(`${path}/body`, { length: IMAGE_LIMIT }, controller.signal).then(
      ({ data }) => {
        const type = imageType(data);
        if (!type) return setProblem("The bytes are of no image that is shown here. Hex shows them.");
        made = URL.createObjectURL(new Blob([data as BlobPart], { type }));
        setSource(made);
      },
      (error: unknown) => !controller.signal.aborted && setProblem(error instanceof Error ? error.message : String(error)),
    );
    return () => {
      controller.abort();
      if (made) URL.revokeObjectURL(made);
    };
  }, [path]);
  if (problem) return <p class="tip"><Icon name="warn" size={13} /> {problem}</p>;
  if (!source) return <p class="faint pad">Loading…</p>;
  return (
    <figure class="imagebody">
      <img src={source} alt="The body, as an image" onLoad={(event) => setSize(`${event.currentTarget.naturalWidth} × ${event.currentTarget.naturalHeight}`)} onError={() => setProblem("The browser cannot read this image. Hex shows its bytes.")} />
      <figcaption class="faint">{size}</figcaption>
    </figure>
  );
}
