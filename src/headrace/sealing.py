"""Values that are kept so that whoever reads the database alone can't read them: AES-256-GCM, with the server's own key."""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headrace.errors import SealBroken
from headrace.model.digest import Digest

_NONCE_BYTES = 12


class Sealer:
    """`secret` is the server's (`settings.server_secret`). Every purpose has a key of its own."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(_derived(secret, b"headrace sealed values 1"))
        self._marks = _derived(secret, b"headrace fingerprints 1")

    def seal(self, value: str, about: str) -> bytes:
        """`about` says whose value it is: sealed for one, it opens for no other."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value.encode(), about.encode())

    def open(self, sealed: bytes, about: str) -> str:
        """Raises SealBroken when it was sealed with another key, for somebody else, or was changed."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about.encode()).decode()
        except InvalidTag as exc:
            raise SealBroken(
                f"{about} can't be opened with this server's key",
                hint="restore the file `secret` of the data directory, or set the value again",
            ) from exc

    def fingerprint(self, value: str, about: str) -> Digest:
        """Tells equal values from different ones. Without the key nobody can try values until one fits."""
        return f"sha256:{hmac.digest(self._marks, f'{about}={value}'.encode(), 'sha256').hex()}"


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)
