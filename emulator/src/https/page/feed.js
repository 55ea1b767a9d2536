// A list of events, the newest first. Both what is kept and what is shown are bounded, so that a
// thousand events a second and a tab that was forgotten for a night are the same to it.

import { byId, clock, el, number } from "./dom.js";
import { pretty, show } from "./json.js";
import { keyOf } from "./devices.js";

const MAX_KEPT = 2000;
const MAX_KEPT_SIZE = 16 * 1024 * 1024;
const MAX_SHOWN = 200;
const MAX_PREVIEW = 300;
/** A reason is for reading: it is shown as it is, up to this. */
const MAX_REASON = 2000;

export class Feed {
  #name;
  #parts;
  #matches;
  #kept = [];
  #size = 0;
  #fresh = 0;
  #received = 0;
  #missed = 0;
  #stale = true;
  #paused = false;
  #events = new WeakMap();
  #filter = "";
  /** Whether the event is of the selected device, and of the kind wanted. */
  wanted = () => true;
  visible = false;

  /** `parts(event)` are the middle of a row; `text(event)` is what the filter looks into. */
  constructor(name, { parts, text }, schedule) {
    this.#name = name;
    this.#parts = parts;
    this.#matches = (event) =>
      this.wanted(event) && (this.#filter === "" || text(event).toLowerCase().includes(this.#filter));
    byId(`${name}-filter`).addEventListener("input", (event) => {
      this.#filter = event.target.value.trim().toLowerCase();
      this.again();
      schedule();
    });
    const pause = byId(`${name}-pause`);
    pause.addEventListener("click", () => {
      this.#paused = !this.#paused;
      pause.setAttribute("aria-pressed", this.#paused);
      this.again();
      schedule();
    });
    byId(`${name}-clear`).addEventListener("click", () => {
      this.#kept = [];
      this.#size = this.#fresh = this.#missed = this.#received = 0;
      byId(`${name}-list`).replaceChildren();
      this.again();
      schedule();
    });
    // `toggle` does not bubble.
    byId(`${name}-list`).addEventListener("toggle", (event) => this.#expand(event.target), true);
  }

  push(event, size) {
    this.#kept.push({ event, size });
    this.#size += size;
    this.#fresh += 1;
    this.#received += 1;
    // By the hundred, since each time all that is left moves.
    if (this.#kept.length >= MAX_KEPT + 500 || this.#size > MAX_KEPT_SIZE) this.#trim();
  }

  /** Everything has to be shown anew. */
  again() {
    this.#stale = true;
  }

  render() {
    if (this.#paused) {
      this.#missed += this.#fresh;
      this.#fresh = 0;
    } else if (this.visible) {
      this.#missed = 0;
      this.#show();
    }
    this.#count();
  }

  #trim() {
    let from = Math.max(0, this.#kept.length - MAX_KEPT);
    for (let i = 0; i < from; i += 1) this.#size -= this.#kept[i].size;
    while (this.#size > MAX_KEPT_SIZE) {
      this.#size -= this.#kept[from].size;
      from += 1;
    }
    this.#kept = this.#kept.slice(from);
    this.#fresh = Math.min(this.#fresh, this.#kept.length);
  }

  #show() {
    const list = byId(`${this.#name}-list`);
    const end = this.#stale ? 0 : this.#kept.length - this.#fresh;
    const rows = [];
    for (let i = this.#kept.length - 1; i >= end && rows.length < MAX_SHOWN; i -= 1) {
      const { event } = this.#kept[i];
      if (this.#matches(event)) rows.push(this.#row(event));
    }
    if (this.#stale) list.replaceChildren(...rows);
    else list.prepend(...rows);
    while (list.childElementCount > MAX_SHOWN) list.lastElementChild.remove();
    this.#stale = false;
    this.#fresh = 0;
  }

  #count() {
    const shown = byId(`${this.#name}-list`).childElementCount;
    const text = `${number(this.#received)} received, ${number(shown)} shown`;
    const missed = this.#paused ? `, ${number(this.#missed)} more while paused` : "";
    byId(`${this.#name}-count`).textContent = text + missed;
  }

  #row(event) {
    const details = el(
      "details",
      {},
      el(
        "summary",
        {},
        el("time", { datetime: event.time, title: event.time }, clock(event.time, true)),
        el("span", { class: "who", title: event.device ? keyOf(event) : null }, event.device ? keyOf(event) : ""),
        el("span", { class: "what" }, ...this.#parts(event)),
      ),
    );
    this.#events.set(details, event);
    return el("li", {}, details);
  }

  /** The detail of a row is made when somebody wants to see it. */
  #expand(details) {
    const event = this.#events.get(details);
    if (!event || !details.open || details.childElementCount > 1) return;
    const parts = event.event === "telemetry" ? telemetryDetail(event) : [el("pre", {}, show(event))];
    details.append(el("div", { class: "detail" }, ...parts));
  }
}

const preview = (text, most = MAX_PREVIEW) => (text.length > most ? `${text.slice(0, most)}…` : text);

function pairs(title, values) {
  const entries = Object.entries(values ?? {});
  if (entries.length === 0) return [];
  const value = (text) => (text === null ? el("dd", { class: "none" }, "null") : el("dd", {}, text));
  return [el("h4", {}, title), ...entries.flatMap(([name, text]) => [el("dt", {}, name), value(text)])];
}

function telemetryDetail(event) {
  const body =
    event.body === undefined ? event.body_base64 : event.body.trim() === "" ? event.body : (pretty(event.body) ?? event.body);
  return [
    event.body === undefined ? el("p", { class: "quiet" }, "The body is not UTF-8; in base64:") : null,
    el("pre", {}, body),
    el("dl", { class: "properties" }, ...pairs("Application properties", event.properties), ...pairs("System properties", event.system)),
  ].filter((part) => part !== null);
}

export const telemetry = {
  parts(event) {
    const properties = Object.entries(event.properties ?? {});
    const body = event.body ?? `base64 ${event.body_base64}`;
    const named = properties.map(([name, value]) => el("span", { class: "badge" }, preview(`${name}=${value ?? "null"}`)));
    return [el("span", { class: "mono" }, preview(body)), ...named];
  },
  text: (event) => `${keyOf(event)} ${event.body ?? ""} ${JSON.stringify(event.properties)} ${JSON.stringify(event.system)}`,
};

function operationText(event) {
  const json = (value) => preview(JSON.stringify(value) ?? "");
  switch (event.event) {
    case "connected":
      return `${event.protocol}, ${event.session_present ? "session resumed" : "new session"}${event.clean_session ? "" : ", kept"}`;
    case "disconnected":
      return `${event.code}: ${event.reason}`;
    case "refused": {
      const code = (event.return_code ?? null) === null ? "without a CONNACK" : `CONNACK ${event.return_code}`;
      const who = event.registration === undefined ? "" : `registration ${event.registration}: `;
      return `${who}${event.code}: ${event.reason} (${code})`;
    }
    case "c2d":
    case "input": {
      const to = event.input === undefined ? "" : `${event.input}: `;
      return `${to}${event.state}, message ${event.message_id ?? "without an id"}, delivery ${event.delivery_count}`;
    }
    case "twin":
      if (event.status !== undefined) return `${event.section} refused with ${event.status}: ${event.reason}`;
      return `${event.section}, version ${event.version}: ${json(event.patch)}`;
    case "method":
      return `${event.name} answered ${event.status}: ${json(event.response)}`;
    case "provisioned":
      return `registration ${event.registration}${event.group === null ? "" : ` of the group ${event.group}`}, ${event.substatus}`;
    case "identity":
      return event.change;
    case "subscribed":
      return Object.entries(event.filters).map(([filter, qos]) => `${filter} at QoS ${qos}`).join(", ");
    case "unsubscribed":
      return event.filters.join(", ");
    case "fault": {
      const left = event.waiting === null ? "it waits for its time" : `${number(event.waiting)} more to come`;
      return `${event.name} for ${event.target}: ${event.note ?? `${number(event.reached)} reached, ${left}`}`;
    }
    case "ignored":
      return `${event.what} of ${event.topic}, by the setting ${event.rule}`;
    case "lost":
      return event.count === null ? "the hub cannot tell what came in between" : `${number(event.count)} events came too fast to be kept`;
    case "restarted":
      return "another hub serves this port now";
    default:
      return json(event);
  }
}

export const operations = {
  parts: (event) => [el("span", { class: "kind", "data-kind": event.event }, event.event), el("span", {}, preview(operationText(event), event.event === "refused" ? MAX_REASON : MAX_PREVIEW))],
  text: (event) => `${event.device ? keyOf(event) : ""} ${event.event} ${operationText(event)}`,
};
