// Walks what a browser would ask for, so that errors are found without one, and the first visitor finds it done.
import fs from 'node:fs';
import { errorsOf } from './errors.mjs';

const MOST_MODULES = 4_000;
const PAGE_WITHIN = 30_000;

export class Crawl {
  constructor(server, port, parse) {
    this.server = server;
    this.parse = parse;
    this.port = port;
    /** @type {Map<string, object[]>} address -> errors */
    this.broken = new Map();
    /** Of modules that the server renders with: what transforms it -> errors */
    this.unrendered = new Map();
    this.walked = new Set();
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
    for (const module of orphans.filter((one) => one.url)) {
      this.graph.invalidateModule(module);
      urls.add(module.url);
    }
    for (const module of lost) urls.delete(module.url);
    for (const transform of this.unrendered.keys()) modules.add({ rendered: true, transform });
    this.unrendered = new Map();
    this.broken = new Map([...this.broken].filter(([url]) => url === '/'));
    urls.delete(undefined);
    await this.#walk([...urls]);
    const found = this.#all();
    const rendered = [...modules, ...lost].filter((module) => module.rendered);
    if (found.length || !(rendered.length || this.broken.has('/'))) return found;
    const page = await this.#document();
    if (this.broken.has('/')) for (const module of modules) if (module.rendered) await this.#rendered(module);
    await this.#walk(this.scripts.filter((url) => !this.walked.has(url)));
    const all = this.#all();
    return all.length ? all : page;
  }

  modulesOf(files) {
    const found = new Set();
    for (const file of files) {
      for (const module of this.graph.getModulesByFile(file) ?? []) found.add(module);
      const others = Object.entries(this.server.environments ?? {}).filter(([name]) => name !== 'client');
      for (const [, environment] of others) {
        for (const module of environment.moduleGraph?.getModulesByFile(file) ?? []) {
          const transform = async () => {
            await environment.transformRequest(module.url);
            // What was transformed counts as run by the server's own loader, and it was not.
            environment.moduleGraph.invalidateModule(module);
          };
          found.add({ rendered: true, transform });
        }
      }
    }
    return found;
  }

  // A failed page doesn't say where; the modules that the server renders it with do.
  async #rendered(module) {
    try {
      await module.transform();
    } catch (error) {
      if (error?.code !== 'ERR_LOAD_URL') this.unrendered.set(module.transform, errorsOf(error));
    }
  }

  #all() {
    const all = [...[...this.broken].filter(([url]) => url !== '/'), ...this.unrendered].flatMap(([, errors]) => errors);
    // The same mistake is met in the browser's and in the server's copy of a module.
    return [...new Map(all.map((error) => [`${error.file}:${error.line}:${error.column}`, error])).values()];
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
      const scripts = text.matchAll(/<script[^>]*\btype="module"[^>]*\bsrc="([^"]+)"/g);
      const imports = text.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/g);
      this.scripts = [...scripts, ...imports]
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
    for (const url of urls) this.walked.add(url);
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
    if (/\.m?js$/.test(url) && module?.file && !module.file.includes('/node_modules/')) this.#readable(url, module);
    return [...(module?.importedModules ?? [])]
      .filter((other) => !other.transformResult && other.url && !/\/node_modules\/|^\/@/.test(other.url))
      .map((other) => other.url);
  }

  // Plain JavaScript is served without being parsed: only the browser would see that it can't be read.
  #readable(url, module) {
    try {
      this.parse?.(module.transformResult?.code ?? '');
    } catch (error) {
      this.broken.set(url, errorsOf(placed(error, module.file, this.parse)));
    }
  }

  async #isWanted(url) {
    const module = await this.graph.getModuleByUrl(url);
    return !module || [...(module.importers ?? [])].some((importer) => importer.transformResult);
  }
}

/** The error with its place in the file, which what was served of it may not have. */
function placed(error, file, parse) {
  const source = fs.readFileSync(file, 'utf8');
  try {
    parse(source);
  } catch (own) {
    const at = own.pos ?? own.errors?.[0]?.pos;
    if (at === undefined) return Object.assign(own, { id: file });
    const lines = source.slice(0, at).split('\n');
    return { message: own.errors?.[0]?.message ?? own.message, id: file, code: own.code, loc: { line: lines.length, column: lines.at(-1).length } };
  }
  return { message: error.message, id: file, code: error.code };
}
