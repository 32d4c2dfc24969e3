"""What a build is about to use is not cleared away before it has used it."""

from pathlib import Path

from tests.unit.pipeline.conftest import Shop

from headrace.executor.fake import Act
from headrace.model.sandbox import SandboxCommand


async def test_tool_chains_and_sources_stay_while_a_step_uses_them(shop: Shop) -> None:
    cleared: list[str] = []

    def clear() -> None:
        for kind in (shop.services.tools, shop.services.trees, shop.services.layers):
            cleared.extend(layer.key.digest for layer in kind.prune(-1))

    def clear_and_build(_: SandboxCommand, directory: Path) -> Act:
        clear()
        assert (directory / "node_modules/x/index.js").exists()
        return Act(writes={"dist/index.html": b"<title>Shop</title>"})

    shop.installing = clear
    shop.building = clear_and_build
    build = await shop.build()
    assert build.artifact is not None, build.failure
    assert cleared == []
    # And they do not stay for ever.
    clear()

    assert [kind.all() for kind in (shop.services.tools, shop.services.trees, shop.services.layers)] == [[], [], []]
