"""Routes that decide: impose, extend, lift, approve, exempt, and the kill switch."""

from typing import Annotated

from fastapi import Depends, Query, Response

from sekisho.api import own
from sekisho.api.access import ADMIN, DECIDE, MEMBER, OPERATE, Asker, TheKeeper
from sekisho.api.bodies import (
    Enforce,
    Exempt,
    Extend,
    Impose,
    MaybeWhy,
    NewToken,
    Problems,
    TokenMade,
    Turn,
    Why,
    json_body,
    text_body,
)
from sekisho.api.fields import IfMatch, Key, etag, revision
from sekisho.api.problems import StaleMatch
from sekisho.api.routes import Routes
from sekisho.model.access import Role
from sekisho.model.errors import Conflict, Malformed
from sekisho.model.policy import Action, Exemption, unfit
from sekisho.model.report import Enforcement, PolicyView
from sekisho.model.restriction import Restriction

DECIDING = Routes()

WhyBody = Annotated[Why, Depends(json_body(Why))]
MaybeWhyBody = Annotated[MaybeWhy, Depends(json_body(MaybeWhy))]


@DECIDING.add("POST", "/v1/restrictions", DECIDE, Restriction, body=Impose, status=201)
def impose(
    response: Response,
    keeper: TheKeeper,
    who: Asker,
    body: Annotated[Impose, Depends(json_body(Impose))],
    key: Key = "",
) -> Restriction:
    """Bind a subject by hand."""
    _need_fit(body.actions)
    made = keeper.impose(who, body.subject, body.actions, body.reason, body.duration, key)
    response.headers["Location"] = f"/v1/restrictions/{made.id}"
    return _tagged(response, made)


@DECIDING.add("POST", "/v1/restrictions/{restriction}/extend", DECIDE, Restriction, body=Extend)
def extend(
    response: Response,
    keeper: TheKeeper,
    who: Asker,
    restriction: str,
    body: Annotated[Extend, Depends(json_body(Extend))],
    match: IfMatch = "",
    key: Key = "",
) -> Restriction:
    """Let a restriction end `duration` seconds from now; with If-Match, only the one you saw."""
    seen = revision(match)
    try:
        changed = keeper.extend(who, restriction, body.duration, body.reason, seen, key)
    except Conflict as error:
        if seen is not None and keeper.restriction(restriction).revision != seen:
            raise StaleMatch(error.asker, error.fixer) from error
        raise
    return _tagged(response, changed)


@DECIDING.add("POST", "/v1/restrictions/{restriction}/lift", DECIDE, Restriction, body=Why)
def lift(
    response: Response, keeper: TheKeeper, who: Asker, restriction: str, body: WhyBody, key: Key = ""
) -> Restriction:
    """End a restriction now."""
    return _tagged(response, keeper.lift(who, restriction, body.reason, key))


@DECIDING.add("POST", "/v1/restrictions/{restriction}/approve", DECIDE, Restriction, body=MaybeWhy)
def approve(
    response: Response, keeper: TheKeeper, who: Asker, restriction: str, body: MaybeWhyBody, key: Key = ""
) -> Restriction:
    """Put a proposal in force."""
    return _tagged(response, keeper.approve(who, restriction, body.reason, key))


@DECIDING.add("POST", "/v1/restrictions/{restriction}/reject", DECIDE, Restriction, body=MaybeWhy)
def reject(
    response: Response, keeper: TheKeeper, who: Asker, restriction: str, body: MaybeWhyBody, key: Key = ""
) -> Restriction:
    """Turn a proposal down."""
    return _tagged(response, keeper.reject(who, restriction, body.reason, key))


@DECIDING.add("POST", "/v1/self/restrictions/{restriction}/release", MEMBER, Restriction, body=Why)
def release(
    response: Response, keeper: TheKeeper, who: Asker, restriction: str, body: WhyBody, key: Key = ""
) -> Restriction:
    """End a restriction of one's own early, where its policy lets its owner: say what was mended."""
    ended = keeper.release(who, restriction, body.reason, key)
    return _tagged(response, own.restriction(who, restriction, ended))


