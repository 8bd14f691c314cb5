"""The console's form for assets."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Min

from assets.models import InfrastructureAsset, MonitoringAgent
from assets.structures import MAX_TAG_LENGTH
from wedsync_monitor import schema

_CLASSES = {"Select": "form-select", "CheckboxInput": "form-check-input"}


def style(form: forms.BaseForm) -> None:
    """Give the widgets of `form` the look of the console."""
    for field in form.fields.values():
        kind = type(field.widget).__name__
        field.widget.attrs.setdefault("class", _CLASSES.get(kind, "form-control"))


class Sections:
    """A form in sections: titles with the names of their fields, in the order in which pages show them."""

    sections: tuple[tuple[str, tuple[str, ...]], ...]

    def by_section(self) -> list[tuple[str, list[forms.BoundField]]]:
        return [(title, [self[name] for name in names]) for title, names in self.sections]  # type: ignore[index]


class AssetForm(Sections, forms.ModelForm):  # type: ignore[type-arg]
    """An asset's configuration. Tags are written with commas between them."""

    sections = (
        ("What it is", ("asset_name", "environment", "asset_type", "asset_category", "tag_list", "parent_asset")),
        ("Where it runs", ("provider", "location")),
        ("How it is monitored", ("collection_interval", "retention_days", "is_critical", "ephemeral", "is_active")),
    )

    tag_list = forms.CharField(
        label="Tags", required=False, help_text='Words or "key:value", with commas between them.'
    )
    collection_interval = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=86400,
        help_text="Seconds between reports: what its agents are told, and what its health expects. Empty: each agent's "
        "own interval.",
    )
    retention_days = forms.IntegerField(
        label="Retention", help_text="Days.", required=False, min_value=1, max_value=3650
    )

    ephemeral = forms.BooleanField(
        required=False, help_text="It may leave without an alarm: after three missed reports it counts as departed."
    )

    class Meta:
        model = InfrastructureAsset
        formfield_callback = schema.formfield
        fields = [
            "asset_name", "asset_type", "asset_category", "environment", "location", "provider", "parent_asset",
            "is_critical", "is_active",
        ]  # fmt: skip
        labels = {"is_critical": "Critical", "is_active": "Active"}
        widgets = {"asset_name": forms.TextInput(), "location": forms.TextInput()}

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        monitoring = self.instance.monitoring_config or {}
        self.fields["tag_list"].initial = ", ".join(self.instance.tags or [])
        for name in ("collection_interval", "retention_days", "ephemeral"):
            self.fields[name].initial = monitoring.get(name)
        self.fields["collection_interval"].widget.attrs["placeholder"] = self._agents_interval()
        style(self)

    def _agents_interval(self) -> int:
        """What holds where the field is empty."""
        agents = MonitoringAgent.objects.filter(asset_id=self.instance.pk, is_active=True)
        least: int | None = agents.aggregate(least=Min("collection_interval"))["least"]
        return least or int(MonitoringAgent._meta.get_field("collection_interval").default)

    def clean_tag_list(self) -> str:
        text: str = self.cleaned_data["tag_list"]
        if any(len(tag.strip()) > MAX_TAG_LENGTH for tag in text.split(",")):
            raise forms.ValidationError(f"Write tags of at most {MAX_TAG_LENGTH} characters.")
        return text

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self.instance.tags = [tag.strip() for tag in cleaned.get("tag_list", "").split(",") if tag.strip()]
        chosen = {name: cleaned.get(name) for name in ("collection_interval", "retention_days", "ephemeral")}
        kept = {name: value for name, value in (self.instance.monitoring_config or {}).items() if name not in chosen}
        self.instance.monitoring_config = kept | {name: value for name, value in chosen.items() if value}
        return cleaned
