// The events of the hub, over and over: the state of everything, then what happens after it.

import { ask } from "./hub.js";
import { throttled } from "./dom.js";

const MAX_PAUSE = 4000;

function split(id) {
  const dash = id.lastIndexOf("-");
  return { run: id.slice(0, dash), number: Number(id.slice(dash + 1)) };
}

/**
 * Follows the hub for as long as the page is there. Calls
 * `onState("live" | "reconnecting")`,
 * `onSnapshot(snapshot, fresh)` with the state of everything; `fresh` when the events before it are
 * not known to the page: at the start, and when another hub serves the port,
 * `onEvent(event, size, included)`; `included` when the last snapshot holds its effect already.
 * Returns a function that asks for another snapshot soon.
 */
export function follow({ onState, onSnapshot, onEvent }) {
  let run = null;
  let seen = 0;
  let floor = 0;
  let pause = 250;

  const snapshot = async () => {
    const state = await ask("devices");
    const at = split(state.last_event);
    const fresh = at.run !== run;
    if (fresh) {
      run = at.run;
      seen = at.number;
    }
    floor = at.number;
    onSnapshot(state, fresh);
  };
  const refresh = throttled(1000, () => snapshot().catch(() => {}));

  const open = async () => {
    try {
      await snapshot();
    } catch {
      retry();
      return;
    }
    const source = new EventSource(`/emulator/events?after=${encodeURIComponent(`${run}-${seen}`)}`);
    source.onopen = () => {
      pause = 250;
      onState("live");
    };
    source.onmessage = ({ data, lastEventId }) => {
      seen = split(lastEventId).number;
      const event = JSON.parse(data);
      onEvent(event, data.length, seen <= floor);
      if (event.event === "lost") refresh();
    };
    // The next attempt begins with a snapshot, so it is not left to the browser.
    source.onerror = () => {
      source.close();
      retry();
    };
  };
  const retry = () => {
    onState("reconnecting");
    setTimeout(open, pause);
    pause = Math.min(pause * 2, MAX_PAUSE);
  };
  open();
  return refresh;
}
