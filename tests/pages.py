"""Console pages as tests read them: what a person sees, the forms that it has, and how many queries it takes."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

HTMX = {"HX-Request": "true"}


class _Reader(HTMLParser):
    """Collects the texts outside of scripts, the values of data-testid, and the controls of forms."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.testids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.testids += [found["data-testid"] or ""] if "data-testid" in found else []
        self.links += [found["href"] or ""] if tag == "a" else []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


class Page:
    """One answer of the console."""

    def __init__(self, answer: Any):
        assert answer.status_code in (200, 422), (answer.status_code, answer.content[:300])
        self.status, self.html = answer.status_code, answer.content.decode()
        reader = _Reader()
        reader.feed(self.html)
        self.text = re.sub(r"\s+", " ", " ".join(reader.texts))
        self.testids, self.links = reader.testids, reader.links

    @property
    def is_whole(self) -> bool:
        return "<!doctype html>" in self.html.lower()

    def beside(self, name: str) -> str:
        """What the form says next to the field `name`: label, hint and errors."""
        blocks = re.split(r'<div class="mb-3">', self.html)
        block = next(block for block in blocks if f'name="{name}"' in block)
        return unescape(re.sub(r"<[^>]+>", " ", block.split("</form>")[0].split('<div class="d-flex gap-2')[0]))


def opened(client: Client, url: str, query: dict[str, Any] | None = None, *, htmx: bool = False) -> Page:
    return Page(client.get(url, query or {}, headers=HTMX if htmx else None))


def queries_of(client: Client, url: str) -> int:
    """How many queries the page takes, once everything that is kept between requests is kept."""
    client.get(url)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(url).status_code == 200
    return len(asked)
