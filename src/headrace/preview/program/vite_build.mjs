// Warm builds: one resolved configuration, one build for each order, begun after the order came. A watcher would have to
// be asked whether its build had read the new bytes; an order can't be too early, and it costs the same (see the bench).
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { errorsOf } from './errors.mjs';
import { readDirectories, readFiles } from './reads.mjs';
import { placed } from './styles.mjs';

const PROSE = /(?:\.(?:md|markdown|txt|rst|adoc|log)|(?:^|\/)(?:LICEN[CS]E|README|CHANGELOG|AUTHORS|CODEOWNERS|\.gitignore|\.gitattributes))$/i;

export class Keeper {
  constructor(vite, settings) {
    this.vite = vite;
    this.entry = settings.entry;
    this.inline = { logLevel: 'warn', clearScreen: false, ...settings.options };
    this.builder = null;
    /** @type {Map<string, string>} file of the output, relative to its directory -> digest */
    this.written = new Map();
    this.modules = new Set();
    this.scansEverything = false;
    this.failed = false;
  }

  async first() {
    return this.#attempt(async () => {
      await this.#open();
      return this.#build();
    });
  }

  async apply({ written = [], removed = [] }) {
    const root = process.cwd();
    const changed = [...written, ...removed].map((name) => path.resolve(root, name));
    if (!this.failed && changed.length && changed.every((file) => this.#isWithoutEffect(file))) {
      return { ok: true, errors: [], unaffected: true };
    }
    return this.#attempt(async () => {
      if (!this.builder || changed.some((file) => this.#isConfiguration(file))) await this.#open();
      this.#publish(changed);
      return this.#build();
    });
  }

  /** The source map of a file of the output, when the sources still make the same file; else null. */
  async map(name) {
    let found = null;
    const keep = { name: 'headrace:map', generateBundle(_, bundle) { found ??= bundle[name]?.map ?? null; } };
    const inline = { ...this.inline, plugins: [keep], build: { ...this.inline.build, write: false, sourcemap: 'hidden' } };
    const builder = await this.#builderOf(inline, []);
    await builder();
    return { ok: true, map: found ? JSON.stringify(found) : null };
  }

  async #attempt(build) {
    try {
      const answer = await build();
      this.failed = false;
      return answer;
    } catch (error) {
      this.failed = true;
      return { ok: false, errors: placed(errorsOf(error), this.modules, this.entry), unaffected: false };
    }
  }

  async #open() {
    this.configs = [];
    // A configuration that can't be read leaves none behind: the next order tries again.
    this.builder = null;
    this.builder = await this.#builderOf({ ...this.inline, plugins: [this.#witness()] }, this.configs);
    this.emptied = false;
  }

  /** A function that builds everything once. Vite 6 and later keep what was resolved; before, it is resolved each time. */
  async #builderOf(inline, configs) {
    const { vite } = this;
    if (!vite.createBuilder) {
      const note = { name: 'headrace:config', configResolved: (config) => { configs[0] = config; } };
      return () => vite.build({ ...inline, plugins: [...inline.plugins, note] });
    }
    const builder = await vite.createBuilder(inline, null);
    configs.push(builder.config, ...Object.values(builder.environments).map((environment) => environment.config));
    return () => {
      // Vite builds an environment once for each builder, unless a project's own order of builds asks for it again.
      for (const environment of Object.values(builder.environments)) environment.isBuilt = false;
      return builder.buildApp();
    };
  }

  async #build() {
    this.fresh = new Map();
    this.modules = new Set();
    await this.builder();
    const changed = [...this.fresh].some(([file, digest]) => this.written.get(file) !== digest);
    const stale = [...this.written.keys()].filter((file) => !this.fresh.has(file));
    for (const file of stale) fs.rmSync(file, { force: true });
    this.written = this.fresh;
    this.#keepOutput();
    const unaffected = !changed && !stale.length && !this.published;
    this.published = false;
    return { ok: true, errors: [], unaffected };
  }

  // From now on the output is kept in step by us: emptying and copying all public files for each edit costs with their size.
  #keepOutput() {
    for (const config of this.configs) {
      if (!this.emptied) this.copies = config.build.copyPublicDir && config.build.write !== false;
      config.build.emptyOutDir = false;
      config.build.copyPublicDir = false;
    }
    this.emptied = true;
  }

  #publish(changed) {
    const config = this.configs[0];
    if (!this.emptied || !this.copies || !config?.publicDir) return;
    const output = path.resolve(config.root, config.build.outDir);
    for (const file of changed) {
      const name = path.relative(config.publicDir, file);
      if (name.startsWith('..') || path.isAbsolute(name)) continue;
      const target = path.join(output, name);
      this.published = true;
      if (fs.existsSync(file)) {
        fs.mkdirSync(path.dirname(target), { recursive: true });
        fs.copyFileSync(file, target);
      } else if (!this.written.has(target)) {
        fs.rmSync(target, { force: true });
      }
    }
  }

  /** Sees what each build was made of and what it wrote. */
  #witness() {
    const keeper = this;
    return {
      name: 'headrace:witness',
      enforce: 'post',
      configResolved(config) {
        keeper.scansEverything = config.plugins.some((plugin) => /tailwind|unocss|windi/i.test(plugin?.name ?? ''));
      },
      buildEnd() {
        for (const id of this.getModuleIds()) keeper.modules.add(id.replace(/^\0/, '').split('?')[0]);
      },
      writeBundle(options, bundle) {
        for (const [name, file] of Object.entries(bundle)) {
          const digest = createHash('sha1').update(file.type === 'chunk' ? file.code : file.source).digest('hex');
          keeper.fresh.set(path.resolve(options.dir ?? path.dirname(options.file), name), digest);
        }
      },
    };
  }

  #isConfiguration(file) {
    const config = this.configs[0];
    if (!config) return true;
    if (file === config.configFile || config.configFileDependencies?.includes(file)) return true;
    return /^(\.env(\..+)?|tsconfig.*\.json|jsconfig\.json|vite\.config\.\w+)$/.test(path.basename(file));
  }

  /** Certain only for prose that nothing of the build has read and that nothing looks for. Everything else is built. */
  #isWithoutEffect(file) {
    if (!PROSE.test(file) || this.scansEverything || this.modules.has(file) || readFiles.has(file)) return false;
    const ending = path.extname(file).toLowerCase();
    const kin = [...this.modules, ...readFiles].some((other) => ending && other.toLowerCase().endsWith(ending) && !other.includes('/node_modules/'));
    const { publicDir } = this.configs[0] ?? {};
    const isPublic = publicDir && file.startsWith(publicDir + path.sep);
    return !kin && !isPublic && !readDirectories.has(path.dirname(file));
  }
}
