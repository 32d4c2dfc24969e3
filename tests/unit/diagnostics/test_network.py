"""A host that the sandbox was kept from is named as the reason, whatever the tool made of it."""

from headrace.diagnostics.network import blamed_on_absence, blamed_on_denial, blamed_on_limit
from headrace.model.diagnostic import Diagnostic, Failure, FailureReason
from headrace.model.plan import StepId


def failure(reason: FailureReason, message: str) -> Failure:
    return Failure(reason=reason, step=StepId.DEPENDENCIES, message=message)


def test_a_refusal_that_a_tool_passes_on_as_its_own_is_a_denied_network() -> None:
    said = failure(FailureReason.COMMAND_FAILED, "403 Forbidden - GET https://npm.corp.example/vite")
    blamed = blamed_on_denial(said, {"npm.corp.example": None})
    assert blamed.reason is FailureReason.NETWORK_DENIED
    assert "npm.corp.example" in blamed.message


def test_a_denied_host_that_the_failure_does_not_name_is_not_its_reason() -> None:
    said = failure(FailureReason.COMMAND_FAILED, "the script failed")
    assert blamed_on_denial(said, {"telemetry.example": None}) == said


def test_a_reason_that_the_tool_knows_better_stays() -> None:
    said = failure(FailureReason.TYPE_ERROR, "npm.corp.example is not a function")
    assert blamed_on_denial(said, {"npm.corp.example": None}) == said


def test_a_script_that_failed_where_its_package_was_refused_is_a_denied_network() -> None:
    said = failure(FailureReason.INSTALL_SCRIPT_FAILED, "the install script of grabber failed")
    blamed = blamed_on_denial(said, {"evil.example": "grabber@1.0.0"})
    assert blamed.reason is FailureReason.NETWORK_DENIED
    assert "evil.example" in blamed.message
    assert "grabber@1.0.0" in blamed.message
    assert blamed_on_denial(said, {"evil.example": "other@1.0.0"}) == said


def test_a_host_that_could_not_be_reached_is_no_refusal() -> None:
    said = failure(FailureReason.NETWORK_DENIED, "registry.npmjs.org can't be reached from this step")
    blamed = blamed_on_absence(said, {"registry.npmjs.org": "no name server answers"})
    assert blamed.reason is FailureReason.REGISTRY_UNAVAILABLE
    assert "no name server answers" in blamed.message
    assert blamed_on_absence(said, {"other.example": "no name server answers"}) == said


def test_connections_that_were_cut_at_a_cap_are_the_reason() -> None:
    said = failure(FailureReason.REGISTRY_UNAVAILABLE, "ECONNRESET")
    blamed = blamed_on_limit(said, "upload_bytes")
    assert blamed.reason is FailureReason.NETWORK_LIMIT
    assert "HEADRACE_NETWORK_UPLOAD_BYTES" in (blamed.hint or "")
    assert blamed_on_limit(said, None) == said


def test_what_a_tool_guessed_from_a_refusal_does_not_lead_astray() -> None:
    guess = Diagnostic(
        tool="npm", severity="error", message="https://npm.corp.example/x wants a token", hint="add a token"
    )
    said = failure(FailureReason.REGISTRY_AUTH_FAILED, guess.message).but(diagnostics=(guess,))
    blamed = blamed_on_denial(said, {"npm.corp.example": None})
    assert blamed.diagnostics[0].hint == blamed.hint
    assert "HEADRACE_REGISTRY_HOSTS" in (blamed.hint or "")


def test_a_repository_that_may_not_be_reached_is_better_a_release() -> None:
    said = failure(FailureReason.GIT_DEPENDENCY_FAILED, "a git dependency can't be fetched: https://git.example/a/b")
    assert "take a release" in (blamed_on_denial(said, {"git.example": None}).hint or "")
    unnamed = failure(FailureReason.GIT_DEPENDENCY_FAILED, "ProxyConnectFailed (403) downloading tarball x@github:a/b")
    assert blamed_on_denial(unnamed, {"api.github.com": None}).reason is FailureReason.NETWORK_DENIED
    assert blamed_on_denial(unnamed, {"api.github.com": None, "b.example": None}) == unnamed
