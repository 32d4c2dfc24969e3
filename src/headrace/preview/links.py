"""Signed grants: texts that let somebody without a token see one thing until a time. Links carry them, and cookies."""

import hashlib
import hmac
from base64 import urlsafe_b64encode


def visit_grant(project_id: str) -> str:
    """To see the pages of a project's preview."""
    return f"visit:{project_id}"


def view_grant(project_id: str) -> str:
    """To see how a project's preview stands: its state, its events and its page in a frame."""
    return f"view:{project_id}"


def sign(secret: bytes, grant: str, expires: int) -> str:
    """A token for `grant` until the Unix time `expires`: `<expires>.<signature>`, safe in URLs and cookies."""
    return f"{expires}.{_signature(secret, grant, expires)}"


def check(secret: bytes, grant: str, token: str, now: float) -> bool:
    """Whether the token gives this grant now. Anything that is no token gives nothing."""
    expires, _, signature = token.partition(".")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 15) or int(expires) <= now:
        return False
    return hmac.compare_digest(signature.encode(), _signature(secret, grant, int(expires)).encode())


def _signature(secret: bytes, grant: str, expires: int) -> str:
    digest = hmac.digest(secret, f"{grant}:{expires}".encode(), hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
