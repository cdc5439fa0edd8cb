"""Check the built documentation: where links lead, and whether pages fit a screen.

    python .ci/check_site.py docs/_build/html

Every link within the site has to lead to a page and, with a fragment, to an element of
it. In a headless Chromium or Chrome no page may be wider than the screen of a laptop
(1280 pixels) or a phone (390), and no code wider than its box on the laptop. Without a
browser the second check is left out, which is said.
"""

import functools
import html.parser
import http.server
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "chrome"]
WIDTHS = [1280, 390]
# Listings of source code, and pages that are made for a script.
SKIPPED = ["_modules/", "_static/", "search.html", "genindex.html"]

# The page that loads every other one at each width, and writes down what is too wide.
MEASURE = """<!doctype html><meta charset="utf-8"><pre id="found"></pre><script>
const pages = PAGES, widths = WIDTHS, found = [];
const load = (frame, page) => new Promise(resolve => {
  frame.onload = resolve; frame.src = page;
});
const describe = e => (e.id || e.className || e.tagName).toString().slice(0, 60)
  + ": " + e.textContent.trim().slice(0, 50);
(async () => {
  for (const width of widths) {
    const frame = document.createElement("iframe");
    frame.width = width; frame.height = 900;
    document.body.append(frame);
    for (const page of pages) {
      await load(frame, page);
      const doc = frame.contentDocument, root = doc.documentElement;
      if (root.scrollWidth > width) {
        const wide = [...doc.querySelectorAll("article *")].find(
          e => e.getBoundingClientRect().right > width
            && !e.closest(".pst-scrollable-table-container, pre, .formula"));
        found.push([page, width, "the page is " + root.scrollWidth + " pixels wide",
          wide ? describe(wide) : ""]);
      }
      if (width >= 1000)
        for (const pre of doc.querySelectorAll("article pre"))
          if (pre.scrollWidth > pre.clientWidth + 1)
            found.push([page, width, "code is wider than its box by "
              + (pre.scrollWidth - pre.clientWidth) + " pixels", describe(pre)]);
    }
    frame.remove();
  }
  document.getElementById("found").textContent = JSON.stringify(found);
  document.title = "done";
})();
</script>"""


class Page(html.parser.HTMLParser):
    """What a page links to, and what in it can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids = set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids |= {values[name] for name in ("id", "name") if values.get(name)}
        self.links |= {values[name] for name in ("href", "src") if values.get(name)}


def broken_links(site):
    """Yield a line for every link within the site that leads nowhere."""
    pages = {path: Page(path) for path in site.rglob("*.html")}
    for path, page in sorted(pages.items()):
        if "_static" in path.relative_to(site).parts:
            continue
        for link in sorted(page.links):
            if re.match(r"[a-z]+:|//", link):
                continue
            target, fragment = urldefrag(link)
            target = unquote(target.split("?")[0])
            there = (path.parent / target).resolve() if target else path
            if there.is_dir():
                there = there / "index.html"
            if not there.exists():
                yield f"{path.relative_to(site)}: {link} leads to no file"
            elif (
                fragment
                and there in pages
                and unquote(fragment) not in (pages[there].ids)
            ):
                yield f"{path.relative_to(site)}: {link} leads to no element"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serve the site, and the page that measures it, without a log."""

    def __init__(self, *args, measure, **kwargs):
        self.measure = measure
        super().__init__(*args, **kwargs)

    def do_GET(self):
        if self.path != "/measure":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.measure.encode())
        return None

    def log_message(self, *args):
        pass


def too_wide(site, browser):
    """Yield a line for every page or box of code that is too wide."""
    pages = [f"/{path.relative_to(site).as_posix()}" for path in site.rglob("*.html")]
    pages = sorted(p for p in pages if not any(part in p for part in SKIPPED))
    measure = MEASURE.replace("PAGES", json.dumps(pages), 1)
    measure = measure.replace("WIDTHS", json.dumps(WIDTHS), 1)
    handler = functools.partial(Quiet, directory=site, measure=measure)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        options += [f"--user-data-dir={profile}", "--virtual-time-budget=3600000"]
        url = f"http://127.0.0.1:{server.server_port}/measure"
        shown = subprocess.run(
            [browser, *options, url], capture_output=True, text=True, timeout=600
        ).stdout
    server.shutdown()
    if "<title>done</title>" not in shown:
        yield f"{browser} did not come to an end of {len(pages)} pages"
        return
    found = re.search(r'<pre id="found">(.*?)</pre>', shown, re.DOTALL)[1]
    for page, width, what, where in json.loads(html.unescape(found)):
        yield f"{page} at {width} pixels: {what} ({where})"


def main(folder):
    site = Path(folder).resolve()
    problems = list(broken_links(site))
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"No browser ({', '.join(BROWSERS)}): widths are not checked.")
    else:
        problems += too_wide(site, browser)
    print(*problems, sep="\n")
    return f"{len(problems)} problems" if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
