// The page: which device and which view are chosen, and what goes where when something happens.

import { byId, clock, el, number, throttled } from "./dom.js";
import { Devices, authText, keyOf } from "./devices.js";
import { Feed, operations, telemetry } from "./feed.js";
import { follow } from "./stream.js";
import { twinPanel } from "./twin.js";
import { messagePanel } from "./message.js";
import { methodPanel } from "./method.js";
import { addPanel, identityPanel } from "./identity.js";
import { faultsPanel } from "./faults.js";

/** Milliseconds between two renderings at least. */
const PAUSE = 100;

const schedule = throttled(PAUSE, () => requestAnimationFrame(render));
const devices = new Devices((key) => go(key, tab), schedule);
const feeds = {
  telemetry: new Feed("telemetry", telemetry, schedule),
  operations: new Feed("operations", operations, schedule),
};
let tab = "telemetry";
/** `{device, module}`, or null for all. */
let target = null;

const context = {
  devices,
  target: () => target,
  refresh: () => refresh(),
  go: (key, view) => go(key, view),
};
const panels = {
  twin: twinPanel(context),
  message: messagePanel(context),
  method: methodPanel(context),
  identity: identityPanel(context),
  faults: faultsPanel(context),
  add: addPanel(context),
};

function parseKey(key) {
  if (key === "") return null;
  const slash = key.indexOf("/");
  return slash < 0 ? { device: key, module: null } : { device: key.slice(0, slash), module: key.slice(slash + 1) };
}

/** Chooses by way of the address, so that going back and a reload work. */
function go(key, view) {
  const hash = new URLSearchParams({ ...(key ? { device: key } : {}), view });
  if (`#${hash}` === location.hash) choose();
  else location.hash = hash;
}

const tabs = () => [...byId("tabs").children];
const offered = (button) => !button.dataset.needs || (button.dataset.needs === "device") === (target !== null);

function choose() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const key = hash.get("device") ?? "";
  const changed = key !== (target ? keyOf(target) : "");
  target = parseKey(key);
  devices.select(key);
  for (const button of tabs()) button.hidden = !offered(button);
  const wanted = byId(`tab-${hash.get("view")}`);
  tab = wanted && offered(wanted) ? hash.get("view") : "telemetry";
  for (const button of tabs()) {
    const selected = button.id === `tab-${tab}`;
    button.setAttribute("aria-selected", selected);
    button.tabIndex = selected ? 0 : -1;
    byId(button.getAttribute("aria-controls")).hidden = !selected;
  }
  for (const [name, feed] of Object.entries(feeds)) {
    feed.visible = name === tab;
    feed.again();
  }
  if (changed) Object.values(panels).forEach((panel) => panel.clear?.());
  panels[tab]?.show?.();
  schedule();
}

function setUpTabs() {
  byId("tabs").addEventListener("click", (event) => {
    const button = event.target.closest("[role=tab]");
    if (button) go(target ? keyOf(target) : "", button.id.slice("tab-".length));
  });
  byId("tabs").addEventListener("keydown", (event) => {
    const shown = tabs().filter((button) => !button.hidden);
    const at = shown.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const button = shown.at(to % shown.length);
    button.focus();
    button.click();
  });
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
  });
}

const ofTarget = (event) =>
  target === null || (event.device === target.device && (target.module === null || event.module === target.module));

function setUpFeeds() {
  feeds.telemetry.wanted = ofTarget;
  const kind = byId("operations-kind");
  feeds.operations.wanted = (event) => {
    const everybodys = event.event === "lost" || event.event === "restarted";
    const kinds = kind.value === "" ? null : kind.value.split(" ");
    return everybodys || (ofTarget(event) && (kinds === null || kinds.includes(event.event)));
  };
  kind.addEventListener("change", () => {
    feeds.operations.again();
    schedule();
  });
}

function fact(name, value, attributes = {}) {
  return value ? el("div", {}, el("dt", {}, name), el("dd", attributes, value)) : null;
}

let shownFacts = "";

function renderTarget() {
  const device = target && devices.get(keyOf(target));
  const parts = [];
  if (target === null) {
    const { all, connected } = devices.counts();
    const told = (count) => (devices.loaded ? number(count) : "…");
    parts.push(["Registered", told(all)], ["Connected", told(connected)]);
  } else if (!device) {
    parts.push(["State", devices.loaded ? "not registered" : "…"]);
  } else {
    const since = device.since ? ` since ${clock(device.since)}` : "";
    const waits = target.module ? "Waiting at its inputs" : "Messages in its queue";
    const kind = { key: "a key", thumbprint: "a thumbprint", authority: "a trusted authority", none: "nothing yet" }[device.credential];
    const enabled = device.enabled ? "enabled" : `disabled${device.status_reason ? `: ${device.status_reason}` : ""}`;
    parts.push(
      ["State", (device.connected ? "connected" : device.since ? "disconnected" : "not connected yet") + since],
      ["Protocol", device.protocol],
      ["Let in by", device.auth ? authText(device.auth) : ""],
      ["Registered with", kind],
      ["Registration", enabled],
      [waits, String(device.queue)],
      ["Last activity", clock(device.last_activity)],
      ["Model", device.model_id],
    );
  }
  const trouble = device?.trouble;
  const now = JSON.stringify([target, parts, trouble]);
  if (now === shownFacts) return;
  shownFacts = now;
  panels[tab]?.changed?.();
  byId("target-name").textContent = target ? keyOf(target) : "All devices";
  byId("facts").replaceChildren(...parts.map(([name, value]) => fact(name, value)).filter(Boolean));
  const box = byId("trouble");
  box.hidden = !trouble;
  if (trouble) {
    box.dataset.event = trouble.event;
    const what = trouble.event === "refused" ? "Refused" : "Disconnected";
    box.replaceChildren(el("strong", {}, `${what} at ${clock(trouble.time)}`), ` ${trouble.code}: ${trouble.reason}`);
  }
}

function render() {
  devices.render();
  renderTarget();
  feeds.telemetry.render();
  feeds.operations.render();
}

setUpTabs();
setUpFeeds();
window.addEventListener("hashchange", choose);
choose();

const refresh = follow({
  onState(state) {
    const link = byId("link");
    link.dataset.state = state;
    link.textContent = state;
  },
  onSnapshot(snapshot, fresh) {
    byId("hub-name").textContent = snapshot.hub;
    document.title = `${snapshot.hub}, local hub`;
    devices.replace(snapshot.devices);
    if (fresh) {
      if (context.started) feeds.operations.push({ event: "restarted", time: new Date().toISOString(), device: null }, 100);
      snapshot.operations.forEach((event) => feeds.operations.push(event, JSON.stringify(event).length));
      if (context.started) panels[tab]?.show?.();
      context.started = true;
      // Before the page calls itself live.
      render();
    }
    schedule();
  },
  onEvent(event, size, included) {
    (event.event === "telemetry" ? feeds.telemetry : feeds.operations).push(event, size);
    if (!included && !devices.apply(event)) refresh();
    if (event.event !== "telemetry") Object.values(panels).forEach((panel) => panel.event?.(event));
    schedule();
  },
});
