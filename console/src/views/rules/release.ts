// Letting go what is held.
import { change } from "../../api/client";
import type { Held, RequestEdit, ResponseEdit } from "../../api/types";
import { complain, say } from "../../state/ui";

export interface Order {
  action: "go-on" | "drop" | "answer";
  request?: RequestEdit;
  response?: ResponseEdit;
}

/** Does with a held flow what somebody wants, and says so. Whether it was done. */
export async function release(held: Held, order: Order): Promise<boolean> {
  try {
    await change("POST", `/held/${held.flow.id}`, order);
    say(order.action === "drop" ? "Dropped" : order.action === "answer" ? "Answered" : order.request || order.response ? "Went on, changed" : "Went on");
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}
