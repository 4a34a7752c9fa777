// The one place that speaks HTTP.
import type { Problem } from "./types";

/** What the proxy answered when it did not do what was asked. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super([problem.title, problem.detail, problem.advice].filter(Boolean).join(" "));
  }
}

let csrf = "";
let onUnauthenticated: () => void = () => {};

/** The token that requests which change something carry. */
export function useCsrf(token: string): void {
  csrf = token;
}

/** What to do when the session has ended. */
export function whenUnauthenticated(act: () => void): void {
  onUnauthenticated = act;
}

type Query = Record<string, string | number | boolean | undefined>;

/** A path below `/api/v1` with its query; empty values are left out. */
export function url(path: string, query: Query = {}): string {
  const parts = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`);
  return `/api/v1${path}${parts.length > 0 ? `?${parts.join("&")}` : ""}`;
}

async function send(method: string, path: string, query: Query, body: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json, application/problem+json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf !== "") headers["X-CSRF-Token"] = csrf;
  let response: Response;
  try {
    response = await fetch(url(path, query), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError({
      title: "The proxy does not answer.",
      status: 0,
      code: "unreachable",
      advice: "Is it still running? The page tries again by itself.",
    });
  }
  if (response.ok) return response;
  const problem = await readProblem(response);
  if (response.status === 401 && path !== "/session") onUnauthenticated();
  throw new ApiError(problem);
}

async function readProblem(response: Response): Promise<Problem> {
  try {
    return (await response.json()) as Problem;
  } catch {
    return { title: `The proxy answered ${response.status}.`, status: response.status, code: "unknown" };
  }
}

export async function getJson<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return (await (await send("GET", path, query, undefined, signal)).json()) as T;
}

export async function getText(path: string, query: Query = {}): Promise<string> {
  return (await send("GET", path, query, undefined)).text();
}

export async function getBytes(path: string, query: Query = {}, signal?: AbortSignal): Promise<{ data: Uint8Array; size: number; truncated: string | null }> {
  const response = await send("GET", path, query, undefined, signal);
  const data = new Uint8Array(await response.arrayBuffer());
  return { data, size: Number(response.headers.get("Egret-Body-Size") ?? data.length), truncated: response.headers.get("Egret-Truncated") };
}

export async function change<T>(method: "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: unknown, query: Query = {}): Promise<T> {
  const response = await send(method, path, query, body);
  return (response.status === 204 ? undefined : await response.json()) as T;
}
