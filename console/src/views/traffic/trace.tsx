import type { JSX } from "preact";

import type { PolicyStep, PolicyTrace } from "../../api/types";
import { Facts, Hostile } from "../../ui/basics";
import { Icon } from "../../ui/icons";
import { TREATMENT_WORDS } from "./columns";

const OUTCOMES: Record<PolicyStep["outcome"], string> = {
  decided: "decided",
  audited: "would have denied (audit)",
  passed: "passed on",
  "no-match": "did not match",
  "needs-http": "needs to see HTTP",
  "not-reached": "not reached",
};

/** Why it was allowed or denied, tunnelled or intercepted: each step that was asked. */
export function TraceView({ trace }: { trace: PolicyTrace }): JSX.Element {
  return (
    <div class="trace">
      <div class={`verdict ${trace.decision === "allow" ? "allow" : "policy"}`}>
        <div>
          <b>{trace.decision === "allow" ? "Allowed" : "Denied"}</b>
          {trace.reason && <code>{trace.reason}</code>}
          <span class={`treat ${trace.treatment}`}><Icon name={trace.treatment} size={14} /></span>
          <span>{TREATMENT_WORDS[trace.treatment]}</span>
        </div>
        {trace.treatmentWhy && <p><Hostile text={trace.treatmentWhy} /></p>}
        {trace.message && <p><Hostile text={trace.message} /></p>}
        {trace.contact && <p class="advice"><b>Ask:</b> <Hostile text={trace.contact} /></p>}
        {trace.auditDenied && <p>A policy in audit mode would have denied it.</p>}
      </div>
      <Facts
        rows={[
          trace.identity !== undefined && ["Identity", <Hostile text={trace.identity} />],
          trace.destination !== undefined && ["Destination", <Hostile text={trace.destination} mono />],
          (trace.rule ?? trace.policy) !== undefined && ["Decided by", <>{trace.policy && <Hostile text={trace.policy} />}{trace.rule && <> <span class="faint">/</span> <Hostile text={trace.rule} /></>}</>],
          trace.capture && ["Capture", trace.capture],
        ]}
      />
      <ol class="steps">
        {trace.steps.map((step, i) => (
          <li key={i} class={`step ${step.outcome} ${(step.action ?? "").toLowerCase()}`}>
            <div class="step-head">
              <span class="step-dot" aria-hidden="true" />
              <b>{step.policy && <><Hostile text={step.policy} /> <span class="faint">/</span> </>}<Hostile text={step.name} /></b>
              {step.action && <span class={`chip ${step.action.toLowerCase()}`}>{step.action}</span>}
              {step.mode === "Audit" && <span class="chip audit">Audit</span>}
              {step.stage && <span class="faint">{step.stage}</span>}
              <span class="spring" />
              <span class="outcome">{OUTCOMES[step.outcome]}</span>
            </div>
            <p><Hostile text={step.why} /></p>
            {step.conditions && step.conditions.length > 0 && (
              <table class="conditions">
                <tbody>
                  {step.conditions.map((condition, j) => (
                    <tr key={j} class={condition.holds ? "holds" : "fails"}>
                      <td><Icon name={condition.holds ? "check" : "close"} size={11} title={condition.holds ? "holds" : "does not hold"} /></td>
                      <th scope="row">{condition.what}</th>
                      <td class="mono">{condition.wanted !== undefined && <Hostile text={condition.wanted} />}</td>
                      <td class="mono faint">{condition.got !== undefined && <>was <Hostile text={condition.got} /></>}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            )}
          </li>
        ))}
      </ol>
      {!trace.complete && <p class="faint pad">Only what decided was recorded. Policy, Explain lists every rule.</p>}
      {trace.notes?.map((note, i) => <p key={i} class="tip"><Hostile text={note} /></p>)}
    </div>
  );
}
