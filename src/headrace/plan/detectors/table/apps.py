"""Applications of one page, and the bundlers that make them."""

from headrace.plan.detectors.row import Row

_WEBPACK_OUTPUT = (
    r"\bpath\s*:\s*(?:path\.)?(?:resolve|join)\(\s*(?:__dirname|import\.meta\.dirname|process\.cwd\(\))\s*,\s*['\"]([^'\"]+)['\"]\s*\)",
)
_PARCEL_OUTPUT = (r"\bparcel build\b[^&|;]{0,500}?(?:--dist-dir|--out-dir|-d)[ =]([\w./-]+)",)

#: Before Vite: they may have it beside them.
APPS = (
    Row(
        "create-react-app", "Create React App", ("react-scripts", "react-app-rewired", "@craco/craco"),
        build="react-scripts build", dev="react-scripts start", output="build", spa=True, base_setting="homepage", port=3000,
        ready=r"Compiled successfully|You can now view", caches=("node_modules/.cache",), env_prefix=("REACT_APP_",),
    ),
    Row(
        "vue-cli", "Vue CLI", ("@vue/cli-service",), config=("vue.config",), build="vue-cli-service build",
        dev="vue-cli-service serve", spa=True, output_settings=(r"\boutputDir\s*:\s*['\"]([^'\"]+)['\"]",),
        output_flags=(r"\bvue-cli-service build\b[^&|;]{0,500}?--dest[ =]([\w./-]+)",),
        base_setting=r"\bpublicPath\s*:\s*['\"]([^'\"]+)['\"]", port=8080, ready=r"App running at",
        caches=("node_modules/.cache",), env_prefix=("VUE_APP_",),
    ),
    Row(
        "preact-cli", "Preact CLI", ("preact-cli",), build="preact build", dev="preact watch", output="build", spa=True,
        published="src/assets", port=8080, caches=("node_modules/.cache",), env_prefix=("PREACT_APP_",),
    ),
    Row("wmr", "WMR", ("wmr",), build="wmr build", dev="wmr", spa=True, port=8080, env_prefix=("WMR_",)),
    Row(
        "ember", "Ember", ("ember-cli", "@embroider/vite"), config=("ember-cli-build",), build="ember build",
        dev="ember serve", spa=True, port=4200, ready=r"Build successful|VITE v[\d.]+\s+ready", caches=("node_modules/.cache",),
    ),
    Row(
        "stencil", "Stencil", ("@stencil/core",), config=("stencil.config",), build="stencil build",
        dev="stencil build --dev --watch --serve", output="www", output_candidates=("dist",), spa=True, published="src/assets",
        output_settings=(r"type\s*:\s*['\"]www['\"][^}]{0,500}?\bdir\s*:\s*['\"]([^'\"]+)['\"]",), port=3333, caches=(".stencil",),
    ),
    Row("sanity", "Sanity Studio", ("sanity",), config=("sanity.cli",), build="sanity build", dev="sanity dev", spa=True, port=3333,
        published="static", env_prefix=("SANITY_STUDIO_",)),
    Row("polymer", "Polymer", ("polymer-cli",), files=("polymer.json",), build="polymer build", dev="polymer serve",
        output="build/default", output_candidates=("build", "build/es6-bundled"), spa=True, port=8081),
    Row("dojo", "Dojo", ("@dojo/cli-build-app", "@dojo/framework"), build="dojo build", dev="dojo build -m dev -w -s",
        output="output/dist", spa=True, port=9999),
    Row("brunch", "Brunch", ("brunch",), config=("brunch-config",), build="brunch build --production", dev="brunch watch --server",
        output="public", published="app/assets", port=3333),
    Row("snowpack", "Snowpack", ("snowpack",), config=("snowpack.config",), build="snowpack build", dev="snowpack dev", output="build",
        spa=True, port=8080, env_prefix=("SNOWPACK_PUBLIC_",)),
)  # fmt: skip

#: Behind Vite, which is the one that builds the pages where both are there.
BUNDLERS = (
    Row(
        "rsbuild", "Rsbuild", ("@rsbuild/core",), config=("rsbuild.config",), build="rsbuild build", dev="rsbuild dev", spa=True,
        output_settings=(r"distPath\s*:\s*\{[^}]{0,500}\broot\s*:\s*['\"]([^'\"]+)['\"]",),
        base_setting=r"\bassetPrefix\s*:\s*['\"](/[^'\"]+)['\"]", port=3000, ready=r"Local:\s+http",
        caches=("node_modules/.cache",), env_prefix=("PUBLIC_",),
    ),
    Row(
        "farm", "Farm", ("@farmfe/core",), config=("farm.config",), build="farm build", dev="farm start", spa=True, port=9000,
        caches=("node_modules/.farm",),
    ),
    Row(
        "parcel", "Parcel", ("parcel", "parcel-bundler"), build="parcel build", dev="parcel", output_flags=_PARCEL_OUTPUT,
        port=1234, ready=r"Server running at", caches=(".parcel-cache",),
    ),
    Row(
        "rspack", "Rspack", ("@rspack/cli",), config=("rspack.config",), build="rspack build", dev="rspack serve",
        output_settings=_WEBPACK_OUTPUT, output_candidates=("build", "public"), spa=True, port=8080,
        caches=("node_modules/.cache",),
    ),
    Row(
        "webpack", "webpack", ("webpack-cli", "webpack"), config=("webpack.config", "webpack.prod", "config/webpack.prod"),
        build="webpack --mode production", dev="webpack serve", output_settings=_WEBPACK_OUTPUT,
        output_flags=(r"\bwebpack\b[^&|;]{0,500}?(?:--output-path|-o)[ =]([\w./-]+)",),
        output_candidates=("build", "public", "out"), spa=True, port=8080, caches=("node_modules/.cache",),
    ),
    Row(
        "rollup", "Rollup", ("rollup",), also=("sirv-cli",), config=("rollup.config",), build="rollup -c", dev="rollup -c -w",
        output="public", output_candidates=("dist", "build"), spa=True, port=8080,
    ),
    Row(
        "lit", "Lit", ("lit", "lit-element"), also=("@web/dev-server",), config=("rollup.config", "web-dev-server.config"),
        build="rollup -c", dev="wds", output_candidates=("build", "public"), spa=True, port=8000,
    ),
)  # fmt: skip
