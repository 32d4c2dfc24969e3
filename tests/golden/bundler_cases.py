"""One line broken in each of the projects of `bundler_projects.py`, and logs that hold no mistake at all."""

import json
from pathlib import Path

from tests.golden.record_diagnostics import NOTHING, Case, both, dependency, edit, remove, script, write

INDEX, PAGE, NEXT = "src/index.js", "src/pages/index.astro", "app/page.tsx"
ROUTE = "src/routes/+page.svelte"
WEBPACK = ["next", "build", "--webpack"]
LEGACY = {"NODE_OPTIONS": "--openssl-legacy-provider"}
YARN1 = ["yarn", "install", "--frozen-lockfile", "--non-interactive"]
BERRY = ["yarn", "install", "--immutable"]
BUN = ["bun", "install", "--frozen-lockfile"]
NO_SUCH = "@headrace-tests/no-such-package"


def _broken_package(root: Path) -> None:
    """A dependency whose install script fails. A directory of the project, as no published package is that reliable."""
    write(
        "broken/package.json", '{"name": "broken", "version": "1.0.0", "scripts": {"postinstall": "node setup.js"}}\n'
    )(root)
    write("broken/setup.js", "throw new Error('no compiler')\n")(root)
    dependency("broken", "file:./broken")(root)
    data = json.loads((root / "package.json").read_text())
    (root / "package.json").write_text(
        json.dumps(
            {**data, "trustedDependencies": ["broken"], "dependenciesMeta": {"broken": {"built": True}}}, indent=2
        )
        + "\n"
    )


def _engine(root: Path) -> None:
    data = json.loads((root / "package.json").read_text())
    (root / "package.json").write_text(json.dumps({**data, "engines": {"node": ">=99"}}, indent=2) + "\n")


