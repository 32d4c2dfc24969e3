"""Small projects of bundlers and frameworks, unbroken: what `bundler_cases.py` breaks in one line."""

import json
from typing import Any

Files = dict[str, str]


def manifest(build: str, dependencies: dict[str, str], **more: Any) -> str:
    data = {
        "name": "app",
        "version": "1.0.0",
        "private": True,
        "scripts": {"build": build},
        "dependencies": dependencies,
    }
    return json.dumps({**data, **more}, indent=2) + "\n"


PAGE = '<!doctype html>\n<html>\n  <body>\n    <div id="root"></div>\n    <script type="module" src="./src/index.js"></script>\n  </body>\n</html>\n'
INDEX = "import { part } from './part'\nimport './style.css'\n\nconst start = 1\nconsole.log(part(start))\n"
PART = "export function part(n) {\n  return n + 1\n}\n"
STYLE = "body {\n  color: red;\n}\n"

WEBPACK_CONFIG = """\
const path = require('path')

module.exports = {
  mode: 'production',
  entry: './src/index.js',
  output: { path: path.resolve(__dirname, 'dist') },
  resolve: { extensions: ['.js', '.jsx', '.ts'] },
  module: {
    rules: [
      { test: /\\.jsx$/, use: { loader: 'babel-loader', options: { presets: ['@babel/preset-react'] } } },
      { test: /\\.ts$/, use: 'ts-loader' },
      { test: /\\.css$/, use: ['style-loader', 'css-loader'] },
      { test: /\\.scss$/, use: ['style-loader', 'css-loader', 'sass-loader'] },
    ],
  },
}
"""
TSCONFIG = (
    json.dumps(
        {
            "compilerOptions": {
                "strict": True,
                "module": "esnext",
                "moduleResolution": "bundler",
                "target": "es2022",
                "types": [],
            }
        },
        indent=2,
    )
    + "\n"
)

NEXT_PAGE = """\
import { Title } from '../components/Title'

export default function Page() {
  const count: number = 1
  return <Title text={`count ${count}`} />
}
"""
NEXT_LAYOUT = """\
import './globals.css'

export default function Layout({ children }: { children: React.ReactNode }) {
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  )
}
"""
TITLE = "export function Title({ text }: { text: string }) {\n  return <h1>{text}</h1>\n}\n"
NEXT_FILES = {
    "app/page.tsx": NEXT_PAGE,
    "app/layout.tsx": NEXT_LAYOUT,
    "app/globals.css": STYLE,
    "app/about/page.tsx": "export default function About() {\n  return <p>about</p>\n}\n",
    "components/Title.tsx": TITLE,
    "next.config.mjs": "export default { output: 'export' }\n",
    "tsconfig.json": json.dumps(
        {
            "compilerOptions": {
                "target": "ES2022", "lib": ["dom", "esnext"], "allowJs": True, "skipLibCheck": True, "strict": True, "noEmit": True,
                "esModuleInterop": True, "module": "esnext", "moduleResolution": "bundler", "resolveJsonModule": True,
                "isolatedModules": True, "jsx": "preserve", "incremental": True, "plugins": [{"name": "next"}], "paths": {"@/*": ["./*"]},
            },
            "include": ["next-env.d.ts", "**/*.ts", "**/*.tsx", ".next/types/**/*.ts"],
            "exclude": ["node_modules"],
        },
        indent=2,
    )
    + "\n",
    "next-env.d.ts": '/// <reference types="next" />\n',
}  # fmt: skip

CRA_APP = "import { Header } from './components/Header';\nimport './App.css';\n\nfunction App() {\n  return <Header title=\"hello\" />;\n}\n\nexport default App;\n"

