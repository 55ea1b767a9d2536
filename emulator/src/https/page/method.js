// A direct method: a call, and the answer of the device.

import { byId, onSubmit } from "./dom.js";
import { path, service } from "./hub.js";
import { pretty } from "./json.js";
import { keyOf } from "./devices.js";

export function methodPanel({ target }) {
  const payload = byId("method-payload");
  const wrong = byId("method-payload-error");

  onSubmit(byId("method-form"), byId("method-error"), async () => {
    const to = target();
    const text = payload.value.trim();
    wrong.textContent = byId("method-result").textContent = "";
    byId("method-answer").hidden = true;
    payload.removeAttribute("aria-invalid");
    try {
      if (text !== "") JSON.parse(text);
    } catch (failure) {
      wrong.textContent = failure.message;
      payload.setAttribute("aria-invalid", "true");
      return;
    }
    // The payload goes as it was written, whatever its numbers are.
    const fields = [
      `"methodName":${JSON.stringify(byId("method-name").value)}`,
      `"responseTimeoutInSeconds":${Number(byId("method-response").value)}`,
      `"connectTimeoutInSeconds":${Number(byId("method-connect").value)}`,
    ];
    if (text !== "") fields.push(`"payload":${text}`);
    byId("method-result").textContent = "Waiting for the answer.";
    try {
      const answer = await service("POST", `${path("twins", to)}/methods`, { body: `{${fields.join(",")}}` });
      if (!target() || keyOf(target()) !== keyOf(to)) return;
      byId("method-result").textContent = `The device answered with status ${answer.json().status}.`;
      byId("method-answer").textContent = pretty(JSON.stringify(answer.json().payload ?? null));
      byId("method-answer").hidden = false;
    } catch (failure) {
      byId("method-result").textContent = "";
      throw failure;
    }
  });

  return {
    clear() {
      for (const id of ["method-result", "method-error", "method-payload-error"]) byId(id).textContent = "";
      byId("method-answer").hidden = true;
    },
  };
}
