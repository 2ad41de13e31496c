"""Builds the marts of the demo's database, and its published copy."""

from klaviyo_assets.assets.mart_assets import model_folders
from klaviyo_assets.cli.output import say
from klaviyo_assets.marts.library import marts_schema, read_models
from klaviyo_assets.marts.mart_runner import MartRunner
from klaviyo_assets.publish.publisher import Publisher
from klaviyo_assets.publish.target import PublishTarget
from klaviyo_assets.settings.options import OPTIONS, Settings, selected_marts
from klaviyo_assets.warehouse.default_name import DEFAULT_SCHEMA
from klaviyo_assets.warehouse.interface import Warehouse


def build_marts(settings: Settings, warehouse: Warehouse) -> bool:
    """Build the marts that the settings name, and the published copy if they name one.

    Args:
        settings: With ``marts`` and the paths of the published copy.
        warehouse: The database.

    Returns:
        False if the settings name no marts: then the database gets none.

    Raises:
        KlaviyoAssetsError: If a mart cannot be built, or the copy cannot be written.
    """
    folders = model_folders(selected_marts(settings.marts))
    if folders is None:
        say(f"{OPTIONS['marts'].variable} is not set, so there are no marts. Set it to true, and the demo prints answers from them.")
    else:
        results = [*MartRunner(warehouse, DEFAULT_SCHEMA, read_models(folders)).run()]
        for result in results:
            result.raise_if_failed()
        say(f"Built {len(results)} marts in the schema {marts_schema(DEFAULT_SCHEMA)}.")
    if settings.publish_path:
        target = PublishTarget.at(settings.publish_path, settings.publish_parquet)
        Publisher(warehouse, target).publish()
        say(f"Wrote the published copy {target.file}.")
    return folders is not None
