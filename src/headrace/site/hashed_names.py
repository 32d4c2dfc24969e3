"""
Names that carry a content hash, so that the file behind one never changes.

Taking an ordinary name for one would pin a stale file in browsers for a year; missing one costs a revalidation. So
where no bundler's directory speaks for it, a name must look like a hash beyond doubt.
"""

import re

#: Directories whose files a framework names by content, all of them.
_IMMUTABLE_DIRECTORIES = re.compile(r"(?:^|/)(?:_next/static|_app/immutable)/")

#: Directories that bundlers fill. Files of `public/` can lie beside theirs, so the name must still have a hash's form.
_BUNDLED = re.compile(r"(?:^|/)(?:assets|_astro|_nuxt|static/(?:js|css|media)|media|build|chunks)/")

#: What stands behind the hash: `.js`, `.chunk.js`, `.css.map`, `.js.LICENSE.txt`.
_TAIL = r"(?:\.(?:chunk|min|module|bundle|entry))?(?:\.[a-z][a-z0-9]{0,4}){1,2}(?:\.LICENSE\.txt)?"
_HEX = re.compile(rf"(?:^|[-._~])(?P<hash>[0-9a-f]{{8,64}}){_TAIL}$")
_BASE64 = re.compile(rf".[-.](?P<hash>[A-Za-z0-9_-]{{8}}){_TAIL}$")
#: Nuxt names whole files so: `_nuxt/DiwrgTda.js`.
_BARE_BASE64 = re.compile(rf"_nuxt/(?P<hash>[A-Za-z0-9_-]{{8}}){_TAIL}$")
_ESBUILD = re.compile(r"(?=.*[A-Z])[A-Z2-7]{8}")

#: `original`, `Header01`, `20240131`, `DSC00012`, `1920x1080`, `lato-700`: words and numbers.
_PART = r"(?:[A-Z]?[a-z]+[0-9]*|[A-Z]+[0-9]*|[0-9]+[a-z]*|[0-9]+[A-Z]*|[0-9]+x[0-9]+)"
_WORDS = re.compile(rf"[-_]?{_PART}(?:[-_]+{_PART})*[-_]?")
_CAMEL_CASE = re.compile(r"(?:[A-Z][a-z]+)+")

_CODE = re.compile(r"\.(?:m?js|css)(?:\.map)?$")
#: Always asked for anew: pages, and service workers, which browsers must be able to replace.
_NEVER = re.compile(r"\.html?$|(?:^|/)(?:sw|service-?worker)(?:[-.][^/]*)?\.js$")


def has_content_hash(path: str) -> bool:
    """Whether `path` names its content: `assets/index-BF8QNONU.js`, `main.3f2a1b4c.chunk.js`, `_next/static/…`."""
    if _NEVER.search(path):
        return False
    if _IMMUTABLE_DIRECTORIES.search(path):
        return True
    return _has_hex_hash(path.rpartition("/")[2]) or _has_short_hash(path)


def _has_hex_hash(name: str) -> bool:
    found = _HEX.search(name)
    if found is None:
        return False
    text: str = found["hash"]
    digits = sum(char.isdigit() for char in text)
    # Letters alone are a word, digits alone a date, and `20240131a` a date too.
    return 2 <= digits <= len(text) - 2


def _has_short_hash(path: str) -> bool:
    """Rollup, Vite and Rolldown write eight characters of base64url, esbuild eight of base32."""
    found = _BASE64.search(path.rpartition("/")[2]) or _BARE_BASE64.search(path)
    if found is None:
        return False
    text: str = found["hash"]
    code = _CODE.search(path) is not None
    if code and _ESBUILD.fullmatch(text):
        return True
    if _WORDS.fullmatch(text) or (_CAMEL_CASE.fullmatch(text) and not code):
        return False
    upper, digit = any(char.isupper() for char in text), any(char.isdigit() for char in text)
    bundled = _BUNDLED.search(path) is not None
    return (upper or digit) if bundled else (upper and digit)
