"""Where the source maps of a preview's scripts come from: beside what a build wrote, or from its development server."""

from aiohttp import ClientError, ClientResponse, ClientTimeout
from yarl import URL

from headrace.edge.upstreams import Busy, Destination, Upstreams
from headrace.preview.originals import Fetch, MapOf, beside, within
from headrace.preview.visit import Upstream, Visit

#: A module with its map. Larger ones are shown without.
_MOST_BYTES = 16 * 1024 * 1024
_SECONDS = ClientTimeout(total=5.0)


def maps_of(visit: Visit, upstreams: Upstreams) -> MapOf:
    if visit.upstream is None:
        return beside(visit.maps)
    return within(_fetch_from(visit.project.id, visit.upstream, upstreams))


def _fetch_from(owner: str, upstream: Upstream, upstreams: Upstreams) -> Fetch:
    destination = Destination(
        id=upstream.id, address=f"127.0.0.1:{upstream.port}", host=upstream.host, make_socket=upstream.socket
    )

    async def fetch(path: str) -> bytes | None:
        try:
            # Written by a page: it stays a path of this server.
            url = URL(f"http://{destination.address}{path}", encoded=True)
            if url.authority != destination.address:
                return None
            headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
            async with (
                upstreams.use(owner, destination) as session,
                session.get(url, headers=headers, timeout=_SECONDS, allow_redirects=False) as response,
            ):
                return await _up_to(response, _MOST_BYTES) if response.status == 200 else None
        except (TimeoutError, ClientError, Busy, OSError, ValueError):
            return None

    return fetch


async def _up_to(response: ClientResponse, most: int) -> bytes | None:
    data = bytearray()
    async for piece in response.content.iter_any():
        data += piece
        if len(data) > most:
            return None
    return bytes(data)
