// What a page logs and where it fails, told twice: to the window around it (postMessage, see `tell`), and to the server,
// which keeps it (POST /.headrace/console). Both get the same `id`, so that nobody has to hear anything twice.

const LONGEST_STACK = 6000;
const MOST_QUEUED = 100;
const MOST_IN_BATCH = 40;
const MOST_BYTES = 40_000;
const MOST_A_SECOND = 100;
const PAUSE = 100;

// A page may replace these; what it is told by must go on working.
const native = {
  fetch: window.fetch?.bind(window),
  setTimeout: window.setTimeout.bind(window),
  stringify: JSON.stringify,
  now: Date.now,
  parse: DOMParser.prototype.parseFromString,
  EventSource: window.EventSource,
  random: Math.random,
};
const here = document.currentScript;
let version = here?.dataset.version ?? null;
const pageId = native.random().toString(36).slice(2, 12);
let count = 0;

// ---- Telling ----

const queue = [];
let dropped = 0;
let waiting = false;
let stopped = false;
let second = 0;
let inSecond = 0;

function busy() {
  const now = Math.floor(native.now() / 1000);
  if (now !== second) [second, inSecond] = [now, 0];
  if (inSecond < MOST_A_SECOND && queue.length < MOST_QUEUED) return false;
  dropped++;
  wake();
  return true;
}

function report(fields) {
  if (stopped || busy()) return;
  inSecond++;
  const page = (location.pathname + location.search).slice(0, 1000);
  const told = { ...fields, id: `${pageId}.${++count}`, page, version_id: version };
  tell(told);
  queue.push(told);
  wake();
}

/**
 * To the window around the page, if it is a dashboard of this server:
 * {source: "headrace-preview", version: 1, type: "hello" | "console" | "error" | "request", page, version_id, …}
 * hello: the page begins. All others have an id. console: level, text, stack; error: message, stack, file, line,
 * column; request: method, url, status.
 */
function tell(told) {
  if (window.parent === window) return;
  for (const origin of around()) {
    try {
      window.parent.postMessage({ source: "headrace-preview", version: 1, ...told }, origin);
    } catch { /* a window that is going away */ }
  }
}

/** Origins that may hear it. Where the browser tells which one is around us, only that one. */
function around() {
  let outer = location.ancestorOrigins?.[0];
  if (!outer && document.referrer) {
    try { outer = new URL(document.referrer).origin; } catch { /* not an address */ }
    if (outer === location.origin) outer = undefined;
  }
  return outer ? config.origins.filter((origin) => origin === outer) : config.origins;
}

function hello() {
  tell({ type: "hello", page: location.pathname + location.search, version_id: version });
}

function wake() {
  if (waiting || stopped) return;
  waiting = true;
  native.setTimeout(send, PAUSE);
}

function batch() {
  const reports = [];
  let size = 0;
  while (queue.length && reports.length < MOST_IN_BATCH && size < MOST_BYTES) {
    const next = queue.shift();
    // UTF-8 takes up to three bytes for each of JavaScript's characters.
    size += native.stringify(next).length * 1.5;
    reports.push(next);
  }
  const body = { version: 1, reports, dropped: Math.min(dropped, 1_000_000) };
  dropped = 0;
  return native.stringify(body);
}

async function send() {
  waiting = false;
  if (stopped || !native.fetch || !(queue.length || dropped)) return;
  let pause = 0;
  try {
    const answer = await native.fetch("/.headrace/console", {
      method: "POST",
      body: batch(),
      headers: { "Content-Type": "application/json" },
      credentials: "same-origin",
      keepalive: true,
    });
    if (answer.status === 429) pause = 5_000;
    else if ([401, 403, 404].includes(answer.status)) stopped = true;
  } catch {
    pause = 2_000;
  }
  if (queue.length || dropped) {
    waiting = true;
    native.setTimeout(send, Math.max(PAUSE, pause));
  }
}

addEventListener("pagehide", () => {
  if (!stopped && queue.length) {
    navigator.sendBeacon?.("/.headrace/console", new Blob([batch()], { type: "application/json" }));
  }
});

// ---- The console ----

const trace = () => String(new Error().stack ?? "").slice(0, LONGEST_STACK);
const levels = {
  debug: "debug", log: "log", info: "info", warn: "warn", error: "error",
  trace: "log", dir: "log", table: "log", group: "log", groupCollapsed: "log", assert: "error",
};
let inside = false;

