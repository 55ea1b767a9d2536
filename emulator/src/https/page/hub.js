// What the page asks of the hub: its own answers without a token, the service API with one.

const API = "api-version=2021-04-12";

let token = null;

/** A refusal of the hub. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function send(path, init) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...init });
  } catch {
    throw new Refused(0, "The hub cannot be reached.");
  }
  if (response.ok) return response;
  throw new Refused(response.status, explain(response.status, await response.text()));
}

/** The service API writes `ErrorCode:Name;text`. */
function explain(status, body) {
  try {
    const { Message, message } = JSON.parse(body);
    const text = String(Message ?? message);
    const parts = /^ErrorCode:([^;]*);(.*)$/s.exec(text);
    return parts ? `${status} ${parts[1]}: ${parts[2]}` : `${status}: ${text}`;
  } catch {
    return `${status}: ${body || "no explanation"}`;
  }
}

/** What `/emulator/` answers. */
export async function ask(path, method = "GET", body = undefined) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const response = await send(`/emulator/${path}`, { method, headers, body: body && JSON.stringify(body) });
  return response.status === 204 ? null : response.json();
}

/** A request of the service API; `body` is a string or absent. */
export async function service(method, path, { body, headers = {}, signal } = {}) {
  const request = async () => {
    if (token === null || token.expires - 60 < Date.now() / 1000) token = await ask("token");
    const all = { authorization: token.token, ...headers };
    if (body !== undefined && !("content-type" in all)) all["content-type"] = "application/json; charset=utf-8";
    return send(`${path}?${API}`, { method, headers: all, body, signal });
  };
  let response;
  try {
    response = await request();
  } catch (failure) {
    // Another hub than the one that gave the token may serve the port now.
    if (failure.status !== 401) throw failure;
    token = null;
    response = await request();
  }
  const text = response.status === 204 ? "" : await response.text();
  return { headers: response.headers, text, json: () => JSON.parse(text) };
}

/** `prefix/DEVICE` or `prefix/DEVICE/modules/MODULE`. */
export function path(prefix, { device, module }) {
  const start = `/${prefix}/${encodeURIComponent(device)}`;
  return module ? `${start}/modules/${encodeURIComponent(module)}` : start;
}

/** UTF-8 as a header carries it. */
export function headerText(text) {
  if (/[\r\n\0]/.test(text)) throw new Error("A property of a message cannot hold a line feed.");
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** JSON in ASCII alone. */
export function asciiJson(value) {
  return JSON.stringify(value).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
