"""The short form of `scripts/soak fuzz`: requests that no client would send, to a server process."""

from tests.soak.fuzz import follow_links, fuzz, served

from headrace.api.app import openapi_document


def test_nothing_that_is_sent_breaks_the_server_or_holds_it_up() -> None:
    with served() as server:
        fuzzer = fuzz(server, 500, derandomize=True)
        follow_links(fuzzer, 10, derandomize=True)
    operations = {
        f"{method.upper()} {path}" for path, of_path in openapi_document()["paths"].items() for method in of_path
    }
    assert fuzzer.operations.keys() <= operations
    assert len(fuzzer.operations) > len(operations) * 3 // 4
    assert {200, 404, 422} <= fuzzer.statuses.keys()
