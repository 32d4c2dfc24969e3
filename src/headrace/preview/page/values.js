// Values as text, as a browser's console shows them: never runs a getter, never goes on for ever.
//
// `page.js` of a preview is values.js, told.js and versions.js in one function, with `config` from the server in front.

const LONGEST_TEXT = 4000;
const MOST_KEYS = 50;
const DEEPEST = 4;

function show(value, state = { left: LONGEST_TEXT, above: [] }, depth = 0) {
  if (state.left <= 0) return "";
  const text = depth === 0 && typeof value === "string" ? value : part(value, state, depth);
  state.left -= Math.min(text.length, 50);
  return text.length > LONGEST_TEXT ? text.slice(0, LONGEST_TEXT) : text;
}

function part(value, state, depth) {
  switch (typeof value) {
    case "string": return quoted(value);
    case "bigint": return `${value}n`;
    case "symbol": return value.toString();
    case "function": return signature(value);
    case "object": return value === null ? "null" : object(value, state, depth);
    default: return Object.is(value, -0) ? "-0" : String(value);
  }
}

function quoted(text) {
  const cut = text.length > 1000 ? `${text.slice(0, 1000)}…` : text;
  return cut.includes("'") && !cut.includes('"') ? `"${cut}"` : `'${cut.replaceAll("'", "\\'")}'`;
}

function signature(value) {
  const name = own(value, "name");
  const isClass = /^class\b/.test(Function.prototype.toString.call(value).slice(0, 6));
  return `${isClass ? "class" : "ƒ"} ${typeof name === "string" ? name.slice(0, 100) : ""}${isClass ? "" : "()"}`.trim();
}

function own(value, key) {
  try {
    const found = Object.getOwnPropertyDescriptor(value, key);
    return found && "value" in found ? found.value : undefined;
  } catch {
    return undefined;
  }
}

function className(value) {
  try {
    for (let at = value, steps = 0; at && steps < 5; at = Object.getPrototypeOf(at), steps++) {
      const made = own(at, "constructor");
      const name = typeof made === "function" && own(made, "name");
      if (typeof name === "string" && name) return name.slice(0, 100);
    }
  } catch { /* a proxy's trap */ }
  return "";
}

function object(value, state, depth) {
  if (state.above.includes(value)) return "[Circular]";
  state.above.push(value);
  try {
    return special(value, state, depth) ?? plain(value, state, depth);
  } catch {
    return "[object that can't be shown]";
  } finally {
    state.above.pop();
  }
}

function special(value, state, depth) {
  if (value instanceof Error) return errorText(value, state, depth);
  if (value instanceof Node) return node(value);
  if (value instanceof Date) return isNaN(value) ? "Invalid Date" : Date.prototype.toISOString.call(value);
  if (value instanceof RegExp) return RegExp.prototype.toString.call(value).slice(0, 1000);
  if (value instanceof Promise) return "Promise {}";
  if (value instanceof WeakMap || value instanceof WeakSet) return `${className(value)} {}`;
  if (value instanceof Map || value instanceof Set) return collection(value, state, depth);
  if (Array.isArray(value)) return list(value, value.length, "", state, depth);
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return list(value, value.length, `${className(value)}(${value.length}) `, state, depth);
  }
  if (value instanceof ArrayBuffer) return `ArrayBuffer(${value.byteLength})`;
  if (value instanceof Event) return `${className(value)} {type: ${quoted(value.type)}}`;
  if (value === window) return "Window";
  for (const Boxed of [String, Number, Boolean]) {
    if (value instanceof Boxed) return `${Boxed.name} {${part(Boxed.prototype.valueOf.call(value), state, depth)}}`;
  }
  return undefined;
}

function errorText(error, state, depth) {
  let text = String(error.stack || "");
  const head = `${error.name}: ${error.message}`;
  // Firefox and Safari leave the message out of the stack.
  if (!text.includes(String(error.message))) text = text ? `${head}\n${text}` : head;
  text = text.slice(0, 2000);
  const cause = own(error, "cause");
  if (cause !== undefined && depth < DEEPEST) text += `\nCaused by: ${part(cause, state, depth + 1)}`;
  const errors = own(error, "errors");
  if (Array.isArray(errors) && depth < DEEPEST) text += `\n${part(errors, state, depth + 1)}`;
  return text;
}

