#!/usr/bin/env python3
"""The start page keeps its promises: nothing from elsewhere, no inline code, every text in both languages.

Standard library only, since `make test` runs it on a fresh machine.
"""

import pathlib
import re
import sys

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "web" / "start"
html, css, js = ((FOLDER / name).read_text(encoding="utf-8") for name in ("index.html", "start.css", "start.js"))

faults = []
for name, text in (("index.html", html), ("start.css", css), ("start.js", js)):
    # The SVG namespace is a name, and nothing is fetched from it.
    for url in re.findall(r"""https?://[^\s"'<>)]+""", text):
        if not url.startswith(("http://www.w3.org/", "http://127.0.0.1", "http://localhost")):
            faults.append(f"{name} names {url}")
if re.search(r"<script(?![^>]*\bsrc=)[^>]*>", html):
    faults.append("index.html has an inline script; the content security policy forbids it")
if re.search(r"\son[a-z]+\s*=", html) or re.search(r"\sstyle\s*=", html):
    faults.append("index.html has an inline handler or style; the content security policy forbids it")
for call in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
    if call in js:
        faults.append(f"start.js uses {call}: texts of customers go through textContent")

for fault in faults:
    print(f"start page: {fault}")
print(f"start page: {len(faults)} faults")
sys.exit(bool(faults))
