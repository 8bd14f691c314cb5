"""PromQL as tokens. Pure: no Django."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

UNITS_MS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 7 * 86_400_000,
    "y": 365 * 86_400_000,
}
# Two hundred years: what is longer overflows the arithmetic of times.
MAX_DURATION_MS = 200 * UNITS_MS["y"]


class BadQuery(Exception):
    """An expression or parameter cannot be used: what is wrong, and where it begins (characters from 0)."""

    def __init__(self, reason: str, position: int | None = None):
        super().__init__(reason if position is None else f"1:{position + 1}: parse error: {reason}")
        self.reason, self.position = reason, position


@dataclass(frozen=True)
class Token:
    """`kind` is one of word, number, duration, string, operator, end; `text` is as written, a string's unquoted."""

    kind: str
    text: str
    position: int


_DURATION = r"(?:\d+(?:ms|[smhdwy]))+(?![A-Za-z0-9_])"
_NUMBER = r"0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TOKEN = re.compile(
    rf"""(?P<space>(?:\s|\#[^\n]*)+)
       | (?P<duration>{_DURATION})
       | (?P<number>(?:{_NUMBER})(?![A-Za-z0-9_.]))
       | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
       | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
       | (?P<operator>==|!=|=~|!~|<=|>=|[-+*/%^<>=(){{}}\[\],:@])""",
    re.VERBOSE,
)
_DURATION_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))")
_NAMED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SAME = "\\'\""


def tokens(text: str) -> list[Token]:
    """All tokens of `text`, the last of kind `end`. Raises BadQuery."""
    return list(_tokens(text))


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadQuery(_strange(text[position:]), position)
        kind = match.lastgroup or ""
        if kind == "string":
            yield Token(kind, _unquoted(match.group(), position), position)
        elif kind != "space":
            yield Token(kind, match.group(), position)
        position = match.end()
    yield Token("end", "", len(text))


def _strange(rest: str) -> str:
    if rest[0] in "\"'`":
        return "a string does not end"
    if rest[0].isdigit():
        return f"bad number or duration: {rest[:20]!r}; write a number like 1.5 or a duration like 5m"
    return f"unexpected character: {rest[0]!r}"


def _unquoted(quoted: str, position: int) -> str:
    if quoted[0] == "`":
        return quoted[1:-1]

    def meant(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        if code or match[4]:
            return _character(int(code, 16) if code else int(match[4], 8), position)
        if match[5] in _NAMED or match[5] in _SAME:
            return _NAMED.get(match[5], match[5])
        raise BadQuery(f"unknown escape sequence \\{match[5]}; write \\\\ for a backslash", position)

    return _ESCAPE.sub(meant, quoted[1:-1])


def _character(code: int, position: int) -> str:
    if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise BadQuery("an escape sequence stands for no usable character", position)
    return chr(code)


def milliseconds(duration: str, position: int | None = None) -> int:
    """`1h30m` in milliseconds. Raises BadQuery."""
    total = sum(int(number[:18]) * UNITS_MS[unit] for number, unit in _DURATION_PART.findall(duration))
    if total > MAX_DURATION_MS:
        raise BadQuery(f"the duration {duration[:30]} is too long", position)
    return total


def is_duration(text: str) -> bool:
    return re.fullmatch(_DURATION, text) is not None


def quoted(text: str) -> str:
    """`text` as a string of PromQL in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in escaped) + '"'
