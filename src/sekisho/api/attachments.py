"""Routes about hosts' VLANs: the cloud says what they want, operators see which switches carry it."""

from typing import Annotated, Protocol

from fastapi import Depends, Request, Response

from sekisho.api.access import ANYBODY, CLOUD, Asker
from sekisho.api.bodies import Items, json_body
from sekisho.api.fields import Limit, Marker, cut, page
from sekisho.api.parts import part
from sekisho.api.routes import Routes
from sekisho.model.access import Principal
from sekisho.model.attachment import Attachment, HostVlans

ATTACHMENTS = Routes()


class Attachments(Protocol):
    """Whoever knows the hosts' VLANs; `app/attachments.py` is the one that answers. Blocks on the ledger."""

    def put(self, who: Principal, host: str, wanted: HostVlans) -> None:
        """Take all that a host wants; raises Malformed, Unavailable."""
        ...

    def attachments(self) -> tuple[Attachment, ...]:
        """List the hosts that want VLANs."""
        ...

    def attachment(self, host: str) -> Attachment:
        """Tell of one host; one that nobody spoke of wants nothing."""
        ...


TheAttachments = Annotated[Attachments, Depends(part("attachments", "No switches are kept here."))]


@ATTACHMENTS.add("PUT", "/v1/hosts/{host}/vlans", CLOUD, body=HostVlans, status=204)
def report_vlans(
    keeper: TheAttachments, who: Asker, host: str, wanted: Annotated[HostVlans, Depends(json_body(HostVlans))]
) -> None:
    """Replace what a host wants: all VLANs that its servers are in.

    Agents may not: whoever has broken into one must not get itself other customers' networks.
    """
    keeper.put(who, host, wanted)


@ATTACHMENTS.add("GET", "/v1/hosts/{host}/vlans", ANYBODY, Attachment)
def host_vlans(keeper: TheAttachments, host: str) -> Attachment:
    """Show what a host wants, and which switches carry it."""
    return keeper.attachment(host)


@ATTACHMENTS.add("GET", "/v1/attachments", ANYBODY, Items[Attachment])
def attachments(
    request: Request, response: Response, keeper: TheAttachments, limit: Limit = 100, marker: Marker = ""
) -> Items[Attachment]:
    """List the hosts that want VLANs, and which switches carry them."""
    found, following = cut(keeper.attachments(), lambda a: a.host, limit, marker)
    return page(request, response, found, following)
