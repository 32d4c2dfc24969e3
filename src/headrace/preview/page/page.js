// Headrace's part of a preview page: tells what the page logs and where it fails, and shows new versions.
//
// It tells twice: to the window around it (postMessage, see `tell`), and to the server, which keeps it (POST
// /.headrace/console). Both get the same `id`, so that nobody has to hear anything twice. The configuration at the end
// of this file is put in by the server.
"use strict";
((config) => {
  if (window.__headrace_page__) return;
  Object.defineProperty(window, "__headrace_page__", { value: true });

  const LONGEST_TEXT = 4000;
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

  // ---- Values as text, as a browser's console shows them. Never runs getters, never goes on for ever. ----

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

  // ---- New versions ----

  if (!config.reload || !native.EventSource) return;

  const SCROLL = "headrace.scroll ";
  const isSheet = (link) => link.matches("link[rel~='stylesheet'][href]");
  let first = null;
  let source = null;
  let wanted = null;
  let working = false;

  /** What a page is without its style sheets: when that is the same, they alone can be put in. */
  function shape(page) {
    const copy = page.documentElement.cloneNode(true);
    const sheets = [];
    for (const part of copy.querySelectorAll("noscript, script[src^='/.headrace/']")) part.remove();
    for (const link of copy.querySelectorAll("link")) {
      if (!isSheet(link)) continue;
      sheets.push(link.getAttribute("href"));
      link.removeAttribute("href");
      link.removeAttribute("integrity");
    }
    return { sheets, rest: copy.outerHTML };
  }

  // Before deferred scripts run: what they make of the page says nothing about its file.
  document.addEventListener("readystatechange", () => {
    if (document.readyState === "interactive") first = shape(document);
  });

  async function update() {
    if (working) return;
    working = true;
    try {
      while (wanted !== null && (version === null || wanted > version)) {
        const next = wanted;
        if (!(await onlyStyles())) return reload();
        version = next;
      }
    } catch {
      reload();
    } finally {
      working = false;
    }
  }

  /** Puts in new style sheets when nothing else has changed. False when the page has to be loaded again. */
  async function onlyStyles() {
    if (!first || document.readyState === "loading") return false;
    const answer = await native.fetch(location.href, {
      cache: "no-store", headers: { Accept: "text/html" }, credentials: "same-origin", redirect: "error",
    });
    if (!answer.ok) return false;
    const next = shape(native.parse.call(new DOMParser(), await answer.text(), "text/html"));
    if (next.rest !== first.rest || next.sheets.length !== first.sheets.length) return false;
    const changed = new Map();
    first.sheets.forEach((href, at) => { if (href !== next.sheets[at]) changed.set(href, next.sheets[at]); });
    if (!changed.size && !(await onlySheetsDiffer(first.sheets, changed))) return false;
    first = next;
    return swap(changed);
  }

  /** For files that keep their names: asks for what the page has loaded, and notes the sheets that have changed. */
  async function onlySheetsDiffer(sheets, changed) {
    const origin = `${location.origin}/`;
    const page = location.href.split("#")[0];
    const loaded = new Set(performance.getEntriesByType("resource").filter((entry) => !(entry.responseStatus >= 400))
      .map((entry) => entry.name.split("#")[0].replace(/[?&]headrace-style=[^&]*/, ""))
      .filter((url) => url.startsWith(origin) && url !== page && !isOwn(url)));
    if (loaded.size > 60) return false;
    const known = new Map(sheets.map((href) => [absolute(href), href]));
    const differing = await Promise.all([...loaded].map(async (url) => {
      const before = await native.fetch(url, { cache: "only-if-cached", mode: "same-origin" }).catch(() => null);
      const after = await native.fetch(url, { cache: "no-cache", credentials: "same-origin" });
      // Read to its end, it is what the page gets when it is loaded again.
      before?.body?.cancel();
      await after.arrayBuffer();
      // It was not there, and still isn't.
      if (!before && !after.ok) return null;
      const tag = after.headers.get("ETag");
      return before?.ok && tag && tag === before.headers.get("ETag") ? null : url;
    }));
    for (const url of differing) {
      if (url === null) continue;
      if (!known.has(url)) return false;
      changed.set(known.get(url), known.get(url));
    }
    return true;
  }

  async function swap(changed) {
    const links = [...document.querySelectorAll("link")].filter(isSheet);
    const swaps = [];
    for (const [from, to] of changed) {
      const old = links.find((link) => (link.dataset.headrace ?? link.getAttribute("href")) === from);
      if (!old) return false;
      swaps.push(new Promise((resolve, reject) => {
        const link = old.cloneNode();
        link.removeAttribute("integrity");
        link.dataset.headrace = to;
        // The old one goes when the new one is there, so that the page never stands without styles.
        link.onload = () => { old.remove(); resolve(); };
        link.onerror = reject;
        link.href = from === to ? `${to}${to.includes("?") ? "&" : "?"}headrace-style=${wanted}` : to;
        old.after(link);
      }));
    }
    await Promise.all(swaps);
    return true;
  }

  // Frames may have no storage, but a name; pages that use theirs keep it.
  function reload() {
    try {
      const place = native.stringify([location.href, scrollX, scrollY]);
      if (window.name === "") window.name = SCROLL + place;
      else sessionStorage.setItem(SCROLL, place);
    } catch { /* no storage, no place */ }
    source?.close();
    location.reload();
  }

  /** Pages that are made by scripts are too short for the browser's own way back when they begin. */
  function scrollBack() {
    let place;
    try {
      if (window.name.startsWith(SCROLL)) {
        place = JSON.parse(window.name.slice(SCROLL.length));
        window.name = "";
      } else {
        place = JSON.parse(sessionStorage.getItem(SCROLL));
        sessionStorage.removeItem(SCROLL);
      }
    } catch { return; }
    if (!Array.isArray(place) || place[0] !== location.href) return;
    const until = native.now() + 1500;
    let moved = false;
    for (const kind of ["wheel", "touchstart", "keydown", "pointerdown"]) {
      addEventListener(kind, () => { moved = true; }, { once: true, passive: true });
    }
    const step = () => {
      if (moved || native.now() > until || Math.abs(scrollY - place[2]) < 2) return;
      scrollTo(place[1], place[2]);
      requestAnimationFrame(step);
    };
    step();
  }

  function listen() {
    // Browsers allow few connections to one server: pages that nobody sees give theirs back.
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      source = new native.EventSource("/.headrace/events");
      source.addEventListener("state", heardState);
      source.addEventListener("end", () => { source?.close(); source = null; });
    }
  }

  function heardState(event) {
    let state;
    try { state = JSON.parse(event.data); } catch { return; }
    if (state.status !== "ready" || typeof state.version !== "string") return;
    if (version === null) version = state.version;
    if (state.version <= version) return;
    wanted = state.version;
    update();
  }

  document.addEventListener("visibilitychange", listen);
  addEventListener("DOMContentLoaded", scrollBack);
  listen();
})("HEADRACE_CONFIGURATION");
