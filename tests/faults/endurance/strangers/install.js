// What it installs is another word each time: whoever has the same word has got it from the same installation.
const fs = require('fs');
fs.mkdirSync('node_modules/word', { recursive: true });
fs.writeFileSync('node_modules/word/word.txt', String(Math.random()));
