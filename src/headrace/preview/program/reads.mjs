// Which files and directories JavaScript of the project's tools has read. Importing this starts the watch, so it stands first.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const readFiles = new Set();
export const readDirectories = new Set();

const FILES = ['readFile', 'readFileSync', 'open', 'openSync', 'createReadStream', 'copyFile', 'copyFileSync'];
const DIRECTORIES = ['readdir', 'readdirSync', 'opendir', 'opendirSync', 'glob', 'globSync'];

function noted(into, original) {
  return function (target, ...rest) {
    try {
      if (typeof target === 'string') into.add(path.resolve(target));
      else if (target instanceof URL) into.add(fileURLToPath(target));
    } catch {
      // Whatever is wrong with it, the call itself says so.
    }
    return original.call(this, target, ...rest);
  };
}

for (const api of [fs, fs.promises]) {
  for (const [names, into] of [[FILES, readFiles], [DIRECTORIES, readDirectories]]) {
    for (const name of names) {
      const original = api[name];
      if (typeof original !== 'function') continue;
      const wrapped = noted(into, original);
      // Promisified forms and other properties hang on the functions.
      Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(original));
      api[name] = wrapped;
    }
  }
}
syncBuiltinESMExports();