CASES: dict[str, Case] = {
    # webpack 5
    "webpack-wrong-path": Case("webpack5", edit(INDEX, "./part", "./parts")),
    "webpack-case-mismatch": Case("webpack5", edit(INDEX, "./part", "./Part")),
    "webpack-missing-package": Case("webpack5", edit(INDEX, "import './style.css'", "import './style.css'\nimport dayjs from 'dayjs'")),
    "webpack-syntax": Case("webpack5", edit(INDEX, "const start = 1", "const start = = 1")),
    "webpack-no-loader": Case("webpack5", both(write("src/a.vue", "<template>\n  <p>hi</p>\n</template>\n"), edit(INDEX, "import './style.css'", "import './a.vue'"))),
    "webpack-babel-syntax": Case("webpack5", both(edit("src/View.jsx", "</p>", "</q>"), edit(INDEX, "import './style.css'", "import './View'"))),
    "webpack-type-error": Case("webpack5", both(edit("src/typed.ts", "= 1", "= 'one'"), edit(INDEX, "import './style.css'", "import './typed'"))),
    "webpack-css-syntax": Case("webpack5", edit("src/style.css", "color: red;", "color: red;\n  }\n}")),
    "webpack-sass": Case("webpack5", both(edit("src/theme.scss", "color: $red", "color: $blue"), edit(INDEX, "./style.css", "./theme.scss"))),
    "webpack-bad-config": Case("webpack5", edit("webpack.config.js", "mode:", "mod:")),
    "webpack-config-missing-plugin": Case("webpack5", edit("webpack.config.js", "const path = require('path')", "const path = require('path')\nrequire('html-webpack-plugin')")),
    "webpack-loader-missing": Case("webpack5", edit("webpack.config.js", "'style-loader', 'css-loader'] },\n      { test: /\\.scss", "'style-loaderr', 'css-loader'] },\n      { test: /\\.scss")),
    # webpack 4
    "webpack4-openssl": Case("webpack4", NOTHING),
    "webpack4-wrong-path": Case("webpack4", edit(INDEX, "./part", "./parts"), env=LEGACY),
    "webpack4-syntax": Case("webpack4", edit("src/part.js", "n + 1", "n?.x + 1"), env=LEGACY),
    # Create React App
    "cra-wrong-path": Case("cra", edit("src/App.js", "./components/Header", "./components/Heder")),
    "cra-case-mismatch": Case("cra", edit("src/App.js", "./components/Header", "./components/header")),
    "cra-missing-package": Case("cra", edit("src/App.js", "import './App.css';", "import './App.css';\nimport axios from 'axios';\nconsole.log(axios);")),
    "cra-syntax": Case("cra", edit("src/App.js", "return <Header", "retrn <Header")),
    "cra-warning-in-ci": Case("cra", edit("src/App.js", "function App() {", "function App() {\n  const unused = 1;")),
    "cra-lint-error": Case("cra", edit("src/App.js", "return <Header title=\"hello\" />", "return <Header title={titel} />")),
    "cra-missing-export": Case("cra", edit("src/App.js", "{ Header }", "{ Headr as Header }")),
    # Next 16, Turbopack
    "next-wrong-path": Case("next16", edit(NEXT, "../components/Title", "../components/Titel")),
    "next-case-mismatch": Case("next16", edit(NEXT, "../components/Title", "../components/title")),
    "next-alias": Case("next16", edit(NEXT, "../components/Title", "@/components/title")),
    "next-missing-package": Case("next16", edit(NEXT, "export default", "import dayjs from 'dayjs'\nconsole.log(dayjs)\nexport default")),
    "next-syntax": Case("next16", edit(NEXT, "const count: number = 1", "const count: number = = 1")),
    "next-type-error": Case("next16", edit(NEXT, "const count: number = 1", "const count: number = 'one'")),
    "next-missing-export": Case("next16", edit(NEXT, "{ Title }", "{ Titel as Title }")),
    "next-prerender-throws": Case("next16", edit("app/about/page.tsx", "return <p>", "const user: any = undefined\n  return <p>{user.name}")),
    "next-missing-env": Case("next16", edit("app/about/page.tsx", "return <p>", "if (!process.env.CMS_TOKEN) throw new Error('Missing environment variable: CMS_TOKEN')\n  return <p>")),
    "next-css": Case("next16", edit("app/globals.css", "color: red;\n}", "color: red;\n}}")),
    "next-use-client": Case("next16", edit(NEXT, "export default", "import { useState } from 'react'\nconsole.log(useState)\nexport default")),
    "next-google-font": Case("next16", edit("app/layout.tsx", "export default", "import { Inter } from 'next/font/google'\nconst inter = Inter({ subsets: ['latin'] })\nconsole.log(inter)\nexport default")),
    "next-bad-config": Case("next16", edit("next.config.mjs", "{ output: 'export' }", "{ output: 'export' ")),
    "next-dynamic-params": Case("next16", write("app/post/[id]/page.tsx", "export default function Post() {\n  return <p>post</p>\n}\n")),
    "next-fetch-in-page": Case("next16", edit("app/about/page.tsx", "export default function About() {", "export default async function About() {\n  await fetch('https://api.example.com/posts')")),
    # Next 16, webpack
    "next-webpack-wrong-path": Case("next16", edit(NEXT, "../components/Title", "../components/Titel"), WEBPACK),
    "next-webpack-syntax": Case("next16", edit(NEXT, "const count: number = 1", "const count: number = = 1"), WEBPACK),
    "next-webpack-node-module": Case("next16", edit("components/Title.tsx", "export function", "'use client'\nimport fs from 'fs'\nconsole.log(fs)\nexport function"), WEBPACK),
    # Next 14
    "next14-lint": Case("next14", edit("app/about/page.tsx", "<p>about</p>", "<p>it's about</p>")),
    "next14-type-error": Case("next14", edit(NEXT, "const count: number = 1", "const count: number = 'one'")),
    "next14-missing-package": Case("next14", edit(NEXT, "export default", "import dayjs from 'dayjs'\nconsole.log(dayjs)\nexport default")),
    # Parcel
    "parcel-wrong-path": Case("parcel", edit(INDEX, "./part", "./parts")),
    "parcel-missing-package": Case("parcel", edit(INDEX, "import './style.css'", "import './style.css'\nimport dayjs from 'dayjs'\nconsole.log(dayjs)")),
    "parcel-syntax": Case("parcel", edit(INDEX, "const start = 1", "const start = = 1")),
    "parcel-missing-export": Case("parcel", both(edit(INDEX, "{ part }", "{ prat }"), edit(INDEX, "part(start)", "prat(start)"))),
    "parcel-css": Case("parcel", edit("src/style.css", "color: red;", "color red;;{")),
    "parcel-html": Case("parcel", edit("index.html", "./src/index.js", "./src/indx.js")),
    # ESLint
    "eslint-errors": Case("eslint", edit(INDEX, "const start = 1", "const start = 1\nconst unused = 2\nstart = undefinedName")),
    "eslint-parse": Case("eslint", edit(INDEX, "const start = 1", "const start = = 1")),
    "eslint-max-warnings": Case("eslint", script("eslint --max-warnings 0 src")),
    "eslint-missing-plugin": Case("eslint", edit("eslint.config.js", "import js from '@eslint/js'", "import js from '@eslint/js'\nimport react from 'eslint-plugin-react'")),
    # Svelte
    "svelte-check-type-error": Case("svelte", edit("src/App.svelte", "$state(0)", "$state('0')")),
    "svelte-check-machine": Case("svelte", both(script("svelte-check --tsconfig ./tsconfig.json --output machine"), edit("src/App.svelte", "$state(0)", "$state('0')"))),
    "svelte-syntax": Case("svelte", both(script("vite build"), edit("src/App.svelte", "</button>", "</buton>"))),
    "svelte-wrong-path": Case("svelte", both(script("vite build"), edit("src/main.ts", "./App.svelte", "./app.svelte"))),
    # Astro
    "astro-wrong-path": Case("astro", edit(PAGE, "../components/Card.astro", "../components/Crad.astro")),
    "astro-syntax": Case("astro", edit(PAGE, "const title: string = 'hello'", "const title: string = = 'hello'")),
    "astro-throws": Case("astro", edit("src/components/Card.astro", "const { title } = Astro.props", "const { title } = Astro.props\nconst user: any = undefined\nuser.name")),
    "astro-missing-package": Case("astro", edit(PAGE, "const title: string", "import dayjs from 'dayjs'\nconsole.log(dayjs)\nconst title: string")),
    "astro-config": Case("astro", edit("astro.config.mjs", "defineConfig({})", "defineConfig({ site: 42 })")),
    "astro-config-missing": Case("astro", edit("astro.config.mjs", "export default", "import tailwind from '@astrojs/tailwind'\nexport default")),
    "astro-frontmatter": Case("astro", edit("src/pages/post.md", "title: hello", "title: 'hello")),
    # Angular
    "angular-type-error": Case("angular", edit("src/app/app.ts", "count: number = 1", "count: number = 'one'")),
    "angular-template": Case("angular", edit("src/app/app.html", "{{ count }}", "{{ cuont }}")),
    "angular-wrong-path": Case("angular", edit("src/main.ts", "./app/app'", "./app/ap'")),
    "angular-missing-template": Case("angular", edit("src/app/app.ts", "./app.html", "./apps.html")),
    "angular-sass": Case("angular", edit("src/styles.scss", "color: $red", "color: $blue")),
    "angular-budget": Case("angular", edit("angular.json", '"2MB"', '"2kB"')),
    "angular-unknown-element": Case("angular", edit("src/app/app.html", "<p>", "<app-card></app-card><p>")),
    # styles
    "sass-undefined": Case("styles", edit("src/a.scss", "colors.$red", "colors.$blue")),
    "sass-missing-import": Case("styles", edit("src/a.scss", "./colors", "./colours")),
    "sass-syntax": Case("styles", edit("src/a.scss", "color: colors.$red;\n}", "color: colors.$red;\n")),
    "postcss-api-syntax": Case("styles", both(script("node css.cjs"), write("css.cjs", "const fs = require('fs')\nconst css = fs.readFileSync('src/b.css')\nconsole.log(require('postcss')([{ postcssPlugin: 'none', Once() {} }]).process(css, { from: 'src/b.css' }).css)\n"), edit("src/b.css", "color: red;\n}", "color: red;\n"))),
    "tailwind-unknown": Case("styles", both(script("tailwindcss -i src/t.css -o dist/t.css"), edit("src/t.css", "p-4", "pq-4"))),
    # rollup and esbuild by themselves
    "rollup-cli-wrong-path": Case("rollup", edit("src/main.js", "./part.js", "./parts.js")),
    "rollup-cli-syntax": Case("rollup", edit("src/main.js", "console.log(part(size))", "console.log(part(size)")),
    "rollup-cli-export": Case("rollup", edit("src/main.js", "{ part }", "{ prat as part }")),
    "rollup-cli-config": Case("rollup", edit("rollup.config.js", "@rollup/plugin-typescript", "@rollup/plugin-typescrip")),
    "rollup-cli-tsconfig": Case("rollup", edit("tsconfig.json", '"types": []', '"types": [], "allowImportingTsExtensions": true')),
    "rollup-cli-types": Case("rollup", edit("src/typed.ts", "= 1", "= 'one'")),
    "esbuild-cli-wrong-path": Case("rollup", both(script("esbuild src/main.js --bundle --outdir=dist"), edit("src/main.js", "./part.js", "./Part.js"))),
    "esbuild-cli-package": Case("rollup", both(script("esbuild src/main.js --bundle --outdir=dist"), edit("src/main.js", "import { part }", "import 'dayjs'\nimport { part }"))),
    "esbuild-cli-syntax": Case("rollup", both(script("esbuild src/main.js --bundle --outdir=dist"), edit("src/main.js", "console.log(part(size))", "console.log(part(size)"))),
    # yarn 1
    "yarn1-lock-out-of-step": Case("plain-yarn1", dependency("once", "^1.4.0"), YARN1, installed=False, tool="yarn1"),
    "yarn1-package-not-found": Case("plain-yarn1", dependency(NO_SUCH, "^1.0.0"), ["yarn", "install"], installed=False, tool="yarn1"),
    "yarn1-version-not-found": Case("plain-yarn1", dependency("ms", "^99.0.0"), ["yarn", "install"], installed=False, tool="yarn1"),
    "yarn1-engine": Case("plain-yarn1", _engine, ["yarn", "install"], installed=False, tool="yarn1"),
    "yarn1-missing-script": Case("plain-yarn1", NOTHING, ["yarn", "run", "biuld"], installed=False, tool="yarn1"),
    "yarn1-install-script": Case("plain-yarn1", _broken_package, ["yarn", "install"], installed=False, tool="yarn1"),
    "yarn1-bad-json": Case("plain-yarn1", edit("package.json", '"private": true,', '"private": true'), ["yarn", "install"], installed=False, tool="yarn1"),
    "yarn1-git": Case("plain-yarn1", dependency("thing", "git+https://git.invalid/thing.git"), ["yarn", "install"], installed=False, tool="yarn1"),
    # yarn 4
    "yarn4-lock-out-of-step": Case("plain-yarn4", dependency("once", "^1.4.0"), BERRY, installed=False, tool="yarn4"),
    "yarn4-package-not-found": Case("plain-yarn4", dependency(NO_SUCH, "^1.0.0"), ["yarn", "install", "--no-immutable"], installed=False, tool="yarn4"),
    "yarn4-version-not-found": Case("plain-yarn4", dependency("ms", "^99.0.0"), ["yarn", "install", "--no-immutable"], installed=False, tool="yarn4"),
    "yarn4-missing-script": Case("plain-yarn4", NOTHING, ["yarn", "run", "biuld"], tool="yarn4"),
    "yarn4-install-script": Case("plain-yarn4", _broken_package, ["yarn", "install", "--no-immutable"], installed=False, tool="yarn4"),
    "yarn4-bad-json": Case("plain-yarn4", edit("package.json", '"private": true,', '"private": true'), BERRY, installed=False, tool="yarn4"),
    # bun
    "bun-lock-out-of-step": Case("plain", dependency("once", "^1.4.0"), BUN, installed=False),
    "bun-package-not-found": Case("plain", dependency(NO_SUCH, "^1.0.0"), ["bun", "install", "--no-frozen-lockfile"], installed=False),
    "bun-version-not-found": Case("plain", dependency("ms", "^99.0.0"), ["bun", "install", "--no-frozen-lockfile"], installed=False),
    "bun-missing-script": Case("plain", NOTHING, ["bun", "run", "biuld"], installed=False),
    "bun-install-script": Case("plain", _broken_package, ["bun", "install", "--no-frozen-lockfile"], installed=False),
    "bun-bad-json": Case("plain", edit("package.json", '"private": true,', '"private": true'), BUN, installed=False),
    "bun-run-fails": Case("eslint", edit(INDEX, "const start = 1", "const start = = 1"), ["bun", "run", "build"]),
    # Gatsby
    "gatsby-wrong-path": Case("gatsby", edit("src/pages/index.js", "../components/title", "../components/titel")),
    "gatsby-query": Case("gatsby", edit("src/pages/index.js", "        title\n", "        titel\n")),
    "gatsby-throws": Case("gatsby", edit("src/components/title.js", "return <h1>", "undefined.x\n  return <h1>")),
    "gatsby-config-plugin": Case("gatsby", edit("gatsby-config.js", "siteMetadata", "plugins: ['gatsby-plugin-sharp'], siteMetadata")),
    # What is run before a bundler, and words of programs that nobody knows
    "vitest-fails": Case("tools", both(script("vitest run && vite build"), edit("src/sum.js", "a + b", "a - b"))),
    "vitest-throws": Case("tools", both(script("vitest run && vite build"), edit("src/sum.js", "return a + b", "return a.x.y + b"))),
    "prettier-style": Case("tools", both(script("prettier --check src && vite build"), edit("src/sum.js", "a + b", "a+b"))),
    "prettier-syntax": Case("tools", both(script("prettier --check src && vite build"), edit("src/sum.js", "return a + b;", "return a + ;"))),
    "stylelint-rule": Case("tools", both(script("stylelint src/*.scss && vite build"), edit("src/theme.scss", "color: $red", "colr: $red"))),
    "biome-lint": Case("tools", both(script("biome ci src/sum.js && vite build"), edit("src/sum.js", "return a + b;", "debugger;\n  return a + b;"))),
    "vite-scss-brace": Case("tools", edit("src/theme.scss", "color: $red;\n}", "color: $red;\n")),
    "vite-declared-twice": Case("tools", edit("src/main.js", "import './style.css'", "import { sum } from './sum.js';\nimport './style.css'")),
    "tsc-missing-base": Case("tools", both(script("tsc"), edit("tsconfig.json", '"compilerOptions"', '"extends": "./tsconfig.base.json",\n  "compilerOptions"'))),
    "tsc-missing-types": Case("tools", both(script("tsc"), edit("tsconfig.json", '"types": []', '"types": ["nodee"]'))),
    "tsc-node-types": Case("tools", both(script("tsc"), edit("src/lib.ts", "export const", "import fs from 'node:fs'\nconsole.log(fs)\nexport const"))),
    "sh-copy-of-nothing": Case("tools", script("cp -r static dist && vite build")),
    "node-spawn": Case("tools", script("cross-env NODE_ENV=production vitee build")),
    "node-require-in-module": Case("tools", both(script("node b.js"), write("b.js", "const fs = require('fs')\nconsole.log(fs)\n"))),
    "node-missing-export": Case("tools", both(script("node b.js"), write("b.js", "import { readFil } from 'fs'\nconsole.log(readFil)\n"))),
    "log-last-word": Case("tools", both(script("node b.js"), write("posts/first.md", "x\n"), write("b.js", "console.error('ERROR: posts/first.md has no title')\nprocess.exit(1)\n"))),
    # SvelteKit
    "sveltekit-link": Case("sveltekit", edit(ROUTE, 'href="/about"', 'href="/abot"')),
    "sveltekit-load-throws": Case("sveltekit", edit("src/routes/+page.js", "return {", "throw new Error('boom')\n  return {")),
    "sveltekit-page-throws": Case("sveltekit", edit(ROUTE, "{data.title}", "{data.post.title}")),
    "sveltekit-alias-case": Case("sveltekit", edit(ROUTE, "$lib/Card.svelte", "$lib/card.svelte")),
    "sveltekit-static-env": Case("sveltekit", edit("src/routes/+page.js", "export function", "import { API_TOKEN } from '$env/static/private'\nconsole.log(API_TOKEN)\nexport function")),
    "sveltekit-private-in-browser": Case("sveltekit", edit(ROUTE, "let { data }", "import { env } from '$env/dynamic/private'\n  let { data }")),
    "sveltekit-config": Case("sveltekit", edit("svelte.config.js", "adapter: adapter(),", "adaptor: adapter(),")),
    "sveltekit-not-prerendered": Case("sveltekit", edit("src/routes/+layout.js", "prerender = true", "ssr = true")),
    "sveltekit-export": Case("sveltekit", edit("src/routes/+page.js", "export function load", "export const foo = 1\nexport function load")),
    # Eleventy
    "eleventy-filter": Case("eleventy", edit("src/index.njk", "loud", "loude")),
    "eleventy-include": Case("eleventy", edit("src/index.njk", "'card.njk'", "'crad.njk'")),
    "eleventy-layout": Case("eleventy", edit("src/post.md", "base.njk", "bse.njk")),
    "eleventy-front-matter": Case("eleventy", edit("src/post.md", "title: Post", 'title: "Post')),
    "eleventy-data": Case("eleventy", edit("src/_data/site.json", '"name": "site"', '"name": "site",')),
    "eleventy-config": Case("eleventy", edit("eleventy.config.js", "addFilter(", "addFiltr(")),
    "eleventy-plugin": Case("eleventy", edit("eleventy.config.js", "module.exports", "const rss = require('@11ty/eleventy-plugin-rss')\nmodule.exports")),
    "eleventy-block-open": Case("eleventy", edit("src/index.njk", "{% include", "{% if title %}{% include")),
    # Astro's collections
    "astro-content-schema": Case("astrocontent", edit("src/content/blog/first.md", "title: First", "titel: First")),
    "astro-no-static-paths": Case("astrocontent", write("src/pages/tag/[tag].astro", "---\nconst { tag } = Astro.params\n---\n<p>{tag}</p>\n")),
    "astro-markdown-image": Case("astrocontent", edit("src/content/blog/first.md", "# First", "# First\n\n![x](./nope.png)")),
    "astro-config-list": Case("astro", edit("astro.config.mjs", "defineConfig({})", "defineConfig({ integrations: ['mdx'] })")),
    "astro-check-order": Case("astro", both(script("astro check && astro build"), edit(PAGE, "const title: string = 'hello'", "const title: number = 'hello'"))),
    "astro-undefined": Case("astro", edit(PAGE, "<Card title", "{titel}<Card title")),
    "next-no-default-export": Case("next16", edit("app/about/page.tsx", "export default function", "export function")),
    "next-search-params": Case("next16", write("app/s/page.tsx", "'use client'\nimport { useSearchParams } from 'next/navigation'\nexport default function S() {\n  return <p>{useSearchParams().get('q')}</p>\n}\n")),
    "next-route-export": Case("next16", write("app/api/x/route.ts", "export async function GET(request: Request) {\n  return Response.json({ u: request.url })\n}\n")),
    "next-headers-export": Case("next16", edit("app/about/page.tsx", "export default function About() {", "import { headers } from 'next/headers'\nexport default async function About() {\n  await headers()")),
}  # fmt: skip

#: Nothing is wrong in these: no diagnostic may be found, whatever words the log has.
FINE: dict[str, Case] = {
    "fine-webpack": Case("webpack5", NOTHING),
    "fine-next": Case("next16", both(remove("app/about/page.tsx"), write("app/error-handling/page.tsx", "export default function Page() {\n  return <p>Error: none</p>\n}\n"))),
    "fine-parcel": Case("parcel", NOTHING),
    "fine-eslint-warnings": Case("eslint", NOTHING),
    "fine-svelte": Case("svelte", NOTHING),
    "fine-astro": Case("astro", write("src/pages/error.astro", "<p>error</p>\n")),
    "fine-angular": Case("angular", NOTHING),
    "fine-cra": Case("cra", NOTHING, env={"CI": "false"}),
    "fine-bun": Case("plain", NOTHING, BUN, installed=False),
    "fine-words": Case("plain", write("build.js", "console.log('0 errors, 0 failed')\nconsole.log('error-handling.js 12 kB')\nconsole.log('Checked 10 files: no error found')\nconsole.log('ERROR_PAGE=404.html')\n")),
}  # fmt: skip
