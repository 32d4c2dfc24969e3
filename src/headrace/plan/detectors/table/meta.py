"""Frameworks with routes and a server of their own: most can write pages instead, when they are told to."""

from headrace.model.plan import RedirectRule
from headrace.plan.detectors.row import Row, always, any_of, depends, never, runs, says, unless

_SSR_OFF = says(r"\bssr\s*:\s*false\b", "ssr is false")
_NITRO_STATIC = says(r"preset\s*:\s*['\"](static|github[_-]pages)['\"]", "its preset is static")

META = (
    Row(
        "blitz", "Blitz", ("blitz",), config=("next.config", "blitz.config"), build="blitz build", dev="blitz dev",
        output="out", static=says(r"output\s*:\s*['\"]export['\"]", "output is export"),
        as_files="output: 'export' in next.config", port=3000, caches=(".next/cache",), env_prefix=("NEXT_PUBLIC_",),
    ),
    Row(
        "next", "Next.js", ("next",), config=("next.config",), build="next build", dev="next dev", output="out",
        output_settings=(r"\bdistDir\s*:\s*['\"](?!\.next['\"])([^'\"]+)['\"]",), output_candidates=("out",),
        output_flags=(r"\bnext export\b[^&|;]{0,500}?(?:-o|--outdir)[ =]([\w./-]+)",),
        static=any_of(
            says(r"output\s*:\s*['\"]export['\"]", "output is export"),
            runs("next export", "the build script exports pages"),
        ),
        as_files="output: 'export' in next.config", base_setting=r"\bbasePath\s*:\s*['\"]([^'\"]+)['\"]",
        port=3000, ready=r"Ready in|ready on|started server on", caches=(".next/cache",), env_prefix=("NEXT_PUBLIC_",),
    ),
    Row(
        "starlight", "Starlight", ("@astrojs/starlight",), config=("astro.config",), build="astro build", dev="astro dev",
        output_candidates=("dist/client",), static=unless(r"output\s*:\s*['\"]server['\"]", "Astro writes pages"),
        output_settings=(r"\boutDir\s*:\s*['\"]([^'\"]+)['\"]",), base_setting=r"\bbase\s*:\s*['\"]([^'\"]+)['\"]",
        as_files="output: 'static' in astro.config", port=4321, ready=r"astro\s+v[\d.]+ ready",
        caches=("node_modules/.astro", ".astro", "node_modules/.vite"), env_prefix=("PUBLIC_",),
    ),
    Row(
        "astro", "Astro", ("astro",), config=("astro.config",), build="astro build", dev="astro dev",
        output_candidates=("dist/client",),
        static=unless(r"output\s*:\s*['\"](?:server|hybrid)['\"]", "Astro writes pages"),
        output_settings=(r"\boutDir\s*:\s*['\"]([^'\"]+)['\"]",), base_setting=r"\bbase\s*:\s*['\"]([^'\"]+)['\"]",
        as_files="output: 'static' in astro.config", port=4321, ready=r"astro\s+v[\d.]+ ready",
        caches=("node_modules/.astro", ".astro", "node_modules/.vite"), env_prefix=("PUBLIC_",),
    ),
    Row(
        "nuxt", "Nuxt", ("nuxt", "nuxt-nightly", "nuxt3", "nuxt-edge"), config=("nuxt.config",), build="nuxt build",
        dev="nuxt dev", output=".output/public", output_candidates=("dist",),
        static=any_of(
            runs("nuxt generate", "the build script generates pages"),
            runs("nuxi generate", "the build script generates pages"),
            runs("nuxt build --prerender", "the build script generates pages"),
            _NITRO_STATIC, _SSR_OFF,
        ),
        as_files='"build": "nuxt generate" in package.json', base_setting=r"\bbaseURL\s*:\s*['\"]([^'\"]+)['\"]",
        port=3000, ready=r"Local:\s+http|Listening on", caches=("node_modules/.cache/nuxt", ".nuxt", "node_modules/.vite"),
        env_prefix=("NUXT_PUBLIC_", "NUXT_ENV_"),
    ),
    Row(
        "sveltekit", "SvelteKit", ("@sveltejs/kit",), config=("svelte.config", "vite.config"), build="vite build",
        dev="vite dev", output="build", output_candidates=("dist",), published="static",
        output_settings=(r"\bpages\s*:\s*['\"]([^'\"]+)['\"]",), static=depends("@sveltejs/adapter-static"),
        as_files="@sveltejs/adapter-static in svelte.config, and `export const prerender = true` in src/routes/+layout.js",
        port=5173, ready=r"VITE v[\d.]+\s+ready", caches=(".svelte-kit", "node_modules/.vite"), env_prefix=("PUBLIC_", "VITE_"),
    ),
    Row(
        "sapper", "Sapper", ("sapper",), build="sapper export", dev="sapper dev", output="__sapper__/export",
        static=runs("sapper export", "the build script exports pages"), published="static",
        as_files='"build": "sapper export" in package.json', port=3000,
    ),
    Row(
        "redwoodjs", "RedwoodJS", ("@redwoodjs/core", "@cedarjs/core"), build="rw build web", dev="rw dev", output="web/dist",
        published="web/public", static=runs("rw build web", "only its web side is built"), spa=True,
        as_files='"build": "rw build web" in package.json, without an api side', port=8910, env_prefix=("REDWOOD_ENV_",),
    ),
    Row(
        "redwoodsdk", "RedwoodSDK", ("rwsdk",), config=("vite.config",), build="vite build", dev="vite dev", static=never,
        port=5173,
    ),
    Row(
        "hydrogen", "Hydrogen", ("@shopify/hydrogen",), config=("vite.config",), build="shopify hydrogen build",
        dev="shopify hydrogen dev", output="dist/client", static=never, port=3000, env_prefix=("PUBLIC_",),
    ),
    Row(
        "react-router", "React Router", ("@react-router/dev",), config=("react-router.config",), build="react-router build",
        dev="react-router dev", output="build/client", output_candidates=("dist/client", "dist"), static=_SSR_OFF, spa=True,
        as_files="ssr: false in react-router.config", port=5173, ready=r"Local:\s+http",
        caches=("node_modules/.vite", ".react-router"), env_prefix=("VITE_",),
    ),
    Row(
        "remix", "Remix", ("@remix-run/dev",), config=("vite.config", "remix.config"), build="remix vite:build",
        dev="remix vite:dev", output="build/client", output_candidates=("public",), static=_SSR_OFF, spa=True,
        as_files="ssr: false of the remix() plugin in vite.config", port=5173, ready=r"Local:\s+http",
        caches=("node_modules/.vite",), env_prefix=("VITE_",),
    ),
    Row(
        "solidstart", "SolidStart", ("@solidjs/start", "solid-start"), config=("app.config", "vite.config"),
        build="vinxi build", dev="vinxi dev", output=".output/public", output_candidates=("dist/public", "dist"),
        static=any_of(_SSR_OFF, _NITRO_STATIC), as_files="server: { preset: 'static' } in app.config", port=3000,
        ready=r"Local:\s+http", caches=("node_modules/.vinxi", "node_modules/.vite"), env_prefix=("VITE_",),
    ),
    Row(
        "tanstack-start", "TanStack Start",
        ("@tanstack/react-start", "@tanstack/solid-start", "@tanstack/vue-start", "@tanstack/start"),
        config=("vite.config", "app.config"), build="vite build", dev="vite dev", output="dist/client",
        output_candidates=(".output/public", "dist"),
        static=any_of(
            says(r"\bspa\s*:\s*\{[^}]{0,500}enabled\s*:\s*true", "its SPA mode is enabled"),
            says(r"\bprerender\s*:\s*\{[^}]{0,500}enabled\s*:\s*true", "prerendering is enabled"),
        ),
        as_files="tanstackStart({ spa: { enabled: true } }) in vite.config",
        rules=(RedirectRule(path="/*", to="/_shell.html", status=200),), port=3000, ready=r"VITE v[\d.]+\s+ready",
        caches=("node_modules/.vite",), env_prefix=("VITE_",),
    ),
    Row(
        "qwik", "Qwik City", ("@builder.io/qwik-city", "@qwik.dev/router"),
        config=("adapters/static/vite.config", "vite.config"), build="qwik build", dev="vite --mode ssr",
        static=says(r"\bstaticAdapter\b|adapters/static", "its adapter is the static one"),
        as_files="the static adapter: npx qwik add static", port=5173, ready=r"VITE v[\d.]+\s+ready",
        caches=("node_modules/.vite",), env_prefix=("PUBLIC_",),
    ),
    Row(
        "analog", "Analog", ("@analogjs/platform",), config=("vite.config",), build="vite build", dev="vite",
        output="dist/analog/public", output_candidates=("dist/client", "dist"),
        static=any_of(says(r"\bstatic\s*:\s*true\b", "static is true"), _SSR_OFF, _NITRO_STATIC),
        as_files="analog({ static: true }) in vite.config", port=5173, ready=r"VITE v[\d.]+\s+ready",
        caches=("node_modules/.vite", ".angular/cache"), env_prefix=("VITE_",),
    ),
    Row(
        "vike", "Vike", ("vike", "vite-plugin-ssr"), config=("pages/+config", "vite.config"), build="vike build", dev="vike dev",
        output="dist/client", output_candidates=("dist",),
        static=any_of(says(r"\bprerender\s*[:=]\s*(?:true|\{)", "it prerenders its pages"), _SSR_OFF),
        as_files="prerender: true in pages/+config", port=3000, caches=("node_modules/.vite",), env_prefix=("PUBLIC_ENV__",),
    ),
    Row(
        "waku", "Waku", ("waku",), config=("waku.config",), build="waku build", dev="waku dev", output="dist/public",
        static=never, as_files="'static' rendering for every page in src/pages, and output = \"dist/public\" in headrace.toml",
        port=3000, caches=("node_modules/.vite",), env_prefix=("WAKU_PUBLIC_",),
    ),
    Row(
        "gatsby", "Gatsby", ("gatsby",), config=("gatsby-config",), build="gatsby build", dev="gatsby develop",
        output="public", published="static", static=always, port=8000, ready=r"You can now view .* in the browser",
        caches=(".cache",), env_prefix=("GATSBY_",),
    ),
    Row(
        "gridsome", "Gridsome", ("gridsome",), config=("gridsome.config",), build="gridsome build", dev="gridsome develop",
        published="static", port=8080, caches=("node_modules/.cache",), env_prefix=("GRIDSOME_",),
    ),
    Row(
        "umi", "Umi", ("umi", "@umijs/max"), config=(".umirc", "config/config"), build="umi build", dev="umi dev",
        output_settings=(r"\boutputPath\s*:\s*['\"]([^'\"]+)['\"]",), spa=True, port=8000, caches=("node_modules/.cache",),
        env_prefix=("UMI_APP_",),
    ),
    Row(
        "expo", "Expo", ("expo",), build="expo export -p web", dev="expo start --web", spa=True,
        alone=True, static=depends("react-native-web"), as_server="makes an app for phones",
        as_files="react-dom and react-native-web in package.json: `npx expo install react-dom react-native-web`",
        output_candidates=("web-build",), port=8081, caches=(".expo", "node_modules/.cache"), env_prefix=("EXPO_PUBLIC_",),
    ),
    Row(
        "quasar", "Quasar", ("@quasar/app-vite", "@quasar/app-webpack", "@quasar/app"), config=("quasar.config", "quasar.conf"),
        build="quasar build", dev="quasar dev", output="dist/spa", output_candidates=("dist/pwa", "dist"), spa=True, port=9000,
        output_settings=(r"\bdistDir\s*:\s*['\"]([^'\"]+)['\"]",), caches=("node_modules/.q-cache", "node_modules/.vite"),
        env_prefix=("QCLI_",),
    ),
)  # fmt: skip
