"""Tokens and exemptions inside an open transaction."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, update

from sekisho.ledger import schema
from sekisho.ledger.rows import dump, exemption_number, to_exemption, to_token, token_number
from sekisho.model.access import Principal, Role, Token
from sekisho.model.errors import NotFound, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, RowMapping

    from sekisho.model.policy import Exemption

# So that a secret left in a log or a repository is recognised by those who scan for them.
PREFIX: Final = "sekisho_"
_tokens = schema.token
_exemptions = schema.exemption


def new_secret() -> str:
    """Make a secret of 256 random bits: with that many, a plain hash of it cannot be guessed back."""
    return PREFIX + secrets.token_urlsafe(32)


def hashed(secret: str) -> str:
    """Hash a secret as it is kept."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def add_token(connection: Connection, token: Token, secret: str) -> Token:
    """Keep a token by the hash of its secret."""
    values = {
        "name": token.name,
        "role": token.role.value,
        "host": token.host,
        "hash": hashed(secret),
        "created": token.created,
        "until": token.until,
    }
    number = connection.execute(insert(_tokens).values(values)).inserted_primary_key[0]  # type: ignore[index]
    return _token(connection, f"t{number}")


def verify(connection: Connection, secret: str, now: float) -> Principal:
    """Find whom a secret speaks for; raises Unauthenticated without saying what was wrong with it."""
    digest = hashed(secret)
    row = connection.execute(select(_tokens).where(_tokens.c.hash == digest)).mappings().first()
    found = principal(None if row is None else dict(row), digest, now)
    if found is None:
        why = "unknown" if row is None else f"of {row['name']} ({row['number']}) revoked or past its end"
        raise Unauthenticated("This token is not valid.", f"A token was turned away: {why}.")
    return found


def principal(row: Mapping[str, Any] | None, digest: str, now: float) -> Principal | None:
    """Say whom a token's row speaks for; None where it is not the secret's, revoked, or past its end."""
    if row is None or not hmac.compare_digest(row["hash"], digest):
        return None
    if row["revoked"] or 0 < row["until"] <= now:
        return None
    return Principal(row["name"], Role(row["role"]), row["host"])


def tokens(connection: Connection) -> tuple[Token, ...]:
    """List tokens that are not revoked, oldest first."""
    rows = connection.execute(select(_tokens).where(_tokens.c.revoked == 0).order_by(_tokens.c.number))
    return tuple(map(to_token, rows.mappings()))


def revoke_token(connection: Connection, name: str, now: float) -> Token:
    """End a token at once; raises NotFound."""
    token = _token(connection, name)
    mine = _tokens.c.number == token_number(name)
    connection.execute(update(_tokens).where(mine).values(revoked=now))
    return token


def _token(connection: Connection, name: str) -> Token:
    mine = (_tokens.c.number == token_number(name)) & (_tokens.c.revoked == 0)
    row = connection.execute(select(_tokens).where(mine)).mappings().first()
    if row is None:
        raise NotFound(f"There is no token {name!r}.")
    return to_token(row)


def add_exemption(connection: Connection, exemption: Exemption) -> Exemption:
    """Write an exemption; its id is chosen here."""
    values = {
        "scope": dump(exemption.scope),
        "reason": exemption.reason,
        "author": exemption.author,
        "created": exemption.created,
        "until": exemption.until,
        "policies": dump(exemption.policies),
    }
    number = connection.execute(insert(_exemptions).values(values)).inserted_primary_key[0]  # type: ignore[index]
    return to_exemption(_exemption(connection, f"x{number}"))


def revoke_exemption(connection: Connection, name: str, now: float) -> Exemption:
    """End an exemption at once; raises NotFound."""
    row = _exemption(connection, name)
    mine = _exemptions.c.number == exemption_number(name)
    connection.execute(update(_exemptions).where(mine).values(revoked=now))
    return to_exemption(row)


def exemptions(connection: Connection, now: float) -> tuple[Exemption, ...]:
    """List exemptions in force, oldest first."""
    standing = (_exemptions.c.revoked == 0) & ((_exemptions.c.until == 0) | (_exemptions.c.until > now))
    rows = connection.execute(select(_exemptions).where(standing).order_by(_exemptions.c.number))
    return tuple(map(to_exemption, rows.mappings()))


def shift(connection: Connection, delta: float) -> None:
    """Move the ends of exemptions and tokens along with a stepped clock; those past stay past."""
    for table in (_exemptions, _tokens):
        connection.execute(update(table).where(table.c.until > 0).values(until=table.c.until + delta))


def _exemption(connection: Connection, name: str) -> RowMapping:
    mine = (_exemptions.c.number == exemption_number(name)) & (_exemptions.c.revoked == 0)
    row = connection.execute(select(_exemptions).where(mine)).mappings().first()
    if row is None:
        raise NotFound(f"There is no exemption {name!r}.")
    return row
