// New versions come to the page by themselves: style sheets are put in, for all else it is loaded again.

function showVersions() {
  const SCROLL = "headrace.scroll ";
  const isSheet = (link) => link.matches("link[rel~='stylesheet'][href]");
  let snapshot = null;
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
    if (document.readyState === "interactive") snapshot = shape(document);
  });

  const parsed = (html) => shape(native.parse.call(new DOMParser(), html, "text/html"));

  const ask = () => native.fetch(location.href, {
    cache: "no-store", headers: { Accept: "text/html" }, credentials: "same-origin", redirect: "error",
  });

  // Scripts may have changed the page while it was read: its file, asked for again, is the better thing to compare with.
  addEventListener("load", async () => {
    try {
      const answer = await ask();
      const file = parsed(await answer.text());
      if (answer.ok && answer.headers.get("X-Headrace-Version") === version) first ??= file;
    } catch { /* what was read has to do */ }
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
    if (document.readyState === "loading") return false;
    first ??= snapshot;
    if (!first) return false;
    const answer = await ask();
    if (!answer.ok) return false;
    const next = parsed(await answer.text());
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
}

if (config.reload && native.EventSource) showVersions();
