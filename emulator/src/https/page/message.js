// A message to a device, or to an input of a module, and what becomes of it.

import { byId, el, onClick, onSubmit } from "./dom.js";
import { asciiJson, headerText, path, service } from "./hub.js";
import { keyOf } from "./devices.js";

const MAX_SENT = 20;

function propertyRow() {
  const remove = el("button", { type: "button", "aria-label": "Remove this property" }, "Remove");
  const row = el(
    "div",
    { class: "bar" },
    el("input", { "aria-label": "Name of the property", placeholder: "name", autocomplete: "off", spellcheck: "false" }),
    el("input", { "aria-label": "Value of the property", placeholder: "value", autocomplete: "off", spellcheck: "false" }),
    remove,
  );
  remove.addEventListener("click", () => row.remove());
  return row;
}

export function messagePanel({ target }) {
  const rows = byId("message-properties");
  /** The lines of messages sent from here, by message id. */
  const sent = new Map();
  byId("message-add-property").addEventListener("click", () => {
    const row = propertyRow();
    rows.append(row);
    row.firstChild.focus();
  });

  function properties() {
    const named = {};
    for (const row of rows.children) {
      const [name, value] = row.querySelectorAll("input");
      if (name.value !== "") named[name.value] = value.value;
      else if (value.value !== "") throw new Error("A property needs a name.");
    }
    return named;
  }

  function headers() {
    const all = { "content-type": "" };
    const put = (header, id) => {
      const value = byId(id).value;
      if (value !== "") all[header] = headerText(value);
    };
    put("content-type", "message-type");
    put("content-encoding", "message-encoding");
    put("iothub-messageid", "message-id");
    put("iothub-correlationid", "message-correlation");
    const ack = byId("message-ack").value;
    if (ack !== "none") all["iothub-ack"] = ack;
    const seconds = byId("message-expiry").value;
    if (seconds !== "") all["iothub-expiry"] = new Date(Date.now() + Number(seconds) * 1000).toISOString();
    const named = properties();
    if (Object.keys(named).length > 0) all["emulator-properties"] = asciiJson(named);
    return all;
  }

  onSubmit(byId("message-form"), byId("message-error"), async () => {
    byId("message-result").textContent = "";
    const to = target();
    const input = byId("message-input").value;
    const where = to.module
      ? `${path("devices", to)}/inputs/${encodeURIComponent(input)}`
      : `${path("devices", to)}/messages/devicebound`;
    // A string would bring a content type of the browser's own.
    const body = new TextEncoder().encode(byId("message-body").value);
    const answer = await service("POST", where, { body, headers: headers() });
    const id = answer.headers.get("iothub-messageid") ?? "";
    byId("message-result").textContent = `Queued as ${id}.`;
    line(`${keyOf(to)} ${id}`, id);
  });

  function line(key, id) {
    if (sent.has(key)) return;
    const state = el("span", { class: "kind" }, "queued");
    const row = el("li", {}, state, " ", el("span", { class: "mono" }, id));
    sent.set(key, { state, row });
    byId("message-sent").prepend(row);
    const [oldest] = sent;
    if (sent.size > MAX_SENT) {
      oldest[1].row.remove();
      sent.delete(oldest[0]);
    }
    for (const state of early.get(key) ?? []) settle(key, state);
  }

  /** States that came before the answer to the request did. */
  const early = new Map();

  function settle(key, state) {
    const known = sent.get(key);
    if (known) known.state.textContent = state;
  }

  onClick(byId("message-purge"), byId("message-error"), async () => {
    const answer = await service("DELETE", `${path("devices", target())}/commands`);
    const count = answer.text === "" ? "" : answer.json().totalMessagesPurged;
    byId("message-result").textContent = `Purged ${count} messages.`;
  });

  return {
    show() {
      const module = Boolean(target()?.module);
      byId("message-input-field").hidden = !module;
      byId("message-purge").hidden = module;
      for (const id of ["message-ack", "message-expiry"]) byId(id).parentElement.hidden = module && id === "message-ack";
    },
    clear() {
      sent.clear();
      early.clear();
      byId("message-sent").replaceChildren();
      byId("message-result").textContent = byId("message-error").textContent = "";
    },
    event(event) {
      const to = target();
      if ((event.event !== "c2d" && event.event !== "input") || !to || keyOf(event) !== keyOf(to)) return;
      const key = `${keyOf(event)} ${event.message_id}`;
      if (sent.has(key)) settle(key, event.state);
      else {
        early.set(key, [...(early.get(key) ?? []), event.state]);
        if (early.size > MAX_SENT) early.delete(early.keys().next().value);
      }
    },
  };
}
