// Keeps the project's own Vite warm. Argument: {"mode":"build"|"dev","control":port,"page":port,"options":{…}} as JSON.
import './reads.mjs';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { listen } from './control.mjs';
import { errorsOf } from './errors.mjs';

const settings = JSON.parse(process.argv[2]);
process.env.NODE_ENV ||= settings.mode === 'dev' ? 'development' : 'production';

// A promise that nobody handled in a plugin must not end what serves the page.
process.on('unhandledRejection', (error) => console.error(error));

async function projectsVite(directory) {
  const entry = createRequire(path.join(directory, 'package.json')).resolve('vite/package.json');
  const module = path.join(path.dirname(entry), 'dist/node/index.js');
  if (!fs.existsSync(module)) throw new Error(`this version of Vite is too old to be kept warm: ${module} is not there`);
  return { vite: await import(pathToFileURL(module).href), entry: module };
}

let keeper = null;
const control = listen(
  settings.control,
  (order) => (order.map ? keeper.map(order.map) : keeper.apply(order)),
  () => keeper?.coming?.(),
);
await control.ready;
try {
  const { vite, entry } = await projectsVite(process.cwd());
  const { Keeper } = await import(settings.mode === 'dev' ? './vite_dev.mjs' : './vite_build.mjs');
  keeper = new Keeper(vite, { ...settings, entry }, control.tell);
  control.tell({ event: 'first', vite: vite.version, ...(await keeper.first()) });
} catch (error) {
  console.error(error);
  control.tell({ event: 'first', ok: false, fatal: true, errors: errorsOf(error) });
}
