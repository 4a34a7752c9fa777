import type { JSX } from "preact";

import { WORDS } from "../lib/filter";
import { BINDINGS } from "../lib/keys";
import { server } from "../state/ui";
import { Modal } from "./basics";

export function Help({ onClose }: { onClose: () => void }): JSX.Element {
  const groups = ["Everywhere", "Traffic", "A flow", "Changes"] as const;
  return (
    <Modal title="Keys and filters" onClose={onClose} wide footer={<span class="faint">Egret {server.value?.version} {server.value?.revision}</span>}>
      <div class="help">
        <div>
          {groups.map((group) => (
            <section key={group}>
              <h3>{group}</h3>
              <dl class="keys">
                {BINDINGS.filter((binding) => binding.group === group).map((binding) => (
                  <div key={binding.does}>
                    <dt>{binding.keys.split("  ").map((key) => <kbd key={key}>{key}</kbd>)}</dt>
                    <dd>{binding.does}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </div>
        <section>
          <h3>Filters</h3>
          <p>
            Words side by side must all hold; <code>|</code> is or, <code>!</code> is not, parentheses group. A bare word is a part of the URL.
            mitmproxy's operators work too: <code>~d example.com ~m POST ~c 500</code>.
          </p>
          <pre class="example">{"host:*.example.com status:>=500\nmethod:POST body:\"out of stock\"\n(is:refused | time:>2s) !client:10.0.0.0/8"}</pre>
          <dl class="words">
            {WORDS.map((word) => (
              <div key={word.name}>
                <dt><code>{word.name}:</code></dt>
                <dd>{word.means}</dd>
              </div>
            ))}
          </dl>
        </section>
      </div>
    </Modal>
  );
}
