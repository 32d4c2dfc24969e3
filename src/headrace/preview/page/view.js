// The page around a preview. How it stands comes from the server alone; what the framed page says by postMessage is
// only shown in the console, and what the server heard of the same takes its place.

const { project, origin, token, after, last } = document.body.dataset;
const api = `/api/v1/projects/${project}/preview`;
const by = (id) => document.getElementById(id);
const frame = by("frame");

// ---- The console ----

const MOST_ROWS = 1000;
const LONGEST = 4096;
const rows = by("rows");
const reported = new Map();
const counts = { error: 0, warn: 0 };
const filter = { level: "all", text: "" };
let newest = null;

const element = (name, className, text) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

const placeText = (at) => at ? [at.file, at.line, at.column].filter((part) => part != null).join(":") : "";

function add(entry) {
  const known = entry.report && reported.get(entry.report);
  if (known) return replace(known, entry);
  if (newest && sameText(newest.entry, entry)) return again(newest, entry);
  const item = { entry, times: 1, line: element("li", "row") };
  draw(item);
  const atEnd = rows.scrollHeight - rows.scrollTop - rows.clientHeight < 40;
  rows.append(item.line);
  item.line.item = item;
  newest = item;
  if (entry.report) reported.set(entry.report, item);
  count(entry.level, 1);
  while (rows.children.length > MOST_ROWS) drop(rows.firstElementChild.item);
  if (atEnd) rows.scrollTop = rows.scrollHeight;
}

// Only what the server says is drawn together: the framed page's own word will be followed by the server's.
const sameText = (one, other) => one.sure && other.sure && one.level === other.level && one.kind === other.kind
  && one.text === other.text && one.place === other.place;

function again(item, entry) {
  item.times++;
  if (entry.report) reported.set(entry.report, item);
  draw(item);
}

function replace(item, entry) {
  if (!entry.sure || item.entry.sure) return;
  count(item.entry.level, -1);
  count(entry.level, 1);
  item.entry = entry;
  draw(item);
}

function drop(item) {
  count(item.entry.level, -1);
  reported.delete(item.entry.report);
  if (newest === item) newest = null;
  item.line.remove();
}

function draw({ line, entry, times }) {
  line.dataset.level = entry.level;
  line.dataset.from = entry.from;
  const text = element("span", "text", entry.text);
  if (times > 1) text.append(element("span", "times", `  ×${times}`));
  line.replaceChildren(element("span", "kind", entry.kind), text, element("span", "place", entry.place));
  line.hidden = !passes(entry);
}

function passes(entry) {
  const { level, text } = filter;
  if (level === "error" && entry.level !== "error") return false;
  if (level === "warn" && !["error", "warn"].includes(entry.level)) return false;
  if (["page", "build"].includes(level) && entry.from !== level) return false;
  return !text || `${entry.text} ${entry.place} ${entry.kind}`.toLowerCase().includes(text);
}

function count(level, by_) {
  if (!(level in counts)) return;
  counts[level] += by_;
  for (const [id, kind, word] of [["errors", "error", "error"], ["warnings", "warn", "warning"]]) {
    by(id).hidden = !counts[kind];
    by(id).textContent = counts[kind];
    by(id).title = `${counts[kind]} ${word}${counts[kind] === 1 ? "" : "s"}`;
  }
}

function filtered() {
  filter.level = by("level").value;
  filter.text = by("search").value.trim().toLowerCase();
  for (const line of rows.children) line.hidden = !passes(line.item.entry);
}

function clear() {
  rows.replaceChildren();
  newest = null;
  counts.error = counts.warn = 0;
  count("error", 0);
  // Reports that the server has not confirmed yet must not come back.
  for (const item of reported.values()) item.entry = { ...item.entry, sure: true };
}

/** One row of what a page told, the same whether the server or the page itself says it. */
function entryOf(type, told, sure) {
  const shared = { from: "page", report: told.report, sure };
  if (type === "console") return { ...shared, level: told.level, kind: told.level, text: told.text, place: placeText(told.at) };
  if (type === "error") {
    const [first, ...others] = told.stack ?? [];
    const more = others.slice(0, 8).map((at) => `\n    at ${at.function ? `${at.function} ` : ""}${placeText(at)}`).join("");
    return { ...shared, level: "error", kind: "uncaught", text: told.message + more, place: placeText(first) };
  }
  const text = `${told.method} ${told.url} ${told.status ?? "got no answer"}`;
  return { ...shared, level: "error", kind: "request", text, place: "" };
}

// ---- What the framed page says. Anybody may have written it. ----

