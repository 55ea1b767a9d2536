// The registration of a device or module: its connection string, enabling, deleting, adding.

import { byId, onClick, onSubmit } from "./dom.js";
import { ask, path, service } from "./hub.js";
import { keyOf } from "./devices.js";

/** Asks before something is gone for good. */
function confirmed(text) {
  const dialog = byId("confirm");
  byId("confirm-text").textContent = text;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
byId("confirm-yes").addEventListener("click", () => byId("confirm").close("yes"));
byId("confirm-no").addEventListener("click", () => byId("confirm").close("no"));

export function identityPanel({ target, devices, go, refresh }) {
  const secret = byId("identity-secret");
  const error = byId("identity-error");
  const result = byId("identity-result");
  const connectionString = async () =>
    (await ask(`connection_string?id=${encodeURIComponent(keyOf(target()))}`)).connection_string;

  function hide() {
    secret.hidden = true;
    secret.textContent = "";
    byId("identity-show").textContent = "Show";
    byId("identity-show").setAttribute("aria-expanded", "false");
  }

  onClick(byId("identity-show"), error, async () => {
    if (!secret.hidden) {
      hide();
      return;
    }
    secret.textContent = await connectionString();
    secret.hidden = false;
    byId("identity-show").textContent = "Hide";
    byId("identity-show").setAttribute("aria-expanded", "true");
  });
  onClick(byId("identity-copy"), error, async () => {
    await navigator.clipboard.writeText(await connectionString());
    result.textContent = "Copied.";
  });

  function label() {
    const device = target() && devices.get(keyOf(target()));
    byId("identity-toggle").hidden = byId("identity-form").firstElementChild.hidden = Boolean(target()?.module);
    byId("identity-toggle").textContent = device?.enabled === false ? "Enable" : "Disable";
  }

  onSubmit(byId("identity-form"), error, async () => {
    const to = target();
    const identity = (await service("GET", path("devices", to))).json();
    const status = identity.status === "disabled" ? "enabled" : "disabled";
    const changed = { ...identity, status, statusReason: byId("identity-reason").value || null };
    await service("PUT", path("devices", to), {
      body: JSON.stringify(changed),
      headers: { "if-match": `"${identity.etag}"` },
    });
    byId("identity-reason").value = "";
    result.textContent = status === "disabled" ? "Disabled; a connection of it is cut." : "Enabled.";
    refresh();
  });

  onClick(byId("identity-delete"), error, async () => {
    const to = target();
    if (!(await confirmed(`Delete ${keyOf(to)} with its twin and its messages?`))) return;
    await service("DELETE", path("devices", to), { headers: { "if-match": "*" } });
    refresh();
    go("", "telemetry");
  });

  return {
    show: label,
    clear() {
      hide();
      result.textContent = error.textContent = "";
    },
    changed: label,
  };
}

export function addPanel({ go, refresh }) {
  const kind = byId("add-kind");
  const value = (id) => byId(id).value.trim();

  function label() {
    const what = kind.value === "sas" ? "key" : "thumbprint";
    byId("add-secrets").hidden = kind.value === "certificateAuthority";
    byId("add-primary-label").textContent = `Primary ${what}`;
    byId("add-secondary-label").textContent = `Secondary ${what}`;
    for (const id of ["add-primary", "add-secondary"]) {
      byId(id).value = "";
      byId(id).placeholder = what === "key" ? "made up" : id === "add-primary" ? "40 or 64 hexadecimal digits" : "";
    }
  }
  kind.addEventListener("change", label);
  label();

  function authentication() {
    const type = kind.value;
    const [primary, secondary] = [value("add-primary") || null, value("add-secondary") || null];
    if (type === "sas") {
      // The hub makes up both or neither.
      if (!primary && !secondary) return { type };
      if (!primary || !secondary) throw new Error("Both keys or none.");
      return { type, symmetricKey: { primaryKey: primary, secondaryKey: secondary } };
    }
    if (type === "certificateAuthority") return { type };
    if (!primary) throw new Error("A thumbprint is needed.");
    return { type, x509Thumbprint: { primaryThumbprint: primary, secondaryThumbprint: secondary } };
  }

  onSubmit(byId("add-form"), byId("add-error"), async () => {
    byId("add-result").textContent = "";
    const to = { device: value("add-device"), module: value("add-module") || null };
    const identity = { deviceId: to.device, authentication: authentication() };
    if (to.module) identity.moduleId = to.module;
    else identity.status = "enabled";
    await service("PUT", path("devices", to), { body: JSON.stringify(identity) });
    refresh();
    byId("add-form").reset();
    label();
    byId("add-result").textContent = `Added ${keyOf(to)}.`;
    go(keyOf(to), "identity");
  });
  return {};
}
