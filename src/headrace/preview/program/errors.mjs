// Whatever a tool throws, as plain errors with a place: lines and columns are 1-based.

import fs from 'node:fs';

// eslint-disable-next-line no-control-regex
const ANSI = /\u001b\[[0-9;]*m/g;
const MOST = 20;

const clean = (text) => String(text ?? '').replace(ANSI, '');

export function errorsOf(thrown) {
  const several = Array.isArray(thrown?.errors) && thrown.errors.length ? thrown.errors : [thrown];
  return several.slice(0, MOST).map((one) => described(one, thrown));
}

function described(error, whole) {
  const said = clean(error?.reason ?? error?.text ?? error?.message ?? error);
  const message = said.replace(/^\w+ failed with \d+ errors?:\s*\n+/, '');
  const drawn = fromFrame(message);
  const place = sought(drawn.file ? drawn : placeOf(error, whole), message);
  const text = drawn.text || message.split('\n').find((line) => line.trim()) || 'unknown error';
  return {
    message: text.replace(/^\[(?:[A-Z_]+|plugin [^\]]+|builtin:[\w:-]+)\]\s*/, '').replace(/^\/\S+?:\d+:\d+:? /, '').trim(),
    file: place.file ?? null,
    line: place.line ?? null,
    column: place.column ?? null,
    frame: drawn.frame ?? (clean(error?.frame ?? whole?.frame) || error?.location?.lineText || null),
    plugin: error?.plugin ?? error?.pluginName ?? whole?.plugin ?? null,
    code: /^[A-Z][A-Z0-9_]{2,60}$/.test(error?.code) ? error.code : null,
  };
}

// Rolldown draws the place into the message, and for syntax errors it stands nowhere else.
function fromFrame(message) {
  const lines = message.split('\n');
  const at = lines.findIndex((line) => /^\s*╭/.test(line));
  if (at < 0) return {};
  const found = lines[at].match(/\[ (.+?):(\d+):(\d+) \]/);
  return {
    text: lines.slice(0, at).join('\n').trim(),
    frame: lines.slice(at).join('\n').trimEnd(),
    ...(found && { file: found[1], line: Number(found[2]), column: Number(found[3]) }),
  };
}

function placeOf(error, whole) {
  // PostCSS counts columns from 1, parsers of JavaScript from 0.
  if (error?.name === 'CssSyntaxError' && error.line) {
    return { file: error.file ?? error.id ?? whole?.id, line: error.line, column: error.column };
  }
  if (error?.location) {
    const { file, line, column } = error.location;
    return { file, line, column: column + 1 };
  }
  const loc = error?.loc?.start ?? error?.loc ?? error?.start ?? whole?.loc;
  const written = fromText(clean(error?.message));
  const names = [error?.loc?.file, error?.id, error?.filename, whole?.loc?.file, whole?.id, written.file].filter(Boolean);
  // Some plugins name only the last part of a path.
  const file = names.find((name) => name.includes('/')) ?? names[0];
  const fromOne = /vue/.test(error?.plugin ?? '') ? 0 : 1;
  if (loc?.line) return { file: file && withoutQuery(file), line: loc.line, column: (loc.column ?? 0) + fromOne };
  return written.line || !file ? written : { file: withoutQuery(file) };
}

// Rollup says which import it can't resolve and not where it stands.
function sought(place, message) {
  const name = message.match(/resolve (?:import )?["']([^"']+)["']/)?.[1];
  if (place.line || !place.file || !name) return place;
  try {
    const lines = fs.readFileSync(place.file, 'utf8').split('\n');
    const at = lines.findIndex((line) => line.includes(`'${name}'`) || line.includes(`"${name}"`));
    return at < 0 ? place : { ...place, line: at + 1, column: lines[at].indexOf(name) + 1 };
  } catch {
    return place;
  }
}

// "…from "src/App.tsx". Does the file exist?" and "/app/src/App.tsx:3:7" stand in messages of plugins.
function fromText(message) {
  const at = message.match(/((?:\/|\.{0,2}\/|[\w@-]+\/)[^\s:'"()]+\.\w+):(\d+):(\d+)/);
  if (at) return { file: at[1], line: Number(at[2]), column: Number(at[3]) };
  const from = message.match(/ from ["']([^"']+)["']/);
  return from ? { file: from[1] } : {};
}

const withoutQuery = (id) => id.replace(/^\0/, '').split('?')[0];
