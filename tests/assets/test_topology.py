"""Parents and dependencies never lead back to where they start."""

import itertools
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from assets import topology

nodes = st.integers(0, 7).map(lambda n: UUID(int=n))
graphs = st.dictionaries(nodes, st.lists(nodes, max_size=4), max_size=8)


def reaches(start: UUID, graph: dict[UUID, list[UUID]]) -> bool:
    seen: set[UUID] = set()
    frontier = set(graph.get(start, []))
    while frontier - seen:
        seen |= frontier
        frontier = {target for node in frontier for target in graph.get(node, [])} | frontier
    return start in seen


@given(nodes, graphs)
def test_a_way_back_is_found_exactly_where_there_is_one(start: UUID, graph: dict[UUID, list[UUID]]) -> None:
    path = topology.path_back(start, graph)
    assert (path is not None) == reaches(start, graph)
    if path:
        assert path[0] == path[-1] == start
        assert all(following in graph[node] for node, following in itertools.pairwise(path))


def test_a_cycle_of_dependencies_is_refused_with_its_way(asset):
    first, second, third = asset("first"), asset("second"), asset("third")
    first.dependencies = [str(second.pk)]
    first.save()
    second.dependencies = [str(third.pk)]
    second.save()
    third.dependencies = [str(first.pk)]
    with pytest.raises(ValidationError, match="third → first → second → third"):
        third.full_clean()


def test_a_cycle_of_parents_is_refused(asset):
    parent, child = asset("parent"), asset("child")
    child.parent_asset = parent
    child.save()
    parent.parent_asset = child
    with pytest.raises(ValidationError, match="parent → child → parent"):
        parent.full_clean()


def test_a_dependency_that_does_not_exist_is_refused(asset):
    lonely = asset("lonely", dependencies=[str(uuid4())])
    with pytest.raises(ValidationError, match="no asset has the id"):
        lonely.full_clean()
