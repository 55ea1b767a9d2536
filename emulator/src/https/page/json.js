// JSON for people to read.

const MAX_DEPTH = 100;

/** `text` with line feeds and indents if it is JSON, else null. Numbers stay as they were written. */
export function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  // Tokens: strings, punctuation, everything else that is not white space.
  const tokens = text.match(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let out = "";
  let depth = 0;
  const line = () => "\n" + "  ".repeat(depth);
  for (let i = 0; i < tokens.length; i += 1) {
    const token = tokens[i];
    if (token === "{" || token === "[") {
      const end = tokens[i + 1];
      if (end === "}" || end === "]") {
        out += token + end;
        i += 1;
        continue;
      }
      depth += 1;
      // What is nested deeper than people read would be mostly indent.
      if (depth > MAX_DEPTH) return text;
      out += token + line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
      out += line() + token;
    } else if (token === ",") {
      out += token + line();
    } else if (token === ":") {
      out += ": ";
    } else {
      out += token;
    }
  }
  return out;
}

export const show = (value) => JSON.stringify(value, null, 2);

/** The object that `text` holds; an empty text is an empty object. */
export function parseObject(text) {
  const value = text.trim() === "" ? {} : JSON.parse(text);
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Error("This must be a JSON object.");
  }
  return value;
}
