"""What makes the routes of ``/v2.0/port-restrictions``."""

from __future__ import annotations

from typing import Any, ClassVar

from neutron.api import extensions
from neutron.api.v2 import base
from neutron_lib.api import extensions as api_extensions
from neutron_lib.plugins import directory

from sekisho.guests.neutron import definition


class Port_restrictions(api_extensions.APIExtensionDescriptor):  # noqa: N801 - Neutron finds it by the file's name
    """Neutron's description of our extension."""

    api_definition: ClassVar[Any] = definition

    @classmethod
    def get_resources(cls) -> list[Any]:
        """Give the collection; Neutron does filters' names, fields, sorting and paging."""
        attributes = definition.RESOURCE_ATTRIBUTE_MAP[definition.COLLECTION_NAME]
        path = definition.COLLECTION_NAME.replace("_", "-")
        controller = base.create_resource(
            path,
            definition.RESOURCE_NAME,
            directory.get_plugin(definition.ALIAS),
            attributes,
            allow_pagination=True,
            allow_sorting=True,
        )
        return [extensions.ResourceExtension(path, controller, attr_map=attributes)]
