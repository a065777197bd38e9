"""The table of named strategies: a published method is one line of text here, never a class."""

from __future__ import annotations

from curette.query.presets import (
    class_quotas,
    cold_start,
    committees,
    companions,
    controls,
    hybrid,
    many_passes,
    one_pass,
    query_time,
    randomised,
    representative,
    structure_boundary,
    views,
)
from curette.query.presets.table import FAMILIES, Preset

__all__ = ["FAMILIES", "PRESETS", "Preset"]

PRESETS: dict[str, Preset] = {
    **controls.PRESETS,
    **one_pass.PRESETS,
    **many_passes.PRESETS,
    **views.PRESETS,
    **committees.PRESETS,
    **randomised.PRESETS,
    **class_quotas.PRESETS,
    **representative.PRESETS,
    **hybrid.PRESETS,
    **query_time.PRESETS,
    **companions.PRESETS,
    **structure_boundary.PRESETS,
    **cold_start.PRESETS,
}
"""All of them by name; aliases share a preset."""
