"""Programs that answer requests themselves. They are planned, so that they can be named and previewed, and not deployed yet."""

from headrace.plan.detectors.row import Row, never
from headrace.plan.project_view import ProjectView

_MAIN = tuple(
    f"{directory}{name}.{ending}"
    for directory in ("", "src/")
    for name in ("server", "index", "app", "main")
    for ending in ("js", "ts", "mjs", "mts", "cjs")
)


def _starts(view: ProjectView) -> bool:
    """A library may depend on a server for its tests; a server has a script that starts it, or a file that does."""
    scripts = view.manifest.scripts if view.manifest else {}
    if not any(scripts.get(name, "").strip() for name in ("start", "dev", "serve", "start:prod")):
        return view.first(*_MAIN) is not None and not scripts.get("build", "").strip()
    return True


def _server(
    framework: str, title: str, *packages: str, build: str = "", dev: str = "", port: int | None = 3000, ready: str = ""
) -> Row:
    return Row(
        framework, title, packages, build=build, dev=dev, static=never, when=_starts, port=port, ready=ready, output="dist",
        as_files="pages that a build writes, with [build] output = \"…\" in headrace.toml",
    )  # fmt: skip


SERVERS = (
    _server(
        "nest",
        "NestJS",
        "@nestjs/core",
        build="nest build",
        dev="nest start",
        ready=r"Nest application successfully started",
    ),
    _server("adonis", "AdonisJS", "@adonisjs/core", build="node ace build", dev="node ace serve", port=3333),
    _server("strapi", "Strapi", "@strapi/strapi", build="strapi build", dev="strapi develop", port=1337),
    _server("keystone", "Keystone", "@keystone-6/core", build="keystone build", dev="keystone dev"),
    _server("meteor", "Meteor", "meteor-node-stubs", dev="meteor run"),
    _server("mastra", "Mastra", "mastra", "@mastra/core", build="mastra build", dev="mastra dev", port=4111),
    _server("nitro", "Nitro", "nitropack", "nitro", build="nitro build", dev="nitro dev"),
    _server("elysia", "Elysia", "elysia"),
    _server("hono", "Hono", "hono", port=None),
    _server("fastify", "Fastify", "fastify", "fastify-cli"),
    _server("koa", "Koa", "koa"),
    _server("hapi", "hapi", "@hapi/hapi"),
    _server("feathers", "Feathers", "@feathersjs/feathers", port=3030),
    _server("sails", "Sails", "sails", port=1337),
    _server("h3", "h3", "h3"),
    _server("express", "Express", "express", port=3000),
)
