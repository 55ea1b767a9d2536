// The twin of a device: read, edited, and read again when the device or somebody else changes it.

import { byId, onSubmit, throttled } from "./dom.js";
import { path, service } from "./hub.js";
import { parseObject, show } from "./json.js";
import { keyOf } from "./devices.js";

/** Without what the hub adds. */
function bare(section) {
  const { $metadata, $version, ...rest } = section ?? {};
  return rest;
}

export function twinPanel({ target }) {
  const areas = { desired: byId("twin-desired"), tags: byId("twin-tags") };
  const errors = { desired: byId("twin-desired-error"), tags: byId("twin-tags-error") };
  const read = { desired: "", tags: "" };
  let etag = null;
  let shown = "";

  const edited = (name) => areas[name].value !== read[name];
  const isEdited = () => edited("desired") || edited("tags");

  /** With `keep` the text that is being edited stays, and `changed` says that it is of an older twin. */
  function fill(twin, keep, changed) {
    etag = twin.etag;
    const { desired, reported } = twin.properties ?? {};
    byId("twin-reported").textContent = show(bare(reported));
    byId("twin-versions").textContent =
      `Version ${twin.version}, desired ${desired?.$version ?? "?"}, reported ${reported?.$version ?? "?"}`;
    byId("twin-changed").hidden = !(keep && changed);
    if (keep) return;
    read.desired = areas.desired.value = show(bare(desired));
    read.tags = areas.tags.value = show(twin.tags ?? {});
  }

  async function load(force) {
    const wanted = target();
    if (!wanted || byId("panel-twin").hidden) return;
    const key = keyOf(wanted);
    try {
      const twin = (await service("GET", path("twins", wanted))).json();
      if (!target() || keyOf(target()) !== key) return;
      const stale = twin.etag !== etag && etag !== null;
      fill(twin, !force && shown === key && isEdited(), stale || !byId("twin-changed").hidden);
      shown = key;
    } catch (failure) {
      byId("twin-error").textContent = failure.message;
    }
  }
  const loadSoon = throttled(250, () => load(false));

  function section(name) {
    errors[name].textContent = "";
    areas[name].removeAttribute("aria-invalid");
    try {
      return parseObject(areas[name].value);
    } catch (failure) {
      fail(name, failure.message);
      return null;
    }
  }

  function fail(name, text) {
    errors[name].textContent = text;
    areas[name].setAttribute("aria-invalid", "true");
  }

  onSubmit(byId("twin-form"), byId("twin-error"), async (button) => {
    byId("twin-result").textContent = "";
    const replace = button?.value === "replace";
    const desired = section("desired");
    const tags = section("tags");
    if (!desired || !tags) return;
    const change = {};
    if (replace || edited("desired")) change.properties = { desired };
    if (replace || edited("tags")) change.tags = tags;
    if (Object.keys(change).length === 0) {
      byId("twin-result").textContent = "Nothing was edited.";
      return;
    }
    // What somebody else has written meanwhile is not to be replaced unseen.
    const headers = replace ? { "if-match": `"${etag}"` } : {};
    try {
      const answer = await service(replace ? "PUT" : "PATCH", path("twins", target()), { body: JSON.stringify(change), headers });
      fill(answer.json(), false, false);
      byId("twin-result").textContent = replace ? "Replaced." : "Merged.";
    } catch (failure) {
      const where = ["tags", "desired"].filter((name) => failure.message.includes(name));
      const only = Object.keys(change).length > 1 ? null : change.tags ? "tags" : "desired";
      const name = where.length === 1 ? where[0] : only;
      if (failure.status !== 400 || !name) throw failure;
      fail(name, failure.message);
    }
  });
  byId("twin-reload").addEventListener("click", () => load(true));

  return {
    show: () => load(false),
    clear() {
      etag = null;
      shown = "";
      read.desired = areas.desired.value = "";
      read.tags = areas.tags.value = "";
      byId("twin-reported").textContent = byId("twin-versions").textContent = "";
      byId("twin-changed").hidden = true;
      for (const id of ["twin-result", "twin-error", "twin-desired-error", "twin-tags-error"]) byId(id).textContent = "";
      for (const area of Object.values(areas)) area.removeAttribute("aria-invalid");
    },
    event(event) {
      const wanted = target();
      if (event.event === "twin" && wanted && keyOf(event) === keyOf(wanted)) loadSoon();
      if (event.event === "lost") loadSoon();
    },
  };
}
