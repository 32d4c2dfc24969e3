import pytest

from headrace.site.hashed_names import has_content_hash


@pytest.mark.parametrize(
    "path",
    [
        "assets/index-BF8QNONU.js",
        "assets/index-DiwrgTda.css",
        "assets/index-B-x_9aQz.js",
        "assets/react-CHdo91hT.svg",
        "main.3f2a1b4c.js",
        "static/js/main.3f2a1b4c.chunk.js",
        "static/js/main.3f2a1b4c.js.LICENSE.txt",
        "static/css/main.3f2a1b4c.css.map",
        "_next/static/chunks/main-app.js",
        "docs/_next/static/build-id/_buildManifest.js",
        "_app/immutable/entry/start.js",
        "_astro/hoisted.B8x2Qz_1.js",
        "_nuxt/DiwrgTda.js",
        "chunk-ABCDEFGH.js",
        "styles-5INURTSO.css",
        "component---src-pages-3f2a1b4c5d6e7f8091a2.js",
    ],
)
def test_names_that_bundlers_make_carry_a_hash(path: str) -> None:
    assert has_content_hash(path)


@pytest.mark.parametrize(
    "path",
    [
        "index.html",
        "assets/index-3f2a1b4c.html",
        "assets/index.js",
        "jquery-3.7.1.min.js",
        "bootstrap-datepicker.js",
        "assets/bootstrap.bundle.min.js",
        "apple-touch-icon.png",
        "main.20240101.js",
        "report-20240131a.pdf",
        "logo-1920x1080.png",
        "android-chrome-192x192.png",
        "photo-DSC00012.jpg",
        "assets/photo-DSC00012.jpg",
        "assets/IMG-Photo-2A.png",
        "assets/logo-original.png",
        "assets/logo-Original.png",
        "assets/logo-DarkMode.png",
        "assets/font-lato-700.woff2",
        "assets/my-photo.png",
        "roboto-v30-latin-700.woff2",
        "sw.js",
        "service-worker.js",
        "sw-3f2a1b4c.js",
        "workbox-window.prod.es5.mjs",
        "deadbeef.png",
        "_nuxt/builds/latest.json",
        "index-polyfills.js",
        "CHANGELOG-V2.txt",
    ],
)
def test_ordinary_names_do_not(path: str) -> None:
    assert not has_content_hash(path)
