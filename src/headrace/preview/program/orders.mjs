// Tells Vite which files changed, and knows when it has dealt with each. The file system's own events of the same writes
// are dropped; those of files that a tool wrote (a generated route tree) come through a moment later.
import fs from 'node:fs';

// Longer than the 50 ms in which Vite's watcher tells of a file once, and forgets what comes meanwhile: a file is looked at
// when these are over.
const NATIVE_WAIT = 60;
// For listeners of older versions, which don't say when they have done.
const LISTENERS_WAIT = 40;
// An order that was expected and isn't there after this time may never come.
const ORDER_WAIT = 10_000;

/** Called for each change that Vite has worked off, by the one hook that comes last. */
let handled = () => {};

const stateOf = (file) => {
  try {
    const { mtimeMs, size, ino } = fs.statSync(file);
    return `${mtimeMs}:${size}:${ino}`;
  } catch {
    return 'gone';
  }
};

export class Orders {
  /** Puts the hook into a configuration that is resolved. */
  static prepare(config) {
    const own = config.server.hotUpdateEnvironments;
    config.server.hotUpdateEnvironments = async (server, hmr) => {
      try {
        if (own) await own(server, hmr);
        else await Promise.all(Object.values(server.environments).map((environment) => hmr(environment)));
      } finally {
        handled();
      }
    };
  }

  constructor(server) {
    this.server = server;
    this.known = new Map();
    this.turn = Promise.resolve();
    this.restarting = false;
    /** Resolves when the order that is expected has come. */
    this.coming = null;
    this.come = null;
    this.waited = null;
    /** Why the configuration as it is now was not taken: the server still runs with the one before. */
    this.refused = [];
    this.#stand();
  }

  // Between the watcher and its listeners. A restart of the server within the process makes a new watcher.
  #stand() {
    const { watcher } = this.server;
    if (watcher === this.watcher) return;
    this.watcher = watcher;
    this.emit = watcher.emit.bind(watcher);
    watcher.emit = (event, ...rest) => this.#native(event, rest);
  }

  /**
   * Files are about to be written, and an order will say which. Until then the file system's events wait: Vite would be told of
   * half a change, and of the whole a second time.
   */
  expect() {
    this.coming ??= new Promise((resolve) => {
      this.come = resolve;
    });
    clearTimeout(this.waited);
    this.waited = setTimeout(() => this.#came(), ORDER_WAIT).unref();
  }

  #came() {
    clearTimeout(this.waited);
    this.come?.();
    this.coming = null;
  }

  /** Resolves when Vite has sent what these changes mean to the browsers. */
  async announce(written, removed, within) {
    const turn = this.turn
      .then(async () => {
        const before = new Map(this.known);
        if ([...written, ...removed].some((file) => this.#isConfiguration(file))) await this.#restart();
        // All files are out of date before the first update is sent: a browser that follows it gets none of the old ones.
        this.#invalidate([...written, ...removed]);
        for (const file of written) this.known.set(file, stateOf(file));
        for (const file of removed) this.known.set(file, 'gone');
        for (const file of removed) if (!this.#isConfiguration(file)) await this.#tell('unlink', file, within);
        for (const file of written) if (!this.#isConfiguration(file)) await this.#tell(this.#isNew(file, before) ? 'add' : 'change', file, within);
      })
      .finally(() => this.#came());
    this.turn = turn.catch(() => {});
    return turn;
  }

  async #restart() {
    this.restarting = true;
    this.refused = [];
    try {
      await this.server.restart();
    } finally {
      this.restarting = false;
      this.#stand();
    }
  }

  #isConfiguration(file) {
    const { configFile, configFileDependencies = [] } = this.server.config;
    return file === configFile || configFileDependencies.includes(file) || /(?:^|\/)\.env(?:\.[^/]+)?$/.test(file);
  }

  #invalidate(files) {
    const graphs = this.server.environments
      ? Object.values(this.server.environments).map((environment) => environment.moduleGraph)
      : [this.server.moduleGraph];
    for (const graph of graphs) for (const file of files) graph.onFileChange(file);
  }

  // A file that a module was made of isn't new. One that nothing was made of may be: then imports that failed are tried again.
  #isNew(file, before) {
    if (before.has(file)) return before.get(file) === 'gone';
    const graphs = this.server.environments
      ? Object.values(this.server.environments).map((environment) => environment.moduleGraph)
      : [this.server.moduleGraph];
    return !graphs.some((graph) => graph.getModulesByFile(file)?.size);
  }

  async #tell(event, file, within) {
    let timer;
    const worked = new Promise((resolve) => {
      handled = resolve;
      timer = setTimeout(resolve, this.server.environments ? within : LISTENERS_WAIT);
    });
    // Listeners of older versions return what they do; those of newer ones end in the hook.
    this.emit('all', event, file);
    this.emit(event, file);
    await worked;
    clearTimeout(timer);
    handled = () => {};
  }

  #native(event, rest) {
    const file = event === 'all' ? rest[1] : rest[0];
    if (!['add', 'change', 'unlink', 'all'].includes(event) || typeof file !== 'string') return this.emit(event, ...rest);
    setTimeout(() => this.#look(event, file, rest), NATIVE_WAIT);
    return true;
  }

  #look(event, file, rest) {
    const state = stateOf(file);
    // An order is announced before its files are written. So whatever can be seen of it was announced on the connection, which
    // is read before this goes on.
    setImmediate(async () => {
      if (this.coming) {
        await this.coming;
        return this.#look(event, file, rest);
      }
      this.turn = this.turn.then(() => {
        if (event !== 'all' && this.known.get(file) === state) return;
        if (event !== 'all') this.known.delete(file);
        this.emit(event, ...rest);
      });
    });
  }
}
