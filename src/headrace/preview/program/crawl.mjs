// Walks what a browser would ask for, so that errors are found without one, and the first visitor finds it done.
import { errorsOf } from './errors.mjs';

const MOST_MODULES = 4_000;
const PAGE_WITHIN = 30_000;

export class Crawl {
  constructor(server, port) {
    this.server = server;
    this.port = port;
    /** @type {Map<string, object[]>} address -> errors */
    this.broken = new Map();
  }

  // Asked for each time: a restart of the server within the process replaces them.
  get graph() {
    return this.server.environments?.client.moduleGraph ?? this.server.moduleGraph;
  }

  transform(url) {
    return (this.server.environments?.client ?? this.server).transformRequest(url);
  }

  /** The first page with all its modules; the errors on the way. */
  async page() {
    const errors = await this.#document();
    const scripts = this.scripts ?? [];
    await this.#walk(scripts);
    return [...errors, ...this.#all()];
  }

  /** The modules that changed, what imports them where that was broken, and whatever they newly import. */
  async again(modules, lost) {
    const urls = new Set([...this.broken.keys()].filter((url) => url !== '/'));
    for (const module of modules) if (module.url) urls.add(module.url);
    // A file that went away breaks those that import it.
    const orphans = [...lost].flatMap((module) => [...(module.importers ?? [])]);
    for (const module of orphans) {
      this.graph.invalidateModule(module);
      urls.add(module.url);
    }
    for (const module of lost) urls.delete(module.url);
    this.broken = new Map([...this.broken].filter(([url]) => url === '/'));
    await this.#walk([...urls]);
    const page = this.broken.has('/') ? await this.#document() : [];
    return [...page, ...this.#all()];
  }

  modulesOf(files) {
    const found = new Set();
    for (const file of files) {
      for (const module of this.graph.getModulesByFile(file) ?? []) found.add(module);
      const others = Object.entries(this.server.environments ?? {}).filter(([name]) => name !== 'client');
      for (const [, environment] of others) {
        if (environment.moduleGraph?.getModulesByFile(file)?.size) found.add({ ssr: true });
      }
    }
    return found;
  }

  #all() {
    return [...this.broken].filter(([url]) => url !== '/').flatMap(([, errors]) => errors);
  }

  async #document() {
    this.broken.delete('/');
    try {
      const base = this.server.config.base?.startsWith('/') ? this.server.config.base : '/';
      const answer = await fetch(`http://127.0.0.1:${this.port}${base}`, {
        headers: { accept: 'text/html' },
        signal: AbortSignal.timeout(PAGE_WITHIN),
      });
      const text = await answer.text();
      this.scripts = [...text.matchAll(/<script[^>]*\btype="module"[^>]*\bsrc="([^"]+)"/g)]
        .map((match) => match[1])
        .filter((src) => src.startsWith('/') && !src.startsWith('//') && !src.includes('/@vite/'))
        .map((src) => (base !== '/' && src.startsWith(base) ? `/${src.slice(base.length)}` : src));
      if (answer.status < 500) return [];
      // What went wrong was logged with its place; without one the status is all there is to say.
      this.broken.set('/', []);
      return [{ message: `the page answers ${answer.status}` }];
    } catch (error) {
      this.broken.set('/', []);
      return errorsOf(error);
    }
  }

  async #walk(urls) {
    const seen = new Set(urls);
    let level = [...urls];
    while (level.length && seen.size < MOST_MODULES) {
      const next = await Promise.all(level.map((url) => this.#one(url)));
      level = next.flat().filter((url) => !seen.has(url) && seen.add(url));
    }
  }

  /** Transforms one module; what it imports and is not done yet. */
  async #one(url) {
    try {
      await this.transform(url);
    } catch (error) {
      // A module that nobody imports any more can't be loaded, and need not be.
      if (error?.code !== 'ERR_LOAD_URL' || (await this.#isWanted(url))) this.broken.set(url, errorsOf(error));
      return [];
    }
    const module = await this.graph.getModuleByUrl(url);
    return [...(module?.importedModules ?? [])]
      .filter((other) => !other.transformResult && other.url && !/\/node_modules\/|^\/@/.test(other.url))
      .map((other) => other.url);
  }

  async #isWanted(url) {
    const module = await this.graph.getModuleByUrl(url);
    return !module || [...(module.importers ?? [])].some((importer) => importer.transformResult);
  }
}
