"""The archive's own door: the same routes about flows as the keeper's, for whoever has its one token."""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

from sekisho.api.app import create_app
from sekisho.api.flows import FLOWS
from sekisho.api.health import HEALTH
from sekisho.model.access import Issuer, Principal, Role
from sekisho.model.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from sekisho.api.flow_keeper import FlowKeeper
    from sekisho.api.settings import ApiSettings

log = logging.getLogger("sekisho.archive")


class OneToken:
    """What of `api.keeper.Keeper` the routes about flows and health ask: one secret, whose bearer may all."""

    def __init__(self, secret: str, metrics: Callable[[], dict[str, float]]) -> None:
        self._secret = secret.encode()
        self._metrics = metrics
        self._who = Principal("keeper", Role.ADMIN)

    def recognised(self, secret: str, issuer: Issuer) -> Principal | None:
        """Find who has the secret."""
        same = hmac.compare_digest(secret.encode(), self._secret)
        return self._who if same and self._secret and issuer is Issuer.SEKISHO else None

    def authenticate(self, secret: str, issuer: Issuer) -> Principal:
        """Find who has the secret; raises Unauthenticated."""
        who = self.recognised(secret, issuer)
        if who is None:
            raise Unauthenticated("This is the archive's door: only the keeper has its token.")
        return who

    def knows(self, _secret: str, _issuer: Issuer) -> bool:
        """Say that nobody else is asked."""
        return True

    def denied(self, name: str, what: str, why: str) -> None:
        """Take down who was turned away."""
        log.warning("%s was denied %s: %s", name, what, why)

    def listen(self, callback: Callable[[str], None]) -> None:
        """Nothing here is waited for."""

    def ready(self) -> tuple[str, ...]:
        """List nothing: whoever can be asked this is ready."""
        return ()

    def metrics(self) -> dict[str, float]:
        """Give what is counted."""
        return self._metrics()


def create_archive_door(
    flows: FlowKeeper, secret: str, settings: ApiSettings, metrics: Callable[[], dict[str, float]] = dict
) -> FastAPI:
    """Put an archive behind HTTP; serve it as the keeper's."""
    rows = (*FLOWS.rows, *HEALTH.rows)
    return create_app(OneToken(secret, metrics), settings, flows=flows, rows=rows)  # type: ignore[arg-type] # no more is asked