ANGULAR_JSON = json.dumps(
    {
        "version": 1,
        "projects": {
            "app": {
                "projectType": "application",
                "root": "",
                "sourceRoot": "src",
                "architect": {
                    "build": {
                        "builder": "@angular/build:application",
                        "options": {"browser": "src/main.ts", "tsConfig": "tsconfig.app.json", "styles": ["src/styles.scss"], "index": "src/index.html", "outputPath": "dist"},
                        "configurations": {"production": {"budgets": [{"type": "initial", "maximumError": "2MB"}]}},
                        "defaultConfiguration": "production",
                    }
                },
            }
        },
        "cli": {"analytics": False},
    },
    indent=2,
) + "\n"  # fmt: skip

ASTRO_PAGE = "---\nimport Card from '../components/Card.astro'\nconst title: string = 'hello'\n---\n\n<html>\n  <body>\n    <Card title={title} />\n  </body>\n</html>\n"

#: Files of each project, without package.json's dependencies being installed.
PROJECTS: dict[str, Files] = {
    "webpack5": {
        "package.json": manifest(
            "webpack",
            {"webpack": "^5", "webpack-cli": "^7", "css-loader": "^7", "style-loader": "^4", "babel-loader": "^10", "@babel/core": "^7", "@babel/preset-react": "^7",
             "ts-loader": "^9", "typescript": "~5.9.3", "sass": "^1", "sass-loader": "^17", "react": "^19"},
        ),
        "webpack.config.js": WEBPACK_CONFIG, "src/index.js": INDEX, "src/part.js": PART, "src/style.css": STYLE,
        "src/typed.ts": "export const size: number = 1\n", "src/View.jsx": "import React from 'react'\n\nexport const View = () => <p>hi</p>\n",
        "src/theme.scss": "$red: #f00;\np {\n  color: $red;\n}\n", "tsconfig.json": TSCONFIG,
    },
    "webpack4": {
        "package.json": manifest("webpack --mode production", {"webpack": "4.46.0", "webpack-cli": "^3"}),
        "src/index.js": "import { part } from './part'\n\nconsole.log(part(1))\n", "src/part.js": PART,
    },
    "cra": {
        "package.json": manifest(
            "react-scripts build",
            {"react": "^18", "react-dom": "^18", "react-scripts": "5.0.1"},
            eslintConfig={"extends": ["react-app"]}, browserslist=[">0.2%", "not dead"],
        ),
        "public/index.html": '<!doctype html>\n<div id="root"></div>\n',
        "src/index.js": "import React from 'react';\nimport ReactDOM from 'react-dom/client';\nimport App from './App';\n\nReactDOM.createRoot(document.getElementById('root')).render(<App />);\n",
        "src/App.js": CRA_APP, "src/App.css": STYLE, "src/components/Header.js": "export function Header({ title }) {\n  return <h1>{title}</h1>;\n}\n",
    },
    "next16": {
        "package.json": manifest("next build", {"next": "^16", "react": "^19", "react-dom": "^19", "typescript": "~5.9.3", "@types/react": "^19", "@types/node": "^24"}),
        **NEXT_FILES,
    },
    "next14": {
        "package.json": manifest(
            "next build",
            {"next": "^14", "react": "^18", "react-dom": "^18", "typescript": "~5.9.3", "@types/react": "^18", "@types/node": "^22", "eslint": "^8", "eslint-config-next": "^14"},
        ),
        ".eslintrc.json": '{"extends": "next/core-web-vitals"}\n', **NEXT_FILES,
    },
    "parcel": {
        "package.json": manifest("parcel build index.html", {"parcel": "^2"}),
        "index.html": PAGE, "src/index.js": INDEX, "src/part.js": PART, "src/style.css": STYLE,
    },
    "eslint": {
        "package.json": manifest("eslint src", {"eslint": "^10", "@eslint/js": "^10"}, type="module"),
        "eslint.config.js": "import js from '@eslint/js'\n\nexport default [js.configs.recommended, { rules: { 'no-console': 'warn' }, languageOptions: { globals: { console: true } } }]\n",
        "src/index.js": "import { part } from './part.js'\n\nconst start = 1\nconsole.log(part(start))\n", "src/part.js": PART,
    },
    "svelte": {
        "package.json": manifest(
            "svelte-check --tsconfig ./tsconfig.json && vite build",
            {"svelte": "^5", "vite": "^8", "@sveltejs/vite-plugin-svelte": "^7", "svelte-check": "^4", "typescript": "~5.9.3"}, type="module",
        ),
        "index.html": PAGE.replace("index.js", "main.ts"), "vite.config.js": "import { svelte } from '@sveltejs/vite-plugin-svelte'\n\nexport default { plugins: [svelte()] }\n",
        "svelte.config.js": "import { vitePreprocess } from '@sveltejs/vite-plugin-svelte'\n\nexport default { preprocess: vitePreprocess() }\n",
        "src/main.ts": "import { mount } from 'svelte'\nimport App from './App.svelte'\n\nmount(App, { target: document.body })\n",
        "src/App.svelte": "<script lang=\"ts\">\n  let count: number = $state(0)\n</script>\n\n<button onclick={() => count++}>\n  count is {count}\n</button>\n",
        "tsconfig.json": TSCONFIG.replace('"types": []', '"types": ["svelte"], "verbatimModuleSyntax": true'),
    },
    "astrocontent": {
        "package.json": manifest("astro build", {"astro": "^7"}, type="module"),
        "astro.config.mjs": "import { defineConfig } from 'astro/config'\n\nexport default defineConfig({})\n",
        "src/pages/index.astro": "<p>home</p>\n",
        'src/content.config.ts': "import { defineCollection, z } from 'astro:content'\nimport { glob } from 'astro/loaders'\n\nconst blog = defineCollection({\n  loader: glob({ pattern: '**/*.md', base: './src/content/blog' }),\n  schema: z.object({ title: z.string(), date: z.coerce.date() }),\n})\n\nexport const collections = { blog }\n",
        'src/content/blog/first.md': '---\ntitle: First\ndate: 2026-01-01\n---\n\n# First\n',
        'src/pages/blog/[id].astro': "---\nimport { getCollection, render } from 'astro:content'\nexport async function getStaticPaths() {\n  const posts = await getCollection('blog')\n  return posts.map((post) => ({ params: { id: post.id }, props: { post } }))\n}\nconst { post } = Astro.props\nconst { Content } = await render(post)\n---\n\n<h1>{post.data.title}</h1>\n<Content />\n",
    },
    "astro": {
        "package.json": manifest("astro build", {"astro": "^7", "@astrojs/check": "^0.9", "typescript": "~5.9.3"}, type="module"),
        "astro.config.mjs": "import { defineConfig } from 'astro/config'\n\nexport default defineConfig({})\n",
        "src/pages/index.astro": ASTRO_PAGE,
        "src/components/Card.astro": "---\ninterface Props {\n  title: string\n}\nconst { title } = Astro.props\n---\n\n<h1>{title}</h1>\n",
        "src/pages/post.md": "---\ntitle: hello\n---\n\n# Hello\n", "tsconfig.json": '{ "extends": "astro/tsconfigs/strict" }\n',
    },
    "angular": {
        "package.json": manifest(
            "ng build",
            dict.fromkeys(("@angular/core", "@angular/common", "@angular/compiler", "@angular/platform-browser", "@angular/cli", "@angular/build", "@angular/compiler-cli"), "^22")
            | {"rxjs": "^7", "tslib": "^2", "typescript": "~6.0"},
        ),
        "angular.json": ANGULAR_JSON,
        "tsconfig.json": json.dumps({"compilerOptions": {"strict": True, "target": "ES2022", "module": "preserve", "experimentalDecorators": True, "skipLibCheck": True}, "angularCompilerOptions": {"strictTemplates": True}}, indent=2) + "\n",
        "tsconfig.app.json": json.dumps({"extends": "./tsconfig.json", "compilerOptions": {"types": []}, "include": ["src/**/*.ts"]}, indent=2) + "\n",
        "src/index.html": '<!doctype html>\n<html lang="en">\n<head><title>app</title></head>\n<body><app-root></app-root></body>\n</html>\n',
        "src/styles.scss": "$red: #f00;\nbody {\n  color: $red;\n}\n",
        "src/main.ts": "import { bootstrapApplication } from '@angular/platform-browser';\nimport { App } from './app/app';\n\nbootstrapApplication(App).catch((err) => console.error(err));\n",
        "src/app/app.ts": "import { Component, provideZonelessChangeDetection, signal } from '@angular/core';\n\n@Component({\n  selector: 'app-root',\n  templateUrl: './app.html',\n})\nexport class App {\n  protected readonly title = signal('app');\n  protected count: number = 1;\n}\n",
        "src/app/app.html": "<h1>{{ title() }}</h1>\n<p>{{ count }}</p>\n",
    },
    "gatsby": {
        "package.json": manifest("gatsby build", {"gatsby": "^5", "react": "^18", "react-dom": "^18"}, trustedDependencies=[]),
        "gatsby-config.js": "module.exports = { siteMetadata: { title: 'app' } }\n",
        "src/pages/index.js": "import * as React from 'react'\nimport { graphql } from 'gatsby'\nimport Title from '../components/title'\n\nconst Page = ({ data }) => <Title text={data.site.siteMetadata.title} />\n\nexport default Page\n\nexport const query = graphql`\n  query {\n    site {\n      siteMetadata {\n        title\n      }\n    }\n  }\n`\n",
        "src/components/title.js": "import * as React from 'react'\n\nexport default function Title({ text }) {\n  return <h1>{text}</h1>\n}\n",
    },
    "styles": {
        "package.json": manifest("sass src/a.scss dist/a.css", {"sass": "^1", "postcss": "^8", "postcss-cli": "^11", "tailwindcss": "^4", "@tailwindcss/cli": "^4"}),
        "src/a.scss": "@use './colors';\n\np {\n  color: colors.$red;\n}\n", "src/_colors.scss": "$red: #f00;\n", "src/b.css": STYLE,
        "src/t.css": "@import 'tailwindcss';\n\n.card {\n  @apply p-4;\n}\n", "postcss.config.js": "module.exports = { plugins: [] }\n",
    },
    "rollup": {
        "package.json": manifest("rollup -c", {"rollup": "^4", "@rollup/plugin-typescript": "^12", "typescript": "~5.9.3", "tslib": "^2", "esbuild": "^0.25"}, type="module"),
        "rollup.config.js": "import typescript from '@rollup/plugin-typescript'\n\nexport default {\n  input: 'src/main.js',\n  output: { dir: 'dist' },\n  plugins: [typescript()],\n}\n",
        "src/main.js": "import { part } from './part.js'\nimport { size } from './typed'\n\nconsole.log(part(size))\n", "src/part.js": PART, "src/typed.ts": "export const size: number = 1\n",
        "tsconfig.json": TSCONFIG.replace('"types": []', '"types": [], "noEmitOnError": true'),
    },
    "tools": {
        'package.json': manifest('vite build', {'vite': '^8', 'vitest': '^4', 'prettier': '^3', 'eslint': '^10', '@eslint/js': '^10', 'tailwindcss': '^4', '@tailwindcss/vite': '^4', 'sass': '^1', 'stylelint': '^16', 'stylelint-config-standard': '^39', '@biomejs/biome': '^2', 'cross-env': '^10', 'npm-run-all2': '^8', 'typescript': '~5.9.3', 'tsup': '^8'}, type="module"),
        'vite.config.js': "import tailwindcss from '@tailwindcss/vite'\nimport { defineConfig } from 'vite'\n\nexport default defineConfig({\n  plugins: [tailwindcss()],\n  resolve: { alias: { '@': '/src' } },\n})\n",
        'index.html': '<!doctype html>\n<html lang="en">\n  <body>\n    <div id="root"></div>\n    <script type="module" src="/src/main.js"></script>\n  </body>\n</html>\n',
        'src/main.js': "import { sum } from './sum.js';\nimport './style.css';\nimport './theme.scss';\n\ndocument.body.textContent = String(sum(1, 2));\n",
        'src/sum.js': 'export function sum(a, b) {\n  return a + b;\n}\n',
        'src/sum.test.js': "import { expect, test } from 'vitest';\nimport { sum } from './sum.js';\n\ntest('adds', () => {\n  expect(sum(1, 2)).toBe(3);\n});\n",
        'src/style.css': "@import 'tailwindcss';\n\n.card {\n  @apply p-4;\n}\n",
        'src/theme.scss': '$red: #f00;\n\np {\n  color: $red;\n}\n',
        'src/lib.ts': 'export const size: number = 1\n',
        'eslint.config.js': "import js from '@eslint/js';\n\nexport default [js.configs.recommended, { languageOptions: { globals: { console: true, document: true } } }];\n",
        '.stylelintrc.json': '{ "extends": "stylelint-config-standard" }\n',
        'tsconfig.json': '{\n  "compilerOptions": {\n    "strict": true,\n    "module": "esnext",\n    "moduleResolution": "bundler",\n    "target": "es2022",\n    "noEmit": true,\n    "types": []\n  },\n  "include": ["src/lib.ts"]\n}\n',
    },
    "sveltekit": {
        'package.json': manifest('vite build', {'@sveltejs/kit': '^2', '@sveltejs/adapter-static': '^3', '@sveltejs/vite-plugin-svelte': '^6', 'svelte': '^5', 'vite': '^7'}, type="module"),
        'svelte.config.js': "import adapter from '@sveltejs/adapter-static'\n\n/** @type {import('@sveltejs/kit').Config} */\nconst config = {\n  kit: {\n    adapter: adapter(),\n  },\n}\n\nexport default config\n",
        'vite.config.js': "import { sveltekit } from '@sveltejs/kit/vite'\nimport { defineConfig } from 'vite'\n\nexport default defineConfig({\n  plugins: [sveltekit()],\n})\n",
        'src/app.html': '<!doctype html>\n<html lang="en">\n  <head>\n    %sveltekit.head%\n  </head>\n  <body>\n    <div>%sveltekit.body%</div>\n  </body>\n</html>\n',
        'src/routes/+layout.js': 'export const prerender = true\n',
        'src/routes/+page.svelte': '<script>\n  import Card from \'$lib/Card.svelte\'\n  let { data } = $props()\n</script>\n\n<h1>{data.title}</h1>\n<Card text="hi" />\n<a href="/about">about</a>\n',
        'src/routes/+page.js': "export function load() {\n  return { title: 'hello' }\n}\n",
        'src/routes/about/+page.svelte': '<h1>About</h1>\n',
        'src/lib/Card.svelte': '<script>\n  let { text } = $props()\n</script>\n\n<p>{text}</p>\n',
    },
    "eleventy": {
        'package.json': manifest('eleventy', {'@11ty/eleventy': '^3'}),
        'eleventy.config.js': "module.exports = function (config) {\n  config.addFilter('loud', (text) => text.toUpperCase())\n  config.addPassthroughCopy('css')\n  return { dir: { input: 'src', output: '_site' } }\n}\n",
        'src/index.njk': "---\ntitle: Home\nlayout: base.njk\n---\n<h1>{{ title | loud }}</h1>\n{% include 'card.njk' %}\n",
        'src/post.md': '---\ntitle: Post\nlayout: base.njk\n---\n# Post\n\n{{ title }}\n',
        'src/_includes/base.njk': '<!doctype html>\n<title>{{ title }}</title>\n{{ content | safe }}\n',
        'src/_includes/card.njk': '<p>card</p>\n',
        'src/_data/site.json': '{\n  "name": "site"\n}\n',
        'css/main.css': STYLE,
    },
    "plain": {
        "package.json": manifest("node build.js", {"ms": "^2.1.2"}),
        "build.js": "console.log('built')\n",
    },
}  # fmt: skip
