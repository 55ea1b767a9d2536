// The devices and modules as the page knows them, and their list.

import { byId, clock, el, number } from "./dom.js";

/** How many rows there are before somebody asks for more. */
const PAGE = 200;

export const keyOf = ({ device, module }) => (module ? `${device}/${module}` : device);

const { compare } = new Intl.Collator("en", { numeric: true });

/** By the device, and its modules after it. */
const byName = (a, b) => compare(a.device, b.device) || (a.device < b.device ? -1 : a.device > b.device ? 1 : 0) || compare(a.module ?? "", b.module ?? "");

/** What an auth method's JSON says in a word or two. */
export function authText(method) {
  try {
    const { scope, type } = JSON.parse(method);
    return scope === "hub" ? `${type} of a policy` : String(type);
  } catch {
    return method ?? "";
  }
}

/** Messages in these states are in the queue still. */
const QUEUED = { queued: 1, delivered: 0, unlocked: 0, dropped: 0 };

export class Devices {
  #known = new Map();
  /** Whether the hub has told what there is. */
  loaded = false;
  #rows = new Map();
  #changed = new Set();
  #restructured = true;
  #order = null;
  #limit = PAGE;
  #filter = "";
  #selected = "";
  #select;

  constructor(select, schedule) {
    this.#select = select;
    byId("device-filter").addEventListener("input", (event) => {
      this.#filter = event.target.value.trim().toLowerCase();
      this.#limit = PAGE;
      this.#restructured = true;
      schedule();
    });
    byId("device-more").addEventListener("click", () => {
      this.#limit += 5 * PAGE;
      this.#restructured = true;
      schedule();
    });
    const list = byId("device-list");
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.#select(button.dataset.key);
    });
    list.addEventListener("keydown", (event) => this.#move(event));
  }

  get(key) {
    return this.#known.get(key);
  }

  replace(all) {
    this.loaded = true;
    this.#known = new Map(all.map((device) => [keyOf(device), device]));
    this.#rows = new Map();
    this.#order = null;
    this.#restructured = true;
  }

  select(key) {
    this.#changed.add(this.#selected).add(key);
    this.#selected = key;
  }

  counts() {
    const all = [...this.#known.values()];
    return { all: all.length, connected: all.filter((device) => device.connected).length };
  }

  /** Brings what an event tells in; false where that is not enough to go by. */
  apply(event) {
    if (event.device === null) return true;
    const key = keyOf(event);
    if (event.event === "identity") {
      if (event.change !== "deleted") return false;
      this.#restructured = this.#known.delete(key) || this.#restructured;
      this.#order = null;
      return true;
    }
    const device = this.#known.get(key);
    if (!device) return true;
    const { time, code, reason } = event;
    switch (event.event) {
      case "connected":
        Object.assign(device, { connected: true, since: time, protocol: event.protocol, auth: event.auth });
        break;
      case "disconnected":
        Object.assign(device, { connected: false, since: time, protocol: null, auth: null });
        device.trouble = { event: "disconnected", time, code, reason };
        break;
      case "refused":
        device.trouble = { event: "refused", time, code, reason };
        break;
      case "c2d":
      case "input":
        device.queue = Math.max(0, device.queue + (QUEUED[event.state] ?? -1));
        break;
      default:
    }
    if (event.event !== "c2d" && event.event !== "input" && event.event !== "refused") device.last_activity = time;
    if (event.event !== "telemetry") this.#changed.add(key);
    return true;
  }

  render() {
    if (this.#restructured) this.#rebuild();
    else this.#changed.forEach((key) => this.#update(key));
    if (this.#restructured || this.#changed.size > 0) this.#count();
    this.#restructured = false;
    this.#changed.clear();
  }

  #matching() {
    this.#order ??= [...this.#known.values()].sort(byName).map(keyOf);
    if (this.#filter === "") return this.#order;
    return this.#order.filter((key) => key.toLowerCase().includes(this.#filter));
  }

  #rebuild() {
    const matching = this.#matching();
    const shown = matching.slice(0, this.#limit);
    const list = byId("device-list");
    const focused = document.activeElement?.closest?.("#device-list button")?.dataset.key;
    list.replaceChildren(...["", ...shown].map((key) => this.#update(key)));
    if (focused !== undefined) this.#rows.get(focused)?.firstChild.focus();
    const more = byId("device-more");
    more.hidden = shown.length === matching.length;
    more.textContent = `Show more of ${number(matching.length - shown.length)} not shown`;
  }

  #count() {
    if (!this.loaded) {
      byId("device-count").textContent = "…";
      return;
    }
    const { all, connected } = this.counts();
    const matching = this.#filter === "" ? "" : `, ${number(this.#matching().length)} match`;
    byId("device-count").textContent = `${number(all)} registered, ${number(connected)} connected${matching}`;
  }

  /** The row of `key` as it is now. */
  #update(key) {
    const device = this.#known.get(key);
    if (!device && key !== "") return null;
    let row = this.#rows.get(key);
    if (!row) {
      row = el("li", {}, el("button", { type: "button", "data-key": key, class: device?.module ? "module" : "" }));
      this.#rows.set(key, row);
    }
    const button = row.firstChild;
    const current = key === this.#selected;
    button.setAttribute("aria-current", current);
    // One stop for the Tab key; the arrows go on from there.
    button.tabIndex = current ? 0 : -1;
    if (!device) {
      button.replaceChildren(el("span"), el("span", { class: "name" }, "All devices"));
      return row;
    }
    const name = device.module ?? device.device;
    const badges = el("span", {});
    if (device.queue > 0) badges.append(el("span", { class: "badge" }, `${device.queue} queued`));
    if (!device.enabled) badges.append(" ", el("span", { class: "badge" }, "disabled"));
    const refused = device.trouble?.event === "refused" && !device.connected;
    const since = device.since ? ` since ${clock(device.since)}` : "";
    const state = device.connected
      ? `connected${since}, ${device.protocol}`
      : `${device.since ? "disconnected" : "not connected yet"}${since}`;
    const note = refused ? `refused at ${clock(device.trouble.time)}: ${device.trouble.code}` : state;
    button.replaceChildren(
      el("span", { class: "dot", "data-on": String(device.connected) }),
      el("span", { class: "name", title: key }, name),
      badges,
      el("span", { class: refused ? "note bad" : "note" }, note),
    );
    return row;
  }

  #move(event) {
    const buttons = [...byId("device-list").querySelectorAll("button")];
    const at = buttons.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    buttons[Math.min(Math.max(to, 0), buttons.length - 1)].focus();
  }
}
