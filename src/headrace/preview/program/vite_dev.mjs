// The project's development server, told of changes by orders. Its own watcher stays for what tools write in the sandbox.
import path from 'node:path';
import { errorsOf } from './errors.mjs';
import { Orders } from './orders.mjs';
import { Crawl } from './crawl.mjs';

const HANDLED_WITHIN = 5_000;
// The first answer waits for the whole page for this long; what is found later is told as an event.
const FIRST_CRAWL = 2_000;

export class Keeper {
  constructor(vite, settings, tell) {
    this.vite = vite;
    this.settings = settings;
    this.tell = tell;
    this.logged = [];
    this.listening = false;
    this.sent = 0;
  }

  async first() {
    const { vite, settings } = this;
    this.server = await vite.createServer(this.#inline(settings));
    this.orders = new Orders(this.server);
    await this.server.listen();
    this.#countMessages();
    this.crawl = new Crawl(this.server, settings.page, vite.parseAst);
    const whole = this.#errors(() => this.crawl.page()).then((errors) => {
      if (this.listening && errors.length) this.tell({ event: 'error', errors });
      return errors;
    });
    const errors = await Promise.race([whole, sleep(FIRST_CRAWL).then(() => [])]);
    this.listening = true;
    return { ok: !errors.length, errors, unaffected: false };
  }

  coming() {
    this.orders?.expect();
  }

  async apply({ written = [], removed = [] }) {
    const root = process.cwd();
    const files = written.map((name) => this.vite.normalizePath(path.resolve(root, name)));
    const gone = removed.map((name) => this.vite.normalizePath(path.resolve(root, name)));
    const wasBroken = this.crawl.broken.size > 0;
    this.listening = false;
    const sent = this.sent;
    const { environments } = this.server;
    try {
      const affected = this.crawl.modulesOf(files);
      const lost = this.crawl.modulesOf(gone);
      const errors = await this.#errors(async () => {
        await this.orders.announce(files, gone, HANDLED_WITHIN);
        for (const module of this.crawl.modulesOf(files)) affected.add(module);
        return this.crawl.again(affected, lost);
      });
      // A server that restarted has new channels.
      if (environments !== this.server.environments) this.#countMessages();
      const quiet = !errors.length && !wasBroken && !affected.size && !lost.size && sent === this.sent;
      return { ok: !errors.length, errors, unaffected: quiet && ![...files, ...gone].some((file) => this.#isServedAsItIs(file)) };
    } finally {
      this.listening = true;
    }
  }

  async map(name) {
    const module = await this.crawl.graph.getModuleByUrl(`/${name}`);
    const map = module?.transformResult?.map;
    return { ok: true, map: map?.mappings ? JSON.stringify(map) : null };
  }

  /** Errors of what `work` finds, and of what Vite logs meanwhile: a configuration that can't be read, a failed render. */
  async #errors(work) {
    this.logged = [];
    let found;
    try {
      found = await work();
    } catch (error) {
      found = errorsOf(error);
    }
    const logged = [...(this.orders?.refused ?? []), ...this.logged].flatMap(errorsOf);
    const known = new Set(found.map((one) => `${one.file}:${one.line}:${one.message}`));
    return [...found, ...logged.filter((one) => !known.has(`${one.file}:${one.line}:${one.message}`) && one.file)];
  }

  #inline(settings) {
    const keeper = this;
    const logger = this.vite.createLogger('info', { allowClearScreen: false });
    const { error } = logger;
    logger.error = (message, options) => {
      error(message, options);
      // Of a module that nobody has asked for yet, as it was some time ago: who asks, the walk or a browser, hears how it is.
      if (message.includes('Pre-transform error:')) return;
      const thrown = options?.error;
      if (keeper.orders?.restarting) keeper.orders.refused.push(thrown ?? new Error(message));
      else if (!thrown) return;
      else if (keeper.listening) keeper.tell({ event: 'error', errors: errorsOf(thrown) });
      else keeper.logged.push(thrown);
    };
    return {
      clearScreen: false,
      ...settings.options,
      customLogger: logger,
      // The edge decides which hosts there are; nobody else reaches this port.
      server: { host: '127.0.0.1', port: settings.page, strictPort: true, open: false, allowedHosts: true },
      plugins: [{ name: 'headrace:same-origin', enforce: 'post', config: sameOrigin, configResolved: (config) => Orders.prepare(config) }],
    };
  }

  #isServedAsItIs(file) {
    const { publicDir } = this.server.config;
    return Boolean(publicDir && file.startsWith(publicDir)) || file.endsWith('.html');
  }

  #countMessages() {
    const channels = this.server.environments
      ? Object.values(this.server.environments).map((environment) => environment.hot)
      : [this.server.ws];
    for (const channel of channels) {
      const send = channel.send;
      channel.send = (...message) => {
        this.sent += 1;
        return send.apply(channel, message);
      };
    }
  }
}

// Updates go the way the page came: what a project sets for its own machine would point past the edge.
function sameOrigin(config) {
  const server = (config.server ??= {});
  delete server.https;
  delete server.origin;
  if (server.hmr && typeof server.hmr === 'object') {
    for (const name of ['host', 'port', 'clientPort', 'protocol', 'server']) delete server.hmr[name];
  } else {
    delete server.hmr;
  }
  if (server.ws && typeof server.ws === 'object') {
    for (const name of ['host', 'port', 'clientPort', 'protocol', 'server']) delete server.ws[name];
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
