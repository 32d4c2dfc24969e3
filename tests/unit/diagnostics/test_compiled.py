"""Lines are those of the file that people wrote, not of what a compiler made of it; older and newer tools draw them differently."""

import pytest

from headrace.diagnostics.base import LogLine
from headrace.diagnostics.diagnose import diagnose
from headrace.model.diagnostic import Failure
from headrace.model.plan import PlannedCommand, StepId
from headrace.model.sandbox import CommandResult

VITE = """\
error during build:
[UNRESOLVED_IMPORT] Could not resolve './lib/Countr.svelte' in src/App.svelte
   ╭─[ src/App.svelte:7:21 ]
   │
 7 │ import Counter from './lib/Countr.svelte';
   │                     ──────────┬──────────
   │                               ╰──────────── Module not found.
───╯
"""
RSPACK = """\
ERROR in ./src/App.tsx 4:1-19
  \N{MULTIPLICATION SIGN} Module not found: Can't resolve './App.cs' in '/app/src'
   ╭─[4:0]
 2 │ import { useState } from 'react';
 3 │ import reactLogo from './assets/react.svg';
 4 │ import './App.cs';
   · ──────────────────
   ╰────

Rspack compiled with 1 error in 2.58 s
"""
RSPACK_SYNTAX = """\
ERROR in ./src/App.tsx
  \N{MULTIPLICATION SIGN} Module build failed (from builtin:swc-loader):
  ╰─▶   \N{MULTIPLICATION SIGN} Syntax Error: Expected ',', got ';'
         ╭─[2:38]
       1 │ function App() {
       2 │   const [count, setCount] = useState(0;
         ·                                       ─
         ╰────

Rspack compiled with 1 error in 2.93 s
"""
RSPACK_CONFIG = """\
[rspack] CLI failed:
[Error: ParseError: Missing semicolon.
 /app/rspack.config.ts:1:5]
"""
ASTRO_4 = """\
02:44:24 [build] output: "static"
02:44:40 [build] ✓ Completed in 16.03s.

 generating static routes
02:44:40 ▶ src/pages/index.astro
Cannot read properties of undefined (reading 'x')
  Stack trace:
    at file:///app/dist/pages/index.astro.mjs?time=1795920280490:8:51
02:44:40   └─ /index.html
"""


FARM = """\
[ Farm ] Using config file at /app/farm.config.ts
[ Farm ] Error: Failed to build: Error: Can not resolve `./mainn.css` from src/main.tsx.
"""
DOCUSAURUS = """\
[ERROR] Client bundle compiled with errors therefore further build is impossible.
\N{MULTIPLICATION SIGN} Module build failed (from ./node_modules/@docusaurus/mdx-loader/lib/index.js):
  ╰─▶   \N{MULTIPLICATION SIGN} Error: MDX compilation failed for file "/app/docs/intro.mdx"
        │ Cause: Unexpected character `#` (U+0023) after name, expected a character that can start an attribute name
        │ Details:
        │ {
        │   "column": 6,
        │   "file": "",
        │   "line": 2,
        │   "name": "2:6",
        │   "place": {
        │     "line": 7,
"""


def failure_of(printed: str, sources: dict[str, str]) -> Failure:
    data = {path: text.encode() for path, text in sources.items()}
    return diagnose(
        StepId.BUILD,
        PlannedCommand(argv=("sh", "-c", "build")),
        CommandResult(exit_code=1, seconds=1),
        [LogLine(seq=number, text=text) for number, text in enumerate(printed.splitlines())],
        list(sources),
        data.get,
    )


@pytest.mark.parametrize(
    ("printed", "file", "source", "reason", "line"),
    [
        (
            VITE,
            "src/App.svelte",
            "<script>\n  import C from './lib/Countr.svelte'\n</script>\n",
            "missing_dependency",
            2,
        ),
        (RSPACK, "src/App.tsx", "import './App.cs';\n\n\nfunction App() {}\n", "missing_dependency", 1),
        (RSPACK_SYNTAX, "src/App.tsx", "function App() {\n  const [c, s] = useState(0;\n}\n", "syntax_error", 2),
        (RSPACK_CONFIG, "rspack.config.ts", "imprt a from 'a'\n", "config_error", 1),
        (ASTRO_4, "src/pages/index.astro", "---\nconst t = undefined.x;\n---\n", "prerender_failed", 2),
        (FARM, "src/main.tsx", "import a from 'a'\nimport './mainn.css'\n", "missing_dependency", 2),
        (DOCUSAURUS, "docs/intro.mdx", "# Hi\n<Foo # x\n", "syntax_error", 2),
    ],
    ids=["vite", "rspack", "rspack-syntax", "rspack-config", "astro-4", "farm", "docusaurus"],
)
def test_a_mistake_is_found_in_the_source(printed: str, file: str, source: str, reason: str, line: int) -> None:
    failure = failure_of(printed, {file: source})
    first = failure.diagnostics[0]
    assert (failure.reason, first.file, first.line) == (reason, file, line)
    assert not first.message.startswith(("\N{MULTIPLICATION SIGN}", "✓"))


def test_the_excerpt_is_of_the_source() -> None:
    failure = failure_of(VITE, {"src/App.svelte": "<script>\n  import C from './lib/Countr.svelte'\n</script>\n"})
    assert "> 2 |   import C" in (failure.diagnostics[0].excerpt or "")