function node(value) {
  if (value instanceof Document) return "#document";
  if (value instanceof Element) {
    const id = value.getAttribute("id");
    const names = (value.getAttribute("class") ?? "").trim();
    const of = id ? `#${id}` : names ? `.${names.split(/\s+/).join(".")}` : "";
    return `<${value.localName}${of.slice(0, 100)}>`;
  }
  if (value instanceof Text) return `#text ${quoted(value.data.slice(0, 100))}`;
  return value.nodeName;
}

function list(value, length, prefix, state, depth) {
  if (depth >= DEEPEST) return `Array(${length})`;
  const parts = [];
  for (let at = 0; at < length && at < MOST_KEYS && state.left > 0; at++) {
    const found = Object.getOwnPropertyDescriptor(value, at);
    parts.push(!found ? "empty" : "value" in found ? show(found.value, state, depth + 1) || "…" : "(...)");
  }
  if (length > parts.length) parts.push("…");
  return `${prefix}[${parts.join(", ")}]`;
}

function collection(value, state, depth) {
  const isMap = value instanceof Map;
  const size = Object.getOwnPropertyDescriptor((isMap ? Map : Set).prototype, "size").get.call(value);
  const head = `${className(value)}(${size}) `;
  if (depth >= DEEPEST) return `${head}{…}`;
  const parts = [];
  const each = (item, key) => {
    if (parts.length >= MOST_KEYS || state.left <= 0) return;
    const shown = show(item, state, depth + 1);
    parts.push(isMap ? `${show(key, state, depth + 1)} => ${shown}` : shown);
  };
  (isMap ? Map : Set).prototype.forEach.call(value, each);
  if (size > parts.length) parts.push("…");
  return `${head}{${parts.join(", ")}}`;
}

function plain(value, state, depth) {
  const name = className(value);
  const head = name && name !== "Object" ? `${name} ` : "";
  if (depth >= DEEPEST) return head ? `${head}{…}` : "{…}";
  const parts = [];
  const keys = Reflect.ownKeys(value);
  for (const key of keys) {
    if (parts.length >= MOST_KEYS || state.left <= 0) break;
    const found = Object.getOwnPropertyDescriptor(value, key);
    if (!found?.enumerable) continue;
    const label = typeof key === "symbol" ? `[${key.toString()}]` : /^[\w$]+$/.test(key) ? key : quoted(key);
    parts.push(`${label.slice(0, 100)}: ${"value" in found ? show(found.value, state, depth + 1) || "…" : "(...)"}`);
  }
  if (parts.length >= MOST_KEYS && keys.length > MOST_KEYS) parts.push("…");
  return `${head}{${parts.join(", ")}}`;
}

/** All arguments of a console call as one text, with `%s` and its kind filled in. */
function message(values) {
  const rest = [...values];
  const parts = [];
  if (typeof rest[0] === "string" && rest.length > 1 && rest[0].includes("%")) {
    const format = rest.shift().slice(0, LONGEST_TEXT);
    parts.push(format.replace(/%([sdifoOc%])/g, (whole, kind) => {
      if (kind === "%") return "%";
      if (!rest.length) return whole;
      const value = rest.shift();
      if (kind === "c") return "";
      if (kind === "s") return show(value);
      if (kind === "d" || kind === "i") return typeof value === "object" ? "NaN" : String(parseInt(value, 10));
      if (kind === "f") return typeof value === "object" ? "NaN" : String(parseFloat(value));
      return show(value);
    }));
  }
  const state = { left: LONGEST_TEXT, above: [] };
  for (const value of rest) {
    if (state.left <= 0) break;
    parts.push(show(value, state));
  }
  return parts.join(" ").slice(0, LONGEST_TEXT);
}
