"""Images whose addresses only a server of Next answers: a build that exports its pages ends well all the same, and shows none."""

from collections.abc import Sequence
from typing import ClassVar

from headrace.checks.base import Output, OutputReader
from headrace.checks.refusal import named
from headrace.model.plan import BuildPlan

_ADDRESS = b"/_next/image?url="
_LARGEST_PAGE = 1024 * 1024
#: What a few pages don't show, the rest hardly does.
_MOST_PAGES = 200


class ImageServer:
    name: ClassVar[str] = "image_server"

    def run(self, plan: BuildPlan, output: Output, reader: OutputReader) -> Sequence[str]:
        if plan.framework != "next":
            return ()
        pages = [file.path for file in output.files if file.path.endswith(".html")][:_MOST_PAGES]
        found = [page for page in pages if _ADDRESS in reader.read(page, _LARGEST_PAGE)]
        if not found:
            return ()
        return [
            f"images of {named(found)} are at {_ADDRESS.decode()}…, where only a server of Next answers: "
            "set images: { unoptimized: true } in next.config"
        ]
