"""JSON columns that are held to one declared structure (msgspec types) on every way in, with secrets sealed."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from django import forms
from django.core.exceptions import ValidationError
from django.db import models

from wedsync_monitor import secrets
from wedsync_monitor.fitting import advised
from wedsync_monitor.structures import AnyObject

_AGAIN = "Enter the secret again"


def problem_with(structure: Any, value: Any) -> str | None:
    """Say what is wrong with `value` and where, or None where it fits `structure`."""
    try:
        msgspec.convert(value, structure, strict=True)
    except msgspec.ValidationError as error:
        return advised(structure, value, str(error))
    return None


def not_storable(value: Any) -> str | None:
    """Why PostgreSQL would refuse `value` as JSON, or None where it would not."""
    if secrets.holds_text(value, "\0"):
        return "send text without NUL characters"
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "send text without lone surrogates"
    except ValueError:
        return "send finite numbers"
    return None


class StructuredField(models.JSONField):
    """A JSONField whose value must convert to `structure`.

    Checked by full_clean (admin, console forms), by serializers (as a validator) and again when the row is saved.
    Strings that `structure` marks as a Secret are sealed before they reach the database, and a masked value that comes
    back from a form keeps what is stored. They stay with the place that they are sent to: when a Destination of the
    structure or one of the columns `sent_to` changes, they have to be entered again.
    """

    # An empty list is held to the structure too: it does not fit a column of objects.
    empty_values = [None, ""]

    def __init__(
        self,
        *args: Any,
        structure: Any = AnyObject,
        check: Callable[[Any], None] | None = None,
        sent_to: Sequence[str] = (),
        **kw: Any,
    ):
        self.structure, self.sent_to = structure, tuple(sent_to)
        self.check_meaning = check
        super().__init__(*args, **kw)
        self.validators = [*self.validators, self.check_structure]

    def check_structure(self, value: Any) -> None:
        if value is None and self.null:
            return
        if problem := problem_with(self.structure, value):
            raise ValidationError(problem, code="structure")
        if problem := not_storable(value):
            raise ValidationError(problem, code="structure")
        if self.check_meaning:
            self.check_meaning(value)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", list(args), kwargs

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = super().pre_save(model_instance, add)
        if value is None or hasattr(value, "resolve_expression"):
            return value
        try:
            value = self._restored(value, model_instance)
            self.check_structure(value)
        except ValidationError as error:
            raise ValidationError({self.name: error}) from error
        value = secrets.seal(self.structure, value)
        setattr(model_instance, self.attname, value)
        return value

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        return super().clean(self._restored(value, model_instance), model_instance)

    def _restored(self, value: Any, row: models.Model | None) -> Any:
        """`value` with the stored secrets where it shows the mask. Refused where they would go somewhere else."""
        if row is None or not (secrets.holds_mask(value) or secrets.holds_sealed(value)):
            return value
        stored = type(row)._base_manager.filter(pk=row.pk).values(self.attname, *self.sent_to).first()
        if stored is None or not self._has_moved(value, row, stored):
            value = secrets.restore_masked(value, stored[self.attname] if stored else None)
        elif secrets.holds_sealed(value):
            raise ValidationError(f"{_AGAIN}: where it is sent to has changed.", code="structure")
        if secrets.holds_mask(value):
            raise ValidationError(f"{_AGAIN} where it shows {secrets.MASK}.", code="structure")
        return value

    def _has_moved(self, value: Any, row: models.Model, stored: dict[str, Any]) -> bool:
        """Whether the secrets that are stored would go to another place than the one they were entered for."""
        if any((getattr(row, column) or None) != (stored[column] or None) for column in self.sent_to):
            return True
        old = stored[self.attname]
        return secrets.destinations(self.structure, value) != secrets.destinations(self.structure, old)

    def formfield(self, **kwargs: Any) -> Any:  # type: ignore[override]
        """A text area of JSON in which secrets are masked; left empty, it means the column's default."""
        empty = None if self.null else self.get_default
        return super().formfield(**({"form_class": MaskedJSONField, "when_empty": empty} | kwargs))


class MaskedJSONField(forms.JSONField):
    """JSON as people edit it: indented, with secrets masked; a mask that comes back keeps what is stored."""

    widget = forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "vLargeTextField"})

    empty_values = [None, ""]

    def __init__(self, *args: Any, when_empty: Callable[[], Any] | None = None, **kwargs: Any):
        self.when_empty = when_empty
        super().__init__(*args, **kwargs)

    def to_python(self, value: Any) -> Any:
        try:
            parsed = super().to_python(value)
        except (RecursionError, ValueError) as error:
            # Django expects the decoder's own errors only; deep nesting and endless numbers raise others.
            raise ValidationError("Enter JSON that is less deep, with shorter numbers.", code="invalid") from error
        return self.when_empty() if parsed is None and self.when_empty and not self.required else parsed

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed, as it was typed."""
        return initial if self.disabled else data or ""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return value
        return json.dumps(secrets.mask(value), indent=2, ensure_ascii=False)
