"""Bodies of webhooks as people write them: JSON with ${placeholders} in its texts.

There is nothing in it to run: no attributes, no calls, no loops. What is filled in stays inside of its text, so that
what an alert says can never change the body's shape. Pure: no Django.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

MAX_BYTES = 20_000
MAX_PLACEHOLDERS = 200


class Unusable(Exception):
    """The template cannot be filled in; the text says what to send instead."""


def problem_with(template: Any, known: Collection[str]) -> str | None:
    """Why a webhook may not have `template`, whose placeholders are to be among `known`; None where it may."""
    if len(msgspec.json.encode(template)) > MAX_BYTES:
        return f"send a template of at most {MAX_BYTES} bytes"
    texts = _texts(template)
    try:
        names = [name for text in texts for name in _names_in(text)]
    except Unusable as error:
        return str(error)
    if sum(text.count("$") for text in texts) > MAX_PLACEHOLDERS:
        return f"send a template with at most {MAX_PLACEHOLDERS} placeholders"
    if unknown := sorted(set(names) - set(known)):
        return f"there is no ${{{unknown[0]}}}; send one of {', '.join(sorted(known))}"
    return None


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """`template` with `values`. A text that is one placeholder becomes the value itself: a number, or null."""
    if isinstance(template, dict):
        return {key: fill(item, values) for key, item in template.items()}
    if isinstance(template, list):
        return [fill(item, values) for item in template]
    if not isinstance(template, str):
        return template
    names = _names_in(template)
    if len(names) == 1 and template in (f"${{{names[0]}}}", f"${names[0]}"):
        return values.get(names[0])
    shown = {name: "" if values.get(name) is None else values[name] for name in names}
    return string.Template(template).substitute(shown)


def _names_in(text: str) -> list[str]:
    template = string.Template(text)
    if not template.is_valid():
        raise Unusable(f"{text[:60]!r} has a $ that begins no placeholder; send $$ for a dollar sign")
    return template.get_identifiers()


def _texts(template: Any) -> list[str]:
    if isinstance(template, dict):
        return [text for item in template.values() for text in _texts(item)]
    if isinstance(template, list):
        return [text for item in template for text in _texts(item)]
    return [template] if isinstance(template, str) else []
