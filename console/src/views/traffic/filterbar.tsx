// The field that filters are typed into: coloured, completed, and checked by the proxy as it is typed.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { getJson } from "../../api/client";
import type { FilterCheck } from "../../api/types";
import { complete, tokens, type Completion } from "../../lib/filter";
import { filter, filterProblem } from "../../state/flows";
import { Icon } from "../../ui/icons";

export function FilterBar({ onApply, values }: { onApply: (filter: string) => void; values: () => Record<string, string[]> }): JSX.Element {
  const [text, setText] = useState(filter.value);
  const [check, setCheck] = useState<FilterCheck>();
  const [choices, setChoices] = useState<Completion[]>([]);
  const [active, setActive] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const colours = useRef<HTMLDivElement>(null);
  const typedAt = useRef(0);

  // Set from outside: a chip, a link, the back button.
  useEffect(() => {
    setText(filter.value);
    setCheck(undefined);
  }, [filter.value]);

  // Checked while it is typed, applied when it reads and typing has paused.
  useEffect(() => {
    if (text === filter.value) return;
    const controller = new AbortController();
    const timer = setTimeout(() => {
      getJson<FilterCheck>("/filter", { filter: text.trim() || "~all" }, controller.signal).then(
        (answer) => {
          setCheck(answer);
          if (answer.ok && !answer.searchesBodies) onApply(text.trim());
        },
        () => {},
      );
    }, 250);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [text]);

  const suggest = (value: string, caret: number) => {
    setChoices(complete(value, caret, values()));
    setActive(-1);
  };
  const take = (choice: Completion) => {
    setText(choice.filter);
    setChoices([]);
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(choice.caret, choice.caret);
      if (choice.filter.charAt(choice.caret - 1) === ":") suggest(choice.filter, choice.caret);
    });
  };
  const onKey = (event: KeyboardEvent) => {
    if (choices.length > 0 && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      setActive((at) => (at + step + choices.length + (at < 0 && step < 0 ? 1 : 0)) % choices.length);
    } else if (choices.length > 0 && (event.key === "Tab" || (event.key === "Enter" && active >= 0)) && !event.shiftKey) {
      event.preventDefault();
      take(choices[Math.max(0, active)]!);
    } else if (event.key === "Enter") {
      event.preventDefault();
      setChoices([]);
      onApply(text.trim());
      document.getElementById("flows")?.focus();
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (choices.length > 0) setChoices([]);
      else if (text !== "") {
        setText("");
        onApply("");
      } else input.current?.blur();
    }
  };

  const error = check && !check.ok ? check.error : undefined;
  const problem = error ?? (filterProblem.value && text === filter.value ? { message: filterProblem.value.detail ?? filterProblem.value.title, position: filterProblem.value.position ?? 0, length: filterProblem.value.length ?? 0, suggestion: filterProblem.value.suggestion } : undefined);
  return (
    <div class={problem ? "filterbar wrong" : "filterbar"} role="search">
      <Icon name="filter" size={15} />
      <div class="filterfield">
        <div class="colours" aria-hidden="true" ref={colours}>
          {tokens(text).map((token) => (
            <span key={token.start} class={`tok ${token.kind}${problem && token.end > problem.position && token.start < problem.position + Math.max(1, problem.length) ? " bad" : ""}`}>{text.slice(token.start, token.end)}</span>
          ))}
        </div>
        <input
          ref={input}
          id="filter"
          type="text"
          value={text}
          placeholder="Filter:  host:*.example.com  status:>=500  ~m POST  is:refused"
          aria-label="Filter flows"
          aria-invalid={problem !== undefined}
          aria-describedby={problem ? "filter-problem" : undefined}
          role="combobox"
          aria-expanded={choices.length > 0}
          aria-controls="filter-choices"
          aria-autocomplete="list"
          aria-activedescendant={active >= 0 ? `filter-choice-${active}` : undefined}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          maxLength={4096}
          onInput={(event) => {
            const field = event.currentTarget;
            typedAt.current = Date.now();
            setText(field.value);
            suggest(field.value, field.selectionStart ?? field.value.length);
          }}
          onScroll={(event) => colours.current && (colours.current.scrollLeft = event.currentTarget.scrollLeft)}
          onKeyDown={onKey}
          onBlur={() => setTimeout(() => setChoices([]), 150)}
        />
      </div>
      {text !== "" && (
        <button type="button" class="clear" aria-label="Clear the filter" title="Clear (Esc)" onClick={() => { setText(""); onApply(""); input.current?.focus(); }}>
          <Icon name="close" size={13} />
        </button>
      )}
      <kbd aria-hidden="true">/</kbd>
      {choices.length > 0 && (
        <ul class="choices" id="filter-choices" role="listbox" aria-label="Completions">
          {choices.map((choice, i) => (
            <li key={choice.label} id={`filter-choice-${i}`} role="option" aria-selected={i === active} onPointerDown={(event) => { event.preventDefault(); take(choice); }}>
              <code>{choice.label}</code>
              <span>{choice.means}</span>
            </li>
          ))}
        </ul>
      )}
      {problem && choices.length === 0 && (
        <div class="filter-problem" id="filter-problem" role="alert">
          {problem.message}
          {problem.suggestion && <> Did you mean <code>{problem.suggestion}</code>?</>}
        </div>
      )}
      {!problem && check?.searchesBodies && text !== filter.value && <div class="filter-problem hint">This reads bodies and takes longer. Press Enter to search.</div>}
    </div>
  );
}
