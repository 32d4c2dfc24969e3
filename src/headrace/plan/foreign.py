"""Files that other hosts read. What they say is not followed here; saying so once saves a search."""

from headrace.model.plan import Ignored
from headrace.plan.project_view import ProjectView, joined

_FILES: dict[str, str] = {
    "vercel.json": "Vercel",
    "netlify.toml": "Netlify",
    "wrangler.toml": "Cloudflare",
    "wrangler.jsonc": "Cloudflare",
    "wrangler.json": "Cloudflare",
    "fly.toml": "Fly",
    "railway.json": "Railway",
    "railway.toml": "Railway",
    "render.yaml": "Render",
    "firebase.json": "Firebase",
    "Procfile": "Heroku",
    "Dockerfile": "image builders",
}


def foreign_settings(view: ProjectView) -> tuple[Ignored, ...]:
    return tuple(
        Ignored(
            source=joined(view.root, name),
            setting=f"settings for {host}",
            why="not read here; write what the build needs in headrace.toml",
        )
        for name, host in _FILES.items()
        if view.has(name)
    )
