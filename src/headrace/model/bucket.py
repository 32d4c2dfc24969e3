"""Where object storage keeps projects, and how an operator lets them be reached."""

import re
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from headrace.errors import InvalidInput

SCHEMES = ("s3", "az", "gs", "file")

#: Names that S3, Azure and Google agree on.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,254}")
#: What a URL would have to escape, or means something in one. `\x00` to `\x1f` and DEL are in no name.
_ODD = re.compile(r"[\x00-\x20\x7f\\?#%*]")
_MOST = 1024


class BucketUrl(NamedTuple):
    """`s3://bucket/prefix`, `az://container/prefix`, `gs://bucket/prefix` or `file:///directory`, taken apart."""

    scheme: str
    #: Empty for a directory.
    name: str
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.scheme}://{'/'.join((self.name, *self.parts))}"

    def below(self, root: "BucketUrl") -> tuple[str, ...] | None:
        """The rest of this URL behind `root`; None when it is not there or below."""
        if (self.scheme, self.name) != (root.scheme, root.name) or self.parts[: len(root.parts)] != root.parts:
            return None
        return self.parts[len(root.parts) :]


def parse_bucket_url(text: str) -> BucketUrl:
    """Raises InvalidInput (`source.url_invalid`). A slash at the end is allowed and means nothing."""
    scheme, _, rest = text.partition("://")
    name, slash, path = rest.partition("/")
    parts = tuple(path.removesuffix("/").split("/")) if path else ()
    named = not name and bool(slash) and bool(parts) if scheme == "file" else bool(_NAME.fullmatch(name))
    if scheme not in SCHEMES or not named or len(text) > _MOST:
        raise _invalid("a bucket's URL is s3://bucket/prefix, az://container/prefix, gs://bucket/prefix or file:///dir")
    if any(part in {"", ".", ".."} or _ODD.search(part) for part in parts) or not path.isprintable():
        raise _invalid("the path of a bucket's URL has plain names between single slashes")
    return BucketUrl(scheme, name, parts)


def _invalid(said: str) -> InvalidInput:
    return InvalidInput(said, code="source.url_invalid", field="/source/url")


class BucketAccess(BaseModel):
    """A place that projects may have their source in, and how this server reaches it. Projects know its URL alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Projects may name this URL and what is below it.
    url: str
    #: Where it is, if not at the vendor's own address.
    endpoint: str | None = None
    region: str | None = None
    #: S3: the access key's id. Azure: the account's name.
    account: str | None = None
    #: S3: the secret access key. Azure: the account's key, or a SAS. Google: the service account's JSON.
    secret: SecretStr | None = Field(default=None, repr=False)
    #: The bucket's name is part of the host's (Alibaba OSS takes nothing else); `endpoint` has it already.
    virtual_hosted: bool = False
    #: Without encryption, for servers on one's own machine.
    allow_http: bool = False

    @field_validator("url")
    @classmethod
    def _is_bucket_url(cls, url: str) -> str:
        try:
            return str(parse_bucket_url(url))
        except InvalidInput as exc:
            raise ValueError(exc.message) from None

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        if self.endpoint is not None and not re.match(
            r"https://." if not self.allow_http else r"https?://.", self.endpoint
        ):
            raise ValueError("the endpoint has to begin with https:// (or http:// where allow_http is set)")
        return self
