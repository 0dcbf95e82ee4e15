"""Signs in at Keystone as OpenStack's own client does: clouds.yaml, credentials, OS_* variables."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

from sekisho.model.errors import Malformed, SekishoError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SERVICE_TYPE: Final = "traffic-checkpoint"
INSTALL: Final = "To sign in through Keystone install openstacksdk: pip install 'sekisho[openstack]'."


class SignIn:
    """One user's session at Keystone; nothing is asked before a token or an address is wanted."""

    def __init__(self, cloud: str = "") -> None:
        try:
            from openstack.config import OpenStackConfig
            from openstack.exceptions import ConfigException
        except ImportError as error:
            raise Malformed(INSTALL) from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about the library's own defaults, which nobody here chose
                self._cloud = OpenStackConfig().get_one(cloud or None)
                self._session: Any = self._cloud.get_session()
        except ConfigException as error:
            raise Malformed(f"The cloud {cloud or 'of the environment'!r} cannot be used: {error}") from error
        except TypeError as error:  # what keystoneauth1 makes of settings that do not fit together
            raise Malformed(f"The settings to sign in at Keystone do not fit together: {error}") from error

    def token(self, *, renew: bool = False) -> str:
        """Give a token for the keeper, fetched when first asked for and again when it is about to end.

        `renew` throws away the one there is: the keeper does not take it.
        """
        if renew:
            self._session.invalidate()
        return str(_asked(self._session.get_token) or "")

    def address(self) -> str:
        """Look the keeper up in Keystone's catalogue; raises Malformed when it is not there."""
        found = _asked(self._looked_up)
        if not found:
            raise Malformed(
                f"Keystone's catalogue has no service {SERVICE_TYPE}; name the keeper: --url or SEKISHO_URL."
            )
        return str(found)

    def _looked_up(self) -> str | None:
        from keystoneauth1.exceptions import EndpointNotFound

        region, kind = self._cloud.get_region_name(), self._cloud.get_interface(SERVICE_TYPE)
        try:
            found: str | None = self._session.get_endpoint(
                service_type=SERVICE_TYPE, region_name=region, interface=kind or "public"
            )
        except EndpointNotFound:  # not every way to sign in raises it
            return None
        return found

    @property
    def ca_file(self) -> str:
        """The authority that the cloud's own services are signed by, empty for the system's."""
        verify = self._session.verify
        return verify if isinstance(verify, str) else ""


def is_told(environ: Mapping[str, str]) -> bool:
    """Tell whether the environment says how to sign in."""
    return bool(environ.get("OS_CLOUD") or environ.get("OS_AUTH_URL"))


def _asked(ask: Callable[[], Any]) -> Any:
    from keystoneauth1 import exceptions

    try:
        try:
            return ask()
        except exceptions.ConnectTimeout:
            raise
        except exceptions.ConnectFailure:
            # A kept connection that the other side has closed meanwhile looks like this; a new one tells.
            return ask()
    except exceptions.ClientException as error:
        raise _said(error, exceptions) from error


def _said(error: Exception, exceptions: Any) -> SekishoError:
    if isinstance(error, (exceptions.Unauthorized, exceptions.Forbidden)):
        return Unauthenticated(f"Keystone does not let you in: {error}")
    if isinstance(error, (exceptions.ConnectionError, exceptions.HttpServerError)):
        return Unavailable(f"Keystone does not answer: {error}")
    return Malformed(f"Keystone cannot be asked like this: {error}")
