// The small parts that every view is made of.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

import { visible } from "../lib/text";
import { ago, dateTime } from "../lib/format";
import { now, say } from "../state/ui";
import { Icon, type IconName } from "./icons";

export function Button(props: {
  icon?: IconName;
  children?: ComponentChildren;
  onClick?: () => void;
  title?: string;
  kind?: "plain" | "main" | "danger" | "quiet";
  disabled?: boolean;
  pressed?: boolean;
  submit?: boolean;
  small?: boolean;
}): JSX.Element {
  return (
    <button
      type={props.submit ? "submit" : "button"}
      class={`button ${props.kind ?? "plain"}${props.small ? " small" : ""}${props.children === undefined ? " iconic" : ""}`}
      title={props.title}
      aria-label={props.children === undefined ? props.title : undefined}
      aria-pressed={props.pressed}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      {props.icon && <Icon name={props.icon} size={props.small ? 13 : 15} />}
      {props.children !== undefined && <span>{props.children}</span>}
    </button>
  );
}

/** Copies text; where the page has no clipboard (plain http under another name than loopback), by a selected field. */
export async function copy(text: string, what = "Copied"): Promise<void> {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyBySelection(text);
    say(what);
  } catch {
    try {
      copyBySelection(text);
      say(what);
    } catch {
      say("The browser does not let this page copy. Select the text and copy it by hand.", true);
    }
  }
}

function copyBySelection(text: string): void {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "offscreen";
  // Inside an open dialog, as the rest of the page takes no focus then.
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("not copied");
}

export function CopyButton({ text, title = "Copy" }: { text: string; title?: string }): JSX.Element {
  return <Button icon="copy" kind="quiet" small title={title} onClick={() => void copy(text)} />;
}

/** Lines to type, with a button that copies them. */
export function Code({ children, label }: { children: string; label?: string }): JSX.Element {
  return (
    <div class="codeblock">
      <pre tabIndex={0} aria-label={label}>{children}</pre>
      <CopyButton text={children} title={`Copy${label ? `: ${label}` : ""}`} />
    </div>
  );
}

/** Text that came from outside, on one line, with hidden characters written out. */
export function Hostile({ text, mono, title }: { text: string; mono?: boolean; title?: boolean }): JSX.Element {
  const shown = visible(text);
  return <bdi class={mono ? "mono" : undefined} title={title ? shown : undefined}>{shown}</bdi>;
}

export function Ago({ time }: { time?: string }): JSX.Element {
  return time ? <time dateTime={time} title={dateTime(time)}>{ago(time, now.value)}</time> : <span class="faint">never</span>;
}

export function Tabs<T extends string>(props: {
  tabs: readonly { id: T; label: string; badge?: string | number; disabled?: boolean }[];
  active: T;
  onChange: (id: T) => void;
  label: string;
}): JSX.Element {
  const row = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent, at: number) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const next = (at + step + props.tabs.length) % props.tabs.length;
    props.onChange(props.tabs[next]!.id);
    row.current?.querySelectorAll<HTMLElement>("[role=tab]")[next]?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={props.label} ref={row}>
      {props.tabs.map((tab, i) => (
        <button
          key={tab.id}
          type="button"
          role="tab"
          aria-selected={tab.id === props.active}
          tabIndex={tab.id === props.active ? 0 : -1}
          class={tab.disabled ? "dim" : undefined}
          onClick={() => props.onChange(tab.id)}
          onKeyDown={(event) => move(event, i)}
        >
          {tab.label}
          {tab.badge !== undefined && <span class="badge">{tab.badge}</span>}
        </button>
      ))}
    </div>
  );
}

/** A window above the page. The browser keeps the focus inside and closes it on Escape. */
export function Modal(props: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean; footer?: ComponentChildren }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={props.wide ? "modal wide" : "modal"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
      onClick={(event) => event.target === dialog.current && props.onClose()}
    >
      <div class="modal-inner">
        <header>
          <h2 id={id}>{props.title}</h2>
          <Button icon="close" kind="quiet" title="Close" onClick={props.onClose} />
        </header>
        <div class="modal-body">{props.children}</div>
        {props.footer && <footer>{props.footer}</footer>}
      </div>
    </dialog>
  );
}

/** A button with a list of choices under it. */
export function Menu(props: { icon?: IconName; label: string; title?: string; children: (close: () => void) => ComponentChildren; iconic?: boolean }): JSX.Element {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => !root.current?.contains(event.target as Node) && setOpen(false);
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  return (
    <div
      class="menu"
      ref={root}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        event.stopPropagation();
        setOpen(false);
        root.current?.querySelector("button")?.focus();
      }}
    >
      <button type="button" class={`button plain${props.iconic ? " iconic" : ""}`} aria-expanded={open} aria-haspopup="true" title={props.title} aria-label={props.iconic ? props.label : undefined} onClick={() => setOpen(!open)}>
        {props.icon && <Icon name={props.icon} size={15} />}
        {!props.iconic && <span>{props.label}</span>}
      </button>
      {open && <div class="menu-list">{props.children(() => setOpen(false))}</div>}
    </div>
  );
}

export function Field(props: { label: string; children: (id: string) => ComponentChildren; hint?: string; wide?: boolean }): JSX.Element {
  const id = useId();
  return (
    <div class={props.wide ? "field wide" : "field"}>
      <label for={id}>{props.label}</label>
      {props.children(id)}
      {props.hint && <small>{props.hint}</small>}
    </div>
  );
}

export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <Icon name={icon} size={28} />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** Names and values below each other. */
export function Facts({ rows }: { rows: readonly (readonly [string, ComponentChildren] | false | undefined | null | "")[] }): JSX.Element {
  return (
    <dl class="facts">
      {rows.map((row) => row && (
        <div key={row[0]}>
          <dt>{row[0]}</dt>
          <dd>{row[1]}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Something loaded from the proxy, again when `key` changes. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, key: string): { data: T | undefined; error: unknown; again: () => void } {
  const [state, set] = useState<{ key: string; data?: T; error?: unknown }>({ key: "" });
  const [count, setCount] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    load(controller.signal).then(
      (data) => !controller.signal.aborted && set({ key, data }),
      (error: unknown) => !controller.signal.aborted && set({ key, error }),
    );
    return () => controller.abort();
  }, [key, count]);
  const mine = state.key === key;
  return { data: mine ? state.data : undefined, error: mine ? state.error : undefined, again: () => setCount((n) => n + 1) };
}

export function Trouble({ error, again }: { error: unknown; again?: () => void }): JSX.Element {
  return (
    <div class="trouble" role="alert">
      <Icon name="warn" />
      <span>{error instanceof Error ? error.message : String(error)}</span>
      {again && <Button small onClick={again}>Try again</Button>}
    </div>
  );
}