function heard(method, values) {
  if (inside || busyQuietly()) return;
  // Showing a value may run code of the page (a proxy's traps), which may log again.
  inside = true;
  try {
    if (method === "assert") {
      if (values[0]) return;
      values = ["Assertion failed" + (values.length > 1 ? ":" : ""), ...values.slice(1)];
    }
    // A development server's client tells everybody each time that it is there.
    if (method === "debug" && typeof values[0] === "string" && values[0].startsWith("[vite] connect")) return;
    report({ type: "console", level: levels[method], text: message(values), stack: trace() });
  } catch { /* whatever it is, the page's own call goes on */ } finally {
    inside = false;
  }
}

function busyQuietly() {
  return stopped || ((queue.length >= MOST_QUEUED || (inSecond >= MOST_A_SECOND && Math.floor(native.now() / 1000) === second)) && busy());
}

for (const method of Object.keys(levels)) {
  const original = console[method];
  if (typeof original !== "function") continue;
  console[method] = {
    [method](...values) {
      heard(method, values);
      return original.apply(this ?? console, values);
    },
  }[method];
}

// ---- Errors ----

addEventListener("error", (event) => {
  if (event.target && event.target !== window && !(event instanceof ErrorEvent)) return lost(event.target);
  const error = event.error;
  const isError = error instanceof Error;
  report({
    type: "error",
    message: String(event.message || (isError ? error.message : show(error))).replace(/^Uncaught (?=.)/, "").slice(0, LONGEST_TEXT),
    stack: isError ? String(error.stack ?? "").slice(0, LONGEST_STACK) : "",
    file: event.filename ? String(event.filename).slice(0, 2000) : null,
    line: event.lineno || null,
    column: event.colno || null,
  });
}, true);

addEventListener("unhandledrejection", (event) => {
  const reason = event.reason;
  const isError = reason instanceof Error;
  let text = "";
  try { text = isError ? `${reason.name}: ${reason.message}` : show(reason); } catch { /* a getter of the page */ }
  report({
    type: "error",
    message: `Unhandled promise rejection: ${text}`.slice(0, LONGEST_TEXT),
    stack: isError ? String(own(reason, "stack") ?? reason.stack ?? "").slice(0, LONGEST_STACK) : "",
  });
});

// ---- Requests ----

const isOwn = (url) => url.startsWith(`${location.origin}/.headrace/`);

function absolute(url) {
  try { return new URL(url, document.baseURI).href.slice(0, 2000); } catch { return String(url).slice(0, 2000); }
}

function failed(method, url, status) {
  const whole = absolute(url);
  if (!isOwn(whole)) report({ type: "request", method: String(method).slice(0, 20), url: whole, status });
}

/** An element whose file could not be had. */
function lost(element) {
  const url = element.currentSrc || element.src || element.href?.baseVal || element.href || element.data;
  if (typeof url !== "string" || !url || url.startsWith("data:") || url.startsWith("blob:")) return;
  // The browser notes the status beside the event, in no order.
  native.setTimeout(() => {
    const noted = performance.getEntriesByName(absolute(url)).at(-1);
    failed("GET", url, noted?.responseStatus || null);
  }, 50);
}

if (native.fetch) {
  const original = window.fetch;
  window.fetch = {
    fetch(...given) {
      let method = "GET", url = "";
      try {
        const [input, init] = given;
        url = input instanceof Request ? input.url : String(input);
        method = init?.method ?? (input instanceof Request ? input.method : "GET");
      } catch { /* the call itself will say what is wrong */ }
      return original.apply(this ?? window, given).then(
        (answer) => {
          if (answer.status >= 400) failed(method, url, answer.status);
          return answer;
        },
        (error) => {
          if (error?.name !== "AbortError") failed(method, url, null);
          throw error;
        },
      );
    },
  }.fetch;
}

const asked = new WeakMap();
const { open, send: sendXhr } = XMLHttpRequest.prototype;
XMLHttpRequest.prototype.open = {
  open(...given) {
    asked.set(this, { method: String(given[0]), url: String(given[1]) });
    return open.apply(this, given);
  },
}.open;
XMLHttpRequest.prototype.send = {
  send(...given) {
    const about = asked.get(this);
    if (about && !about.heard) {
      about.heard = true;
      this.addEventListener("load", () => {
        if (this.status >= 400) failed(about.method, about.url, this.status);
      });
      for (const kind of ["error", "timeout"]) this.addEventListener(kind, () => failed(about.method, about.url, null));
    }
    return sendXhr.apply(this, given);
  },
}.send;

hello();