const SHAPES = {
  console: { level: "string", text: "string" },
  error: { message: "string" },
  request: { method: "string", url: "string" },
};
const LEVELS = new Set(["debug", "log", "info", "warn", "error"]);
const perSecond = { second: 0, heard: 0 };
let alive = false;
// Its development server is no more. Vite's client would notice, but with a shared worker, which frames may not have.
let stale = false;
let lastPage = "/";

addEventListener("message", (event) => {
  if (event.origin !== origin || event.source !== frame.contentWindow) return;
  const data = event.data;
  if (typeof data !== "object" || data === null || own(data, "source") !== "headrace-preview" || own(data, "version") !== 1) return;
  const second = Math.floor(performance.now() / 1000);
  if (second !== perSecond.second) Object.assign(perSecond, { second, heard: 0 });
  if (++perSecond.heard > 150) return;
  heard(data);
});

const own = (data, key) => Object.hasOwn(data, key) ? data[key] : undefined;

function heard(data) {
  const type = own(data, "type");
  const page = own(data, "page");
  if (typeof page === "string" && page.startsWith("/") && page.length < 2000) lastPage = page;
  if (type === "hello") {
    alive = true;
    stale = false;
    return;
  }
  if (typeof type !== "string" || !Object.hasOwn(SHAPES, type)) return;
  const told = {};
  for (const [name, kind] of Object.entries(SHAPES[type])) {
    const value = own(data, name);
    if (typeof value !== kind) return;
    told[name] = value.slice(0, LONGEST);
  }
  const id = own(data, "id");
  if (typeof id !== "string" || !/^[\w.-]{1,60}$/.test(id)) return;
  if (type === "console" && !LEVELS.has(told.level)) return;
  const status = own(data, "status");
  told.status = Number.isInteger(status) && status > 0 && status < 1000 ? status : null;
  add(entryOf(type, { ...told, report: id }, false));
}

// ---- How it stands ----

let state = { status: "building", diagnostics: [] };
let since = performance.now();
let dismissed = null;
const NAMES = { asleep: "Asleep", building: "Building", ready: "Ready", error: "Error" };

function show(changes) {
  const before = state.status;
  state = { ...state, ...changes };
  if (state.status !== before) since = performance.now();
  by("status").dataset.status = state.status;
  setText(by("status-text"), NAMES[state.status] ?? state.status);
  by("power").textContent = state.status === "asleep" ? "Wake" : "Sleep";
  by("power").title = state.status === "asleep" ? "Start the preview" : "Put the preview to sleep";
  tick();
  overlay();
}

function setText(where, text) {
  // A live region speaks whenever it is written to.
  if (where.textContent !== text) where.textContent = text;
}

function tick() {
  const parts = [];
  if (state.status === "building") {
    const seconds = (performance.now() - since) / 1000;
    if (seconds >= 0.5) parts.push(`${seconds.toFixed(1)} s`);
  } else if (["ready", "error"].includes(state.status) && typeof state.seconds === "number") {
    parts.push(`in ${state.seconds < 10 ? state.seconds.toFixed(2) : Math.round(state.seconds)} s`);
  }
  const version = state.status === "ready" ? state.served_version : state.version;
  if (version) parts.push(`…${version.slice(-6)}`);
  if (state.mode) parts.push(state.driver ? `${state.driver}, ${state.mode}` : state.mode);
  setText(by("detail"), parts.join(" · "));
  by("detail").title = [version, state.why].filter(Boolean).join("\n");
}
setInterval(() => { if (state.status === "building") tick(); }, 200);

function overlay() {
  const shown = state.status === "error" && dismissed !== state.version;
  const opened = by("overlay").hidden && shown;
  by("overlay").hidden = !shown;
  if (!shown) return;
  // Where there are diagnostics, the message is the first of them once more.
  by("overlay-text").textContent = state.diagnostics?.length ? "" : state.message;
  by("overlay-note").hidden = !state.served_version;
  by("diagnostics").replaceChildren(...(state.diagnostics ?? []).slice(0, 50).map(diagnostic));
  if (opened && document.activeElement === document.body) by("overlay").firstElementChild.focus({ preventScroll: true });
}

function diagnostic(found) {
  const item = element("li");
  if (found.file) item.append(element("p", "place", placeText(found)));
  item.append(element("p", "message", [found.code, found.message].filter(Boolean).join(": ")));
  if (found.excerpt) item.append(element("pre", "", found.excerpt));
  if (found.hint) item.append(element("p", "hint", found.hint));
  return item;
}

function notice(text) {
  by("notice").hidden = !text;
  setText(by("notice"), text ?? "");
}

// ---- Events of the server ----

