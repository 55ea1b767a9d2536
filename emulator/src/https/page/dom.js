// Elements out of text. Text from the network becomes text nodes and attributes here and nowhere
// markup; the page's policy lets no script do otherwise.

export const byId = (id) => document.getElementById(id);

/** An element with `attributes`; children are elements and texts. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const two = (number) => String(number).padStart(2, "0");

/** The time of day here, with the day where it is not today. */
export function clock(iso, exact = false) {
  const date = new Date(iso ?? NaN);
  if (Number.isNaN(date.getTime())) return "";
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const text = exact ? `${time}.${String(date.getMilliseconds()).padStart(3, "0")}` : time;
  if (date.toDateString() === new Date().toDateString()) return text;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${text}`;
}

/** Text with thousands apart. */
export const number = (value) => value.toLocaleString("en");

/** Runs `work` for a form's submission: one at a time, with its button held and its error shown. */
export function onSubmit(form, error, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await attempt(event.submitter, error, () => work(event.submitter));
  });
}

/** The same for a button. */
export function onClick(button, error, work) {
  button.addEventListener("click", () => attempt(button, error, work));
}

async function attempt(button, error, work) {
  error.textContent = "";
  if (button) button.disabled = true;
  try {
    await work();
  } catch (failure) {
    error.textContent = failure.message;
  } finally {
    if (button) button.disabled = false;
  }
}

/** Calls `work` soon, and not again until `pause` milliseconds after that. */
export function throttled(pause, work) {
  let waiting = false;
  let last = -Infinity;
  return () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      last = performance.now();
      work();
    }, Math.max(0, last + pause - performance.now()));
  };
}
