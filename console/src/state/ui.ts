// What the whole page shares: where we are, who we are, how it looks, what it has to say.
import { computed, signal } from "@preact/signals";

import { ApiError, change, getJson, useCsrf, whenUnauthenticated } from "../api/client";
import type { Problem, Server, Session } from "../api/types";

export const VIEWS = ["traffic", "overview", "policy", "certificates", "changes", "audit"] as const;
export type View = (typeof VIEWS)[number];

export const view = signal<View>("traffic");
export const session = signal<Session | undefined>(undefined);
/** Why the login page is shown; `undefined` while nothing is known yet. */
export const loggedOut = signal<Problem | undefined>(undefined);
export const server = signal<Server | undefined>(undefined);
export const readOnly = computed(() => session.value?.role === "read-only");
export const helpOpen = signal(false);
/** The present second, for relative times. */
export const now = signal(Date.now());
setInterval(() => (now.value = Date.now()), 1000);

export interface Toast {
  id: number;
  text: string;
  bad: boolean;
}
export const toasts = signal<Toast[]>([]);
let toastId = 0;

/** Says something for a few seconds. */
export function say(text: string, bad = false): void {
  const toast = { id: ++toastId, text, bad };
  toasts.value = [...toasts.value.slice(-3), toast];
  setTimeout(() => dismiss(toast.id), bad ? 8000 : 3000);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Says what went wrong. */
export function complain(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  if (error instanceof ApiError && error.problem.status === 401) return;
  say(error instanceof Error ? error.message : String(error), true);
}

// --- the address bar -------------------------------------------------------------------------------------------------

/** Parameters behind the view's name in the fragment: `#traffic?filter=…&flow=…`. */
export const params = signal<Record<string, string>>({});

export function readAddress(): void {
  const [name = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  view.value = (VIEWS as readonly string[]).includes(name) ? (name as View) : "traffic";
  params.value = Object.fromEntries(new URLSearchParams(query));
}

/** Goes somewhere. Empty parameters are left out. */
export function go(to: View, query: Record<string, string | undefined> = {}, replace = false): void {
  const kept = Object.entries(query).filter((entry): entry is [string, string] => !!entry[1]);
  const text = new URLSearchParams(kept).toString();
  const hash = `#${to}${text ? `?${text}` : ""}`;
  if (hash === location.hash) return;
  if (replace) history.replaceState(null, "", hash);
  else history.pushState(null, "", hash);
  readAddress();
}

// --- light and dark --------------------------------------------------------------------------------------------------

export type Theme = "system" | "light" | "dark";
export const theme = signal<Theme>(stored("theme", ["system", "light", "dark"] as const, "system"));

export function setTheme(to: Theme): void {
  theme.value = to;
  remember("theme", to);
  applyTheme();
}

export function applyTheme(): void {
  const root = document.documentElement;
  if (theme.value === "system") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", theme.value);
}

export function nextTheme(): void {
  const order: Theme[] = ["system", "light", "dark"];
  setTheme(order[(order.indexOf(theme.value) + 1) % 3]!);
  say(`Colours: ${theme.value === "system" ? "as the system" : theme.value}`);
}

/** A remembered choice; storage may be switched off. */
export function stored<T extends string>(key: string, allowed: readonly T[], otherwise: T): T {
  try {
    const value = localStorage.getItem(`egret.${key}`);
    return allowed.includes(value as T) ? (value as T) : otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`egret.${key}`, value);
  } catch {
    // It is only a convenience.
  }
}

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`egret.${key}`);
  } catch {
    return null;
  }
}

// --- the session -----------------------------------------------------------------------------------------------------

/** Takes a session, or shows the login page. A token in the fragment is used and removed from the address. */
export async function begin(): Promise<void> {
  whenUnauthenticated(() => {
    session.value = undefined;
    loggedOut.value = { title: "The session has ended.", status: 401, code: "unauthenticated", methods: loggedOut.value?.methods };
  });
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", "#traffic");
    readAddress();
    try {
      await login({ token });
      return;
    } catch {
      // The login page says so.
    }
  }
  try {
    await enter(await getJson<Session>("/session"));
  } catch (error) {
    loggedOut.value = error instanceof ApiError ? error.problem : { title: "The console could not start.", status: 0, code: "unknown" };
  }
}

export async function login(credentials: { token: string } | { user?: string; password: string }): Promise<void> {
  await enter(await change<Session>("POST", "/session", credentials));
}

async function enter(got: Session): Promise<void> {
  useCsrf(got.csrf);
  loggedOut.value = undefined;
  session.value = got;
  await loadServer();
}

export async function loadServer(): Promise<void> {
  try {
    server.value = await getJson<Server>("/server");
  } catch (error) {
    complain(error);
  }
}

export async function logout(): Promise<void> {
  try {
    await change("DELETE", "/session");
  } catch (error) {
    complain(error);
  }
  useCsrf("");
  session.value = undefined;
  loggedOut.value = { title: "You are logged out.", status: 401, code: "unauthenticated", methods: ["token", "password"] };
}