const HEARD = {
  "preview.started": (event) => ({ status: "building", driver: event.driver, mode: event.mode, why: event.why }),
  "preview.building": (event) => ({ status: "building", version: event.version_id }),
  "preview.ready": (event) => ({
    status: "ready", version: event.version_id, served_version: event.version_id, seconds: event.seconds,
    diagnostics: [], message: "",
  }),
  "preview.failed": (event) => ({
    status: "error", version: event.version_id, seconds: event.seconds, diagnostics: event.diagnostics ?? [],
    message: event.message,
  }),
  "preview.asleep": () => ({ status: "asleep" }),
};

let changes = 0;

function happened(event) {
  const isNew = event.seq > Number(last);
  if (Object.hasOwn(HEARD, event.type)) {
    if (!isNew) return;
    changes++;
    show(HEARD[event.type](event));
    if (event.type === "preview.started" && event.mode === "dev") stale = alive;
    // A page of Headrace's own ("can't be shown") stands in the frame, and does not see that things have changed.
    if (event.type === "preview.ready" && (stale || !alive)) load(lastPage);
  } else if (event.type === "preview.console" || event.type === "preview.error") {
    add(entryOf(event.type.slice(8), event, true));
  } else if (event.type === "preview.request_failed") {
    add(entryOf("request", event, true));
  } else if (event.type === "preview.log" && event.line.trim()) {
    add({ from: "build", level: "build", kind: "build", text: event.line.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, ""), place: "", sure: true });
  } else if (event.type === "preview.warning") {
    add({ from: "build", level: "warn", kind: "preview", text: event.message, place: "", sure: true });
  } else if (event.type === "egress.denied") {
    add({ from: "build", level: "warn", kind: "network", text: `${event.host}:${event.port}: ${event.why}`, place: "", sure: true });
  }
}

function listen() {
  const source = new EventSource(`${api}/events?follow=true&after=${after}`);
  const types = [...Object.keys(HEARD), "preview.console", "preview.error", "preview.request_failed", "preview.log",
    "preview.warning", "egress.denied"];
  for (const type of types) {
    source.addEventListener(type, (message) => {
      try { happened(JSON.parse(message.data)); } catch (error) { console.error(error); }
    });
  }
  source.addEventListener("open", () => notice(null));
  source.addEventListener("end", () => source.close());
  source.addEventListener("error", () => {
    // A refusal closes it for good; everything else is tried again by the browser.
    notice(source.readyState === EventSource.CLOSED
      ? "The server does not let this page in any more. Open a new link to it."
      : "The server does not answer. This page goes on as soon as it does.");
  });
}

// ---- Buttons ----

function address(page) {
  let url;
  try { url = new URL(page, origin); } catch { url = new URL("/", origin); }
  if (url.origin !== origin) url = new URL("/", origin);
  url.searchParams.set("headrace", token);
  return url.href;
}

function load(page) {
  alive = stale = false;
  frame.src = address(page);
}

function leave() {
  alive = stale = false;
  frame.src = "about:blank";
}

async function ask(path, options) {
  const answer = await fetch(`${api}${path}`, { ...options, credentials: "same-origin" });
  if (!answer.ok) throw new Error(`The server answers ${answer.status}`);
  return answer.json();
}

async function power() {
  by("power").disabled = true;
  try {
    const wakes = state.status === "asleep";
    // What is still on its way would wake it again, and so would Headrace's own page, which comes again until there is another.
    if (!wakes && (!alive || !state.served_version)) leave();
    const before = changes;
    const answered = await ask(wakes ? "/wake" : "/stop", { method: "POST" });
    // What it says may be older than an event that came meanwhile.
    if (changes === before) show(answered);
    if (wakes && !alive) load(lastPage);
    notice(null);
  } catch (error) {
    notice(`${error.message}.`);
  } finally {
    by("power").disabled = false;
  }
}

by("reload").addEventListener("click", () => load(lastPage));
by("open").addEventListener("focus", () => { by("open").href = address(lastPage); });
by("open").addEventListener("pointerenter", () => { by("open").href = address(lastPage); });
by("open").href = address("/");
by("power").addEventListener("click", power);
by("clear").addEventListener("click", clear);
by("search").addEventListener("input", filtered);
by("level").addEventListener("change", filtered);
by("hide").addEventListener("click", () => { dismissed = state.version; overlay(); });
by("toggle").addEventListener("click", () => {
  const panel = by("toggle").closest(".console");
  const open = panel.dataset.open !== "true";
  panel.dataset.open = String(open);
  by("toggle").setAttribute("aria-expanded", String(open));
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !by("overlay").hidden) by("hide").click();
});

load("/");
try {
  show(await ask(""));
} catch (error) {
  notice(`${error.message}.`);
}
listen();
