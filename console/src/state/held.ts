// Flows that wait at a breakpoint.
import { computed, signal } from "@preact/signals";

import { getJson } from "../api/client";
import type { Held } from "../api/types";
import { complain } from "./ui";

export const held = signal<Held[]>([]);
export const heldCount = computed(() => held.value.length);

/** Asks what is held now, for when events may have been missed. */
export async function loadHeld(): Promise<void> {
  try {
    held.value = (await getJson<{ held: Held[] }>("/breakpoints")).held;
  } catch (error) {
    complain(error);
  }
}
