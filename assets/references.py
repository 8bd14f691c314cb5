"""Lists of asset ids in other rows' columns: an id that names no asset is refused."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework.exceptions import ValidationError

from assets.models import InfrastructureAsset


def known_assets(ids: Iterable[str]) -> list[str]:
    """`ids` in their usual writing. Raises ValidationError where one is no asset's."""
    wanted = [_uuid(text) for text in ids]
    known = set(InfrastructureAsset.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    if strangers := [str(one) for one in wanted if one not in known]:
        raise ValidationError(f"no asset has the id {strangers[0]}")
    return [str(one) for one in wanted]


def check_assets(ids: list[str]) -> None:
    """The check of a column of asset ids, on whatever way they come. Raises Django's ValidationError."""
    try:
        usual = known_assets(ids)
    except ValidationError as error:
        raise DjangoValidationError([str(text) for text in error.detail]) from error
    if strange := [text for text in ids if text not in usual]:
        raise DjangoValidationError(f"write the id {strange[0]!r} as {UUID(strange[0])}")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise ValidationError(f"{text[:80]!r} is not the id of an asset") from error
