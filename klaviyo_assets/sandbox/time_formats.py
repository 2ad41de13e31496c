"""How precisely Klaviyo writes the times of a type's records: most in whole seconds, as recorded, some with a fraction."""

from klaviyo_assets.sandbox.instants import render, render_whole

_WITH_FRACTION = frozenset(
    {
        "campaign_messages",
        "campaigns",
        "catalog_categories",
        "catalog_items",
        "catalog_variants",
        "custom_metrics",
        "mapped_metrics",
        "reviews",
        "universal_content",
        "webhooks",
    }
)


def written(type_name: str, instant: int) -> str:
    """Return an instant in microseconds as a record of the type has it, for example ``2026-07-15T10:00:00+00:00``."""
    return render(instant) if type_name in _WITH_FRACTION else render_whole(instant)