@DECIDING.add("POST", "/v1/policies/check", OPERATE, Problems, body=str)
def check_policies(keeper: TheKeeper, text: Annotated[str, Depends(text_body)]) -> Problems:
    """List every problem of a policy file, given as plain text."""
    return Problems(keeper.check_policies(text))


@DECIDING.add("POST", "/v1/policies/reload", OPERATE, PolicyView)
def reload_policies(keeper: TheKeeper, who: Asker) -> PolicyView:
    """Read the policy files anew; with problems the old ones stay in force."""
    return keeper.reload_policies(who)


@DECIDING.add("PUT", "/v1/policies/{policy}/mode", OPERATE, PolicyView, body=Turn)
def turn_policy(
    keeper: TheKeeper, who: Asker, policy: str, body: Annotated[Turn, Depends(json_body(Turn))]
) -> PolicyView:
    """Turn a policy's mode over what its file says, until it is turned back."""
    return keeper.set_mode(who, policy, body.mode, body.reason, body.version)


@DECIDING.add("DELETE", "/v1/policies/{policy}/mode", OPERATE, PolicyView)
def turn_policy_back(
    keeper: TheKeeper, who: Asker, policy: str, reason: Annotated[str, Query(max_length=2000)] = ""
) -> PolicyView:
    """Let a policy's mode be as its file says again."""
    return keeper.set_mode(who, policy, None, reason, None)


@DECIDING.add("POST", "/v1/exemptions", OPERATE, Exemption, body=Exempt, status=201)
def exempt(
    keeper: TheKeeper, who: Asker, body: Annotated[Exempt, Depends(json_body(Exempt))], key: Key = ""
) -> Exemption:
    """Exempt a scope."""
    return keeper.exempt(who, body.scope, body.reason, body.duration, body.policies, key)


@DECIDING.add("DELETE", "/v1/exemptions/{exemption}", OPERATE, status=204)
def revoke_exemption(
    keeper: TheKeeper, who: Asker, exemption: str, reason: Annotated[str, Query(max_length=2000)] = ""
) -> None:
    """End an exemption."""
    keeper.revoke_exemption(who, exemption, reason)


@DECIDING.add("DELETE", "/v1/hosts/{host}", OPERATE, status=204)
def forget_host(keeper: TheKeeper, who: Asker, host: str) -> None:
    """Forget a host that does not report any more."""
    keeper.forget_host(who, host)


@DECIDING.add("PUT", "/v1/enforcement", ADMIN, Enforcement, body=Enforce)
def enforce(
    keeper: TheKeeper, who: Asker, body: Annotated[Enforce, Depends(json_body(Enforce))]
) -> Enforcement:
    """Turn the kill switch: off lifts everything automatic and keeps what people imposed."""
    return keeper.enforce(who, enabled=body.enabled, reason=body.reason)


@DECIDING.add("POST", "/v1/tokens", ADMIN, TokenMade, body=NewToken, status=201)
def create_token(
    keeper: TheKeeper, who: Asker, body: Annotated[NewToken, Depends(json_body(NewToken))]
) -> TokenMade:
    """Make a token; its secret is told this once."""
    if body.host and body.role is not Role.AGENT:
        raise Malformed(
            "Only an agent's token is bound to a host.", problems=("host: leave it out, or take role agent.",)
        )
    if body.role is Role.MEMBER:
        raise Malformed(
            "Members sign in through Keystone.", problems=("role: members come from Keystone only.",)
        )
    return TokenMade(*keeper.create_token(who, body.name, body.role, body.host, body.duration))


@DECIDING.add("DELETE", "/v1/tokens/{token}", ADMIN, status=204)
def revoke_token(keeper: TheKeeper, who: Asker, token: str) -> None:
    """End a token."""
    keeper.revoke_token(who, token)


def _tagged(response: Response, restriction: Restriction) -> Restriction:
    response.headers["ETag"] = etag(restriction.revision)
    return restriction


def _need_fit(actions: tuple[Action, ...]) -> None:
    """Refuse what would be written down and then carried by no switch."""
    found = [(i, unfit(action)) for i, action in enumerate(actions)]
    problems = tuple(f"actions[{i}]: {why}" for i, why in found if why)
    if problems:
        raise Malformed("No switch can carry what was asked for.", problems=problems)
