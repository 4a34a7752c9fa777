import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { ApiError } from "../api/client";
import type { Problem } from "../api/types";
import { begin, login } from "../state/ui";
import { Button, Field } from "../ui/basics";
import { Egret } from "../ui/icons";

export function Login({ problem }: { problem: Problem }): JSX.Element {
  const methods = problem.methods ?? ["token"];
  const [method, setMethod] = useState<"token" | "password">(methods[0] ?? "token");
  const [failure, setFailure] = useState<string>();
  const [busy, setBusy] = useState(false);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(data.get(name) ?? "").trim();
    setBusy(true);
    setFailure(undefined);
    try {
      // People paste the whole link as well as the token in it.
      if (method === "token") await login({ token: /[?&#]token=([^&\s]+)/.exec(text("token"))?.[1] ?? text("token") });
      else await login({ user: text("user") || undefined, password: String(data.get("password") ?? "") });
    } catch (error) {
      setFailure(error instanceof ApiError ? error.message : String(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <main class="login">
      <form onSubmit={(event) => void submit(event)} aria-labelledby="login-title">
        <div class="login-head"><Egret size={44} /><h1 id="login-title">Egret</h1></div>
        {problem.status !== 401 ? (
          <>
            <p role="alert" class="login-problem">{[problem.title, problem.detail, problem.advice].filter(Boolean).join(" ")}</p>
            <Button kind="main" onClick={() => void begin()}>Try again</Button>
          </>
        ) : (
          <>
            {method === "token" ? (
              <>
                <p>Egret printed a link with a token when it started. Open that link, or paste the token here.</p>
                <Field label="Token" wide>{(id) => <input id={id} name="token" type="password" autocomplete="off" spellcheck={false} autofocus required />}</Field>
              </>
            ) : (
              <>
                <p>Log in with what whoever runs this proxy gave you.</p>
                <Field label="User" wide hint="May be empty, if there is one password for all">{(id) => <input id={id} name="user" autocomplete="username" spellcheck={false} />}</Field>
                <Field label="Password" wide>{(id) => <input id={id} name="password" type="password" autocomplete="current-password" required />}</Field>
              </>
            )}
            {failure && <p role="alert" class="login-problem">{failure}</p>}
            <Button kind="main" submit disabled={busy}>{busy ? "Checking…" : "Log in"}</Button>
            {methods.length > 1 && (
              <Button kind="quiet" onClick={() => setMethod(method === "token" ? "password" : "token")}>
                {method === "token" ? "Use a password" : "Use a token"}
              </Button>
            )}
            <details>
              <summary>Where is the token?</summary>
              <p>In the lines that Egret wrote when it started:</p>
              <pre>{`  console   ${location.origin}/?token=…`}</pre>
            </details>
          </>
        )}
      </form>
    </main>
  );
}
