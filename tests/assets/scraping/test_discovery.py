"""Lists of targets, well and badly written."""

import pytest

from assets.scraping import discovery
from assets.scraping.discovery import BadList, TargetGroup, groups_from_json, groups_from_yaml, targets_of


def test_groups_become_targets_with_their_labels():
    found = targets_of(
        groups_from_json(b'[{"targets": ["a:1", "b"], "labels": {"team": "web", "e": ""}}]'), "http", "/m"
    )
    assert [(one.address, one.url, one.labels) for one in found] == [
        ("a:1", "http://a:1/m", {"team": "web"}),
        ("b", "http://b/m", {"team": "web"}),
    ]


def test_a_list_may_say_where_and_its_own_notes_are_not_kept():
    group = TargetGroup(
        ["[::1]:9"], {"__scheme__": "https", "__metrics_path__": "/p", "__param_m": "x y", "__meta_a": "b"}
    )
    (found,) = targets_of([group], "http", "/metrics")
    assert (found.url, found.labels) == ("https://[::1]:9/p?m=x+y", {})


def test_the_same_page_is_one_target():
    assert len(targets_of([TargetGroup(["a:1", "a:1"]), TargetGroup(["a:1"], {"b": "c"})], "http", "/metrics")) == 1


def test_yaml_is_read_too_and_an_empty_file_is_an_empty_list():
    assert groups_from_yaml(b"- targets: ['a:1']\n  labels: {team: web}\n") == [TargetGroup(["a:1"], {"team": "web"})]
    assert groups_from_yaml(b"") == []


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", b'[{"targets": "a"}]', b'[{"labels": {}}]', b'[{"targets": [1]}]', b"\xff",
             b"[" * 9999, b'[{"targets": ["a"], "labels": {"1": "b"}}]'],
)  # fmt: skip
def test_what_is_no_json_list_is_refused(body):
    with pytest.raises(BadList):
        groups_from_json(body)


@pytest.mark.parametrize("body", [b"a: b", b"- targets: a", b"[", b"!!python/object/apply:os.system ['true']", b"\x00"])
def test_what_is_no_yaml_list_is_refused(body):
    with pytest.raises(BadList):
        groups_from_yaml(body)


@pytest.mark.parametrize("address", ["http://a:1", "a:1/x", "user@a", "a b", "", "a:123456", "a:1?x", "a\n"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(BadList):
        targets_of([TargetGroup([address])], "http", "/metrics")


@pytest.mark.parametrize("label", [("__scheme__", "file"), ("__metrics_path__", "x"), ("__metrics_path__", "/a b")])
def test_a_list_cannot_lead_out_of_http(label):
    with pytest.raises(BadList):
        targets_of([TargetGroup(["a:1"], dict([label]))], "http", "/metrics")


def test_too_many_targets_are_refused(monkeypatch):
    monkeypatch.setattr(discovery, "MAX_TARGETS", 2)
    with pytest.raises(BadList):
        targets_of([TargetGroup(["a", "b", "c"])], "http", "/metrics")
