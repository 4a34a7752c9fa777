// Flows that wait at a breakpoint.
import { computed, signal } from "@preact/signals";

import type { Held } from "../api/types";

export const held = signal<Held[]>([]);
export const heldCount = computed(() => held.value.length);
