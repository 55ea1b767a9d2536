// Faults on demand: which there are is the hub's to say.

import { byId, el, onClick, onSubmit, throttled } from "./dom.js";
import { ask } from "./hub.js";
import { keyOf } from "./devices.js";

export function faultsPanel({ target }) {
  const kind = byId("fault-kind");
  const scope = byId("fault-scope");
  const fields = { for_ms: byId("fault-time"), after_messages: byId("fault-after"), code: byId("fault-code") };
  let kinds = [];

  function offer() {
    const { for_ms, after_messages, code } = kinds.find(({ name }) => name === kind.value) ?? {};
    fields.for_ms.disabled = for_ms === "no";
    fields.for_ms.required = for_ms === "must";
    fields.for_ms.placeholder = for_ms === "may" ? "no limit" : "";
    fields.after_messages.disabled = !after_messages;
    fields.code.disabled = !code;
    [fields.code.placeholder, fields.code.min, fields.code.max] = code ?? ["", "", ""];
    for (const field of Object.values(fields)) if (field.disabled) field.value = "";
  }
  kind.addEventListener("change", offer);

  function scopes() {
    const to = target();
    const named = to ? [keyOf(to)] : [];
    if (to?.module) named.push(to.device);
    scope.replaceChildren(...named.map((key) => el("option", { value: key }, key)), el("option", { value: "*" }, "every device"));
  }

  function describe({ fault, device, count, for_ms, after_messages, code }) {
    const parts = [`${fault} for ${device === "*" ? "every device" : device}`];
    if (count !== null) parts.push(count === 1 ? "once" : `${count} times`);
    if (for_ms !== null) parts.push(`for ${for_ms} ms more`);
    if (after_messages !== null) parts.push(`at message ${after_messages} of a connection`);
    if (code !== null) parts.push(`with code ${code}`);
    return parts.join(", ");
  }

  async function list() {
    const answer = await ask("faults");
    if (kinds.length === 0) {
      kinds = answer.kinds;
      kind.replaceChildren(...kinds.map(({ name }) => el("option", { value: name }, name)));
      offer();
    }
    const waiting = answer.waiting.map((fault) => el("li", {}, describe(fault)));
    if (waiting.length === 0) waiting.push(el("li", { class: "none" }, "No fault waits for a connection or a request."));
    byId("fault-waiting").replaceChildren(...waiting);
    byId("fault-disarm").hidden = answer.waiting.length === 0;
  }
  const listSoon = throttled(500, () => {
    if (!byId("panel-faults").hidden) list().catch((failure) => (byId("fault-error").textContent = failure.message));
  });

  onSubmit(byId("fault-form"), byId("fault-error"), async () => {
    byId("fault-result").textContent = "";
    const fault = { fault: kind.value, device: scope.value };
    if (byId("fault-count").value !== "") fault.count = Number(byId("fault-count").value);
    for (const [name, field] of Object.entries(fields)) if (field.value !== "") fault[name] = Number(field.value);
    const { reached } = await ask("faults", "POST", fault);
    byId("fault-result").textContent =
      reached === 0 ? "Armed; it has reached no connection yet." : `It has reached ${reached} ${reached === 1 ? "connection" : "connections"}.`;
    await list();
  });
  onClick(byId("fault-disarm"), byId("fault-error"), async () => {
    await ask("faults", "DELETE");
    await list();
  });

  return {
    show() {
      scopes();
      listSoon();
    },
    clear() {
      byId("fault-result").textContent = byId("fault-error").textContent = "";
    },
    event(event) {
      // What may have used one up.
      if (["connected", "refused", "twin", "fault"].includes(event.event)) listSoon();
    },
  };
}
