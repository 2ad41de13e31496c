"""Takes the records of one type from the pages of its host. Pure."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from klaviyo_assets.catalog.resource_type import HostRecord, ResourceType
from klaviyo_assets.decode.malformed import UnreadablePage
from klaviyo_assets.decode.page import Page, PageDecoder


class _Identifier(msgspec.Struct):
    type: str
    id: str | int


class _Document(msgspec.Struct):
    data: msgspec.Raw


@dataclass(frozen=True)
class IncludedPage:
    """What a page of the host says about the included resources.

    Attributes:
        named: Ids of the resources that each host record names, by the host record's id.
        resources: JSON of the resources that the page includes, by id.
    """

    named: Mapping[str, Sequence[str]]
    resources: Mapping[str, bytes]

    @property
    def lacking(self) -> list[str]:
        """Ids of the resources that the host's records name and the page lacks."""
        return list(dict.fromkeys(id_ for ids in self.named.values() for id_ in ids if id_ not in self.resources))


class IncludedDecoder:
    """Decodes the records of a type with a host.

    Args:
        entry: The type.
    """

    def __init__(self, entry: ResourceType) -> None:
        self._host = entry.required_host
        self._type = (self._host.source or entry).jsonapi_type
        self._column = next(one.name for one in self._host.entry.columns if one.path == ("relationships", self._host.relationship))
        self._records = PageDecoder(entry)

    def included(self, page: Page) -> IncludedPage:
        """Return the included resources of a page of the host.

        Raises:
            UnreadablePage: If a host record does not name its resources although they were requested: they must not be taken for deleted ones.
        """
        named: dict[str, Sequence[str]] = {}
        for record, ids in zip(page.records, page.values(self._column), strict=True):
            if ids is None:
                raise UnreadablePage(f"The {self._host.entry.jsonapi_type} {record.id} does not name its {self._host.relationship}.")
            named[record.id] = ids
        return IncludedPage(named, dict(self._of_type(page.included)))

    def _of_type(self, included: Sequence[msgspec.Raw]) -> Iterator[tuple[str, bytes]]:
        """Yield the included resources of the type by id. Anything that is not a resource object counts as not included, so it is fetched."""
        for raw in included:
            with contextlib.suppress(msgspec.ValidationError):
                one = msgspec.json.decode(raw, type=_Identifier)
                if one.type == self._type:
                    yield str(one.id), bytes(raw)

    def resource(self, document: bytes) -> bytes:
        """Return the JSON of the resource in a document with one.

        Raises:
            ValueError: If it is not such a document.
        """
        resource = msgspec.json.decode(document, type=_Document).data
        msgspec.json.decode(resource, type=_Identifier)
        return bytes(resource)

    def page(self, found: IncludedPage, fetched: Mapping[str, bytes]) -> Page:
        """Return the records of a page of the host.

        Args:
            found: The included resources.
            fetched: JSON of the resources that were fetched because the page lacks them, by id.
        """
        resources = {**fetched, **found.resources}
        hosts = (HostRecord(id_, [resources[one] for one in ids if one in resources]) for id_, ids in found.named.items())
        derive = self._host.derive
        records = [raw for host in hosts for raw in (derive(host) if derive is not None else host.included)]
        return self._records.page(b'{"data":[' + b",".join(records) + b"]}")
