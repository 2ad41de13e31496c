"""What Dagster's launchpad shows: run config of the assets, not the resources that the code has configured already."""

import json
from inspect import cleandoc

import dagster as dg
from dagster import ConfigurableResource


def kept_out_of_launchpad(resource: "ConfigurableResource[object] | dg.ConfigurableIOManager") -> dg.ResourceDefinition:
    """Return a resource with all values set by the code, so it needs no run config.

    The launchpad writes each default of a resource into the run config that it submits: dozens of lines. A value that the code passes as text would
    then be stored with every run. An ``EnvVar`` stays one: it is read when a run starts.

    Args:
        resource: A resource that is configured in the code.
    """
    definition = resource.get_resource_definition()
    schema = definition.config_schema
    values = json.loads(schema.default_value_as_json_str) if schema.default_provided else {}
    return definition.configured(values, config_schema={}, description=_first_paragraph(definition.description or ""))


def _first_paragraph(text: str) -> str:
    """Return the part of a docstring that the resource's page can show: what follows are arguments and examples, with markup for API references."""
    return " ".join(cleandoc(text).split("\n\n")[0].split()).replace("``", "`")
