// Where a style sheet is broken. Minifying sees all of them as one text, so its error names a line of none.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { errorsOf } from './errors.mjs';

/** `errors` with places for those of style sheets that have none. `entry` is a file of the project's Vite. */
export function placed(errors, modules, entry) {
  if (!errors.some((error) => !error.file && /css/.test(`${error.plugin} ${error.message}`))) return errors;
  const found = firstBroken(modules, entry);
  return errors.map((error) => (error.file || !found ? error : { ...error, ...found }));
}

function firstBroken(modules, entry) {
  let transform;
  try {
    ({ transform } = createRequire(entry)('lightningcss'));
  } catch {
    return null;
  }
  for (const file of modules) {
    if (!file.endsWith('.css') || file.includes('/node_modules/') || !fs.existsSync(file)) continue;
    try {
      transform({ filename: file, code: fs.readFileSync(file) });
    } catch (error) {
      const { line, column } = errorsOf(error)[0];
      return { file, line, column };
    }
  }
  return null;
}
