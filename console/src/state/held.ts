// Flows that wait at a breakpoint.
import { computed, signal } from "@preact/signals";

import { getJson } from "../api/client";
import type { Held } from "../api/types";
import { complain } from "./ui";

export const held = signal<Held[]>([]);
const heldIds = computed(() => new Set(held.value.map((entry) => entry.flow.id)));
export const heldCount = computed(() => held.value.length);

/** Whether a flow waits now: its row may be older than that. */
export function isHeld(id: string): boolean {
  return heldIds.value.has(id);
}

/** Asks what is held now, for when events may have been missed. */
export async function loadHeld(): Promise<void> {
  try {
    held.value = (await getJson<{ held: Held[] }>("/breakpoints")).held;
  } catch (error) {
    complain(error);
  }
}
