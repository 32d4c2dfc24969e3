"""Media types by file name: a table of our own, so that equal files answer alike on every machine."""

from pathlib import PurePosixPath

UNKNOWN = "application/octet-stream"

_BY_EXTENSION = {
    # text
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "mjs": "text/javascript",
    "cjs": "text/javascript",
    "txt": "text/plain",
    "text": "text/plain",
    "log": "text/plain",
    "md": "text/markdown",
    "markdown": "text/markdown",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "ics": "text/calendar",
    "vcf": "text/vcard",
    "vtt": "text/vtt",
    "srt": "text/plain",
    "yaml": "text/yaml",
    "yml": "text/yaml",
    # data
    "json": "application/json",
    "map": "application/json",
    "jsonld": "application/ld+json",
    "geojson": "application/geo+json",
    "topojson": "application/json",
    "ndjson": "application/x-ndjson",
    "webmanifest": "application/manifest+json",
    "xml": "application/xml",
    "xsl": "application/xml",
    "rss": "application/rss+xml",
    "atom": "application/atom+xml",
    "xhtml": "application/xhtml+xml",
    "gpx": "application/gpx+xml",
    "kml": "application/vnd.google-earth.kml+xml",
    "toml": "application/toml",
    "wasm": "application/wasm",
    "pdf": "application/pdf",
    "rtf": "application/rtf",
    "epub": "application/epub+zip",
    "zip": "application/zip",
    "gz": "application/gzip",
    "tgz": "application/gzip",
    "br": "application/octet-stream",
    "zst": "application/zstd",
    "tar": "application/x-tar",
    "7z": "application/x-7z-compressed",
    "sqlite": "application/vnd.sqlite3",
    "apk": "application/vnd.android.package-archive",
    "dmg": "application/x-apple-diskimage",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    # images
    "svg": "image/svg+xml",
    "png": "image/png",
    "apng": "image/apng",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "heic": "image/heic",
    "jxl": "image/jxl",
    "ico": "image/x-icon",
    "cur": "image/x-icon",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    # fonts
    "woff": "font/woff",
    "woff2": "font/woff2",
    "ttf": "font/ttf",
    "otf": "font/otf",
    "eot": "application/vnd.ms-fontobject",
    # sound and film
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "weba": "audio/webm",
    "mid": "audio/midi",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "webm": "video/webm",
    "ogv": "video/ogg",
    "mov": "video/quicktime",
    "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml",
    "ts": "video/mp2t",
    # three dimensions
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "obj": "text/plain",
    "stl": "model/stl",
    "usdz": "model/vnd.usdz+zip",
}

#: Names that other parties look for and that have no telling extension.
_BY_NAME = {
    "apple-app-site-association": "application/json",
    "LICENSE": "text/plain",
    "CNAME": "text/plain",
}

#: Types outside `text/` whose bytes shrink.
_COMPRESSIBLE = frozenset(
    {
        "application/json",
        "application/xml",
        "application/wasm",
        "application/toml",
        "application/x-ndjson",
        "application/rtf",
        "application/vnd.apple.mpegurl",
        "application/vnd.ms-fontobject",
        "application/vnd.sqlite3",
        "application/x-tar",
        "font/ttf",
        "font/otf",
        "image/bmp",
        "image/x-icon",
        "model/gltf-binary",
        "model/stl",
    }
)


def extension(path: str) -> str:
    """The last extension in lower case without its dot; empty when there is none."""
    return PurePosixPath(path).suffix[1:].lower()


def has_known_extension(path: str) -> bool:
    return extension(path) in _BY_EXTENSION


def media_type(path: str, data: bytes | None = None) -> str:
    """
    The `Content-Type` of a file. `data`, if given, is its whole content: text that is not UTF-8 gets no charset, so that
    the page's own declaration counts.
    """
    name = path.rpartition("/")[2]
    found = _BY_EXTENSION.get(extension(path)) or _BY_NAME.get(name, UNKNOWN)
    if found == UNKNOWN and path.startswith(".well-known/") and "." not in name:
        found = "text/plain"
    if not found.startswith("text/"):
        return found
    return f"{found}; charset=utf-8" if data is None or _is_utf8(data) else found


def is_compressible(kind: str) -> bool:
    """Whether bytes of this media type are worth a try with a content coding."""
    bare = kind.partition(";")[0]
    return bare.startswith("text/") or bare in _COMPRESSIBLE or bare.endswith(("+json", "+xml"))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
