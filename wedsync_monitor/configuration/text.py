"""YAML as configuration is written in it: plain data, one meaning for each word. Pure: no Django.

Of YAML 1.1's many types only those of JSON are known (YAML 1.2's core schema): `on`, `no`, `12:30` and dates are texts.
A key that stands twice is refused, and so are anchors, whose copies grow without end.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_LARGEST_INTEGER = 2**63 - 1
_CORE = (
    ("tag:yaml.org,2002:null", re.compile(r"(?:~|null|)\Z"), ["~", "n", ""]),
    ("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)\Z"), list("tf")),
    ("tag:yaml.org,2002:int", re.compile(r"[-+]?[0-9]+\Z"), list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)\Z"),
        list("-+.0123456789"),
    ),
)


class Unreadable(ValueError):
    """The text is no configuration; says where and what to write instead."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            alias = self.peek_event()  # type: ignore[no-untyped-call]
            _fail("write it out where it is needed; anchors and aliases are not read", alias.start_mark)
        return super().compose_node(parent, index)

    def construct_map(self, node: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                _fail(f"write the name {key_node.value!r} in quotes", key_node.start_mark)
            if key in found:
                _fail(f"{key!r} stands twice; write it once", key_node.start_mark)
            found[key] = self.construct_object(value_node, deep=True)
        return found

    def construct_integer(self, node: Any) -> int:
        if len(node.value) > 20 or abs(int(node.value)) > _LARGEST_INTEGER:
            _fail("write a whole number of at most 64 bits", node.start_mark)
        return int(node.value)

    def construct_decimal(self, node: Any) -> float:
        number = float(node.value)
        if abs(number) == float("inf"):
            _fail("write a number that a 64-bit float can hold", node.start_mark)
        return number

    def construct_text(self, node: Any) -> str:
        if "\0" in node.value or any("\ud800" <= letter <= "\udfff" for letter in node.value):
            _fail("write text without NUL characters and lone surrogates", node.start_mark)
        return str(node.value)

    def construct_unknown(self, node: Any) -> Any:
        _fail(f"the tag {node.tag!r} is not read; leave it out", node.start_mark)


class _Dumper(yaml.SafeDumper):
    """Quotes what this or an older reader of YAML would take for something else than a text."""

    def represent_text(self, text: str) -> Any:
        # Old YAML takes these three for the end of a line; in double quotes they are escaped.
        style = '"' if set(text) & set("\x85\u2028\u2029") else "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def represent_number(self, number: float) -> Any:
        """Whole numbers without a decimal point, as people write thresholds."""
        if number == int(number) and abs(number) < 2**53:
            return self.represent_int(int(number))
        return self.represent_float(number)

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)
    _Dumper.add_implicit_resolver(_tag, _pattern, _first)
_Loader.yaml_constructors = {
    "tag:yaml.org,2002:null": yaml.SafeLoader.construct_yaml_null,
    "tag:yaml.org,2002:bool": yaml.SafeLoader.construct_yaml_bool,
    "tag:yaml.org,2002:int": _Loader.construct_integer,
    "tag:yaml.org,2002:float": _Loader.construct_decimal,
    "tag:yaml.org,2002:str": _Loader.construct_text,
    "tag:yaml.org,2002:seq": yaml.SafeLoader.construct_yaml_seq,
    "tag:yaml.org,2002:map": _Loader.construct_map,
    None: _Loader.construct_unknown,
}
_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(float, _Dumper.represent_number)


def _fail(problem: str, mark: Any) -> None:
    raise Unreadable(f"line {mark.line + 1}, column {mark.column + 1}: {problem}")


def read(text: str) -> Any:
    """The data of one YAML document: None, booleans, numbers, texts, lists and objects. Raises Unreadable."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (it builds plain data only)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        told = ", ".join(part for part in (error.context, error.problem) if part)
        raise Unreadable(f"{place}{told}; write YAML") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise Unreadable(f"write YAML in UTF-8: {str(error).splitlines()[0]}") from error
    except RecursionError as error:
        raise Unreadable("write YAML that is nested less deeply") from error


def written(data: Any) -> str:
    """`data` as YAML that `read` gives back, in the order that it has."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=False)
