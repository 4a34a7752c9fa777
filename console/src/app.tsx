import type { JSX } from "preact";
import { useEffect } from "preact/hooks";

import { plainKey } from "./lib/keys";
import { held, heldCount, loadHeld } from "./state/held";
import { listen, liveState, silence, tune } from "./state/live";
import { filter } from "./state/flows";
import { dismiss, go, helpOpen, loadServer, loggedOut, logout, nextTheme, server, session, theme, toasts, view, VIEWS, type View } from "./state/ui";
import { Button } from "./ui/basics";
import { Help } from "./ui/help";
import { Egret, Icon } from "./ui/icons";
import { AuditView } from "./views/audit";
import { CertificatesView } from "./views/certificates/view";
import { ChangesView } from "./views/rules/view";
import { Login } from "./views/login";
import { OverviewView } from "./views/overview/view";
import { PolicyView } from "./views/policy/view";
import { TrafficView } from "./views/traffic/view";

const TITLES: Record<View, string> = {
  traffic: "Traffic",
  overview: "Overview",
  policy: "Policy",
  certificates: "Certificates",
  changes: "Changes",
  audit: "Audit",
};

export function App(): JSX.Element {
  if (loggedOut.value) return <><Login problem={loggedOut.value} /><Toasts /></>;
  if (!session.value) return <div class="starting" role="status">Starting…</div>;
  return <Console />;
}

function Console(): JSX.Element {
  const current = view.value;
  const topics = current === "traffic" ? "flows,held,rules" : current === "overview" ? "stats,held,rules" : "held,rules";
  const wantedFilter = current === "traffic" ? filter.value : "";

  useEffect(() => tune(topics, wantedFilter), [topics, wantedFilter]);
  useEffect(() => {
    const stop = listen({
      held: (event) => (held.value = event.held),
      hello: (event) => !event.resumed && void loadHeld(),
      lost: () => void loadHeld(),
      rules: (event) => event.what === "server" && void loadServer(),
    });
    const timer = setInterval(() => void loadServer(), 30_000);
    return () => {
      stop();
      clearInterval(timer);
      silence();
    };
  }, []);
  useEffect(() => {
    document.title = `${heldCount.value > 0 ? `(${heldCount.value} held) ` : ""}${TITLES[current]} · Egret`;
  }, [current, heldCount.value]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
      const target = event.target as HTMLElement;
      const typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
      const key = plainKey({ key: event.key, ctrlKey: event.ctrlKey, metaKey: event.metaKey, altKey: event.altKey, typing });
      if (key === undefined) return;
      const number = Number(key);
      if (key === "?") helpOpen.value = true;
      else if (key === "t") nextTheme();
      else if (key === "Escape" && typing) target.blur();
      else if (number >= 1 && number <= VIEWS.length) go(VIEWS[number - 1]!);
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);

  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>To the content</a>
      <Rail current={current} />
      <main id="main" tabIndex={-1} aria-label={TITLES[current]}>
        {current === "traffic" && <TrafficView />}
        {current === "overview" && <OverviewView />}
        {current === "policy" && <PolicyView />}
        {current === "certificates" && <CertificatesView />}
        {current === "changes" && <ChangesView />}
        {current === "audit" && <AuditView />}
      </main>
      {helpOpen.value && <Help onClose={() => (helpOpen.value = false)} />}
      <Toasts />
    </div>
  );
}

/** Whether this proxy can do what a view is for. */
function can(view: View): boolean {
  const features = server.value?.features;
  if (view === "changes") return features?.breakpoints !== false || features.changes;
  return view !== "policy" || features?.policy !== false;
}

function Rail({ current }: { current: View }): JSX.Element {
  const state = liveState.value;
  const stateText = { live: "Live", connecting: "Connecting", waiting: "Connection lost, trying again", off: "Not connected" }[state];
  return (
    <nav class="rail" aria-label="Views">
      <div class="logo" title={server.value ? `Egret ${server.value.version}` : "Egret"}><Egret /></div>
      <ul>
        {VIEWS.map((name, i) => can(name) && (
          <li key={name}>
            <a href={`#${name}`} aria-current={name === current ? "page" : undefined} title={`${TITLES[name]} (${i + 1})`} onClick={(event) => { event.preventDefault(); go(name); }}>
              <Icon name={name} size={19} />
              <span>{TITLES[name]}</span>
              {name === "changes" && heldCount.value > 0 && <b class="count" aria-label={`${heldCount.value} held`}>{heldCount.value}</b>}
            </a>
          </li>
        ))}
      </ul>
      <div class="rail-end">
        <span class={`live ${state}`} role="status" title={stateText}><i aria-hidden="true" /><span>{state === "live" ? "Live" : state === "waiting" ? "Lost" : "…"}</span></span>
        <Button icon={theme.value === "light" ? "sun" : theme.value === "dark" ? "moon" : "auto"} kind="quiet" title={`Colours: ${theme.value} (t)`} onClick={nextTheme} />
        <Button icon="help" kind="quiet" title="Keys and help (?)" onClick={() => (helpOpen.value = true)} />
        <Button icon="exit" kind="quiet" title={`Log out (${session.value?.role ?? ""})`} onClick={() => void logout()} />
      </div>
    </nav>
  );
}

function Toasts(): JSX.Element {
  return (
    <div class="toasts" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={toast.bad ? "toast bad" : "toast"} role={toast.bad ? "alert" : "status"}>
          <span>{toast.text}</span>
          <Button icon="close" kind="quiet" small title="Dismiss" onClick={() => dismiss(toast.id)} />
        </div>
      ))}
    </div>
  );
}
