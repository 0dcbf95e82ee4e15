"""One method per operation of the API."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from sekisho.client.balancers import Balancers
from sekisho.client.bounds import pages
from sekisho.client.connections import Connections, Request
from sekisho.client.flows import Flows
from sekisho.client.problems import Answer, checked, fitting, let_go
from sekisho.client.switches import Switches
from sekisho.model.access import Role, Token, WhoAmI
from sekisho.model.attachment import Attachment, HostVlans
from sekisho.model.errors import Malformed
from sekisho.model.inventory import HostReport, Inventory, Subject
from sekisho.model.notice import Letter
from sekisho.model.plain import to_plain
from sekisho.model.policy import Exemption, Scope
from sekisho.model.release import OwnView
from sekisho.model.report import (
    CollectorReport,
    Enforcement,
    Explanation,
    HostProgram,
    HostStatus,
    PolicyView,
    PortCounter,
    Status,
    Talker,
    Verdict,
)
from sekisho.model.restriction import Evidence, JournalEntry, Receipt, Restriction, State

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sekisho.model.cloud import CloudPort
    from sekisho.model.notice import LetterState
    from sekisho.model.policy import Action, Mode

T = TypeVar("T")


class SignsIn(Protocol):
    """Whoever gives Keystone's tokens; `renew` when the last one is not taken any more."""

    def __call__(self, *, renew: bool = False) -> str:
        """Give a token, another one if told so."""
        ...


NOTHING = ("", None)


class Client:
    """Speaks to the keeper at `url` (http or https, a path in front is kept) with a bearer token.

    `timeout` is in seconds for each step of a request; a long poll adds its `wait`, and a whole answer
    takes at most six times that, and a quarter of a gigabyte. Every method
    raises errors of `sekisho.model.errors`: Unavailable when nobody answered. Writes that take a
    `key` make one up when none is given, so that a repeated request is never carried out twice.
    `context` is for https with an authority of one's own. `keystone` gives Keystone's token instead of
    a bearer token, and is asked for another one (``renew=True``) once the keeper does not take it.
    `token_file` is where the bearer token came from: it is read again once the keeper does not take it,
    so that a token is changed without a restart of who uses it.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        timeout: float = 10.0,
        context: ssl.SSLContext | None = None,
        *,
        keystone: SignsIn | None = None,
        token_file: Path | None = None,
    ) -> None:
        try:
            parts = urlsplit(url)
            there = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # brackets without an end, a port beyond all ports
            there = None
        if not there:
            raise Malformed(f"{url!r} is no address of a keeper; write it as http://HOST:PORT.")
        self.url = url.rstrip("/")
        self._path = parts.path.rstrip("/")
        self._token = token.strip()
        self._keystone = keystone
        self._token_file = token_file
        self._timeout = timeout
        self._connections = Connections(url, context)
        self.switches = Switches(self._send, _plain_json)
        self.balancers = Balancers(self._send, _plain_json)
        self.flows = Flows(self._send, _plain_json)

    def close(self) -> None:
        """Close every connection; whoever still waits for an answer gets Unavailable."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- reading ---------------------------------------------------------------------------------

    def ready(self) -> tuple[str, ...]:
        """List what is not ready; empty when all is well. Needs no token."""
        answer = self._send("GET", "/readyz")
        return () if answer.status == 200 else fitting(tuple[str, ...], _part(answer.json(), "problems"))

    def metrics(self) -> str:
        """Give the metrics in Prometheus' text format."""
        return checked(self._send("GET", "/metrics")).body.decode()

    def whoami(self) -> WhoAmI:
        """Say who asks, and what that allows."""
        return self._get(WhoAmI, "whoami")

    def own(self) -> OwnView:
        """Show the asker's project itself; Forbidden for who is of none."""
        return self._get(OwnView, "self")

    def status(self) -> Status:
        """Sum up the keeper."""
        return self._get(Status, "status")

    def hosts(self) -> tuple[HostStatus, ...]:
        """List all hosts as the keeper knows them."""
        return tuple(self._pages(HostStatus, "hosts", {}, 1000))

    def forget_host(self, host: str) -> None:
        """Let a host that does not report any more be forgotten; Conflict while it does."""
        self._json("DELETE", f"hosts/{_name(host)}")

    def subjects(
        self,
        host: str = "",
        project: str = "",
        text: str = "",
        limit: int = 100,
        flavor: str = "",
        plan: str = "",
    ) -> Iterator[Subject]:
        """Go through subjects, `limit` to a page."""
        query = {"host": host, "project": project, "text": text, "flavor": flavor, "plan": plan}
        return self._pages(Subject, "subjects", query, limit)

    def subject(self, subject: str) -> Subject:
        """Find one subject."""
        return self._get(Subject, f"subjects/{quote(subject)}")

    def explain(self, subject: str) -> Explanation:
        """Say why a subject is treated as it is."""
        return self._get(Explanation, f"subjects/{quote(subject)}/explain")

    def top(self, by: str = "egress_bps", limit: int = 20) -> tuple[Talker, ...]:
        """List the greatest talkers by one of Talker's rates."""
        answer = self._json("GET", "top", {"by": by, "limit": limit})
        return fitting(tuple[Talker, ...], _part(answer, "items"))

    def restrictions(
        self,
        subject: str = "",
        policy: str = "",
        states: Sequence[State] = (),
        limit: int = 100,
        *,
        project: str = "",
        since: int | None = None,
        before: str = "",
    ) -> Iterator[Restriction]:
        """Go through restrictions, newest first, `limit` to a page; no states means all of them.

        `since` is a revision after which they changed, `before` one than which they are older.
        """
        query = {
            "subject": subject,
            "policy": policy,
            "state": [State(s).value for s in states],
            "project": project,
            "since": since,
            "before": before,
        }
        return self._pages(Restriction, "restrictions", query, limit)

    def restriction(self, restriction: str) -> Restriction:
        """Find one restriction."""
        return self._get(Restriction, f"restrictions/{_name(restriction)}")

    def journal(self, restriction: str = "", subject: str = "", limit: int = 100) -> Iterator[JournalEntry]:
        """Go through the journal, `limit` to a page."""
        return self._pages(JournalEntry, "journal", {"restriction": restriction, "subject": subject}, limit)

    def policies(self) -> PolicyView:
        """Give the policies and baselines in force."""
        return self._get(PolicyView, "policies")

    def exemptions(self) -> tuple[Exemption, ...]:
        """List all exemptions."""
        return tuple(self._pages(Exemption, "exemptions", {}, 1000))

    def enforcement(self) -> Enforcement:
        """Tell how the kill switch stands."""
        return self._get(Enforcement, "enforcement")

    # --- deciding --------------------------------------------------------------------------------

    def impose(
        self, subject: str, actions: Sequence[Action], reason: str, duration: float, key: str = ""
    ) -> Restriction:
        """Bind a subject by hand for `duration` seconds; no actions is a warning."""
        body = {"subject": subject, "actions": tuple(actions), "reason": reason, "duration": duration}
        return self._write(Restriction, "restrictions", body, key)

    def extend(
        self, restriction: str, duration: float, reason: str, revision: int | None = None, key: str = ""
    ) -> Restriction:
        """Let it end `duration` seconds from now; Conflict when `revision` is given and not its own."""
        match = {} if revision is None else {"If-Match": f'"{revision}"'}
        body = {"duration": duration, "reason": reason}
        return self._write(Restriction, f"restrictions/{_name(restriction)}/extend", body, key, match)

    def lift(self, restriction: str, reason: str, key: str = "") -> Restriction:
        """End a restriction now."""
        return self._write(Restriction, f"restrictions/{_name(restriction)}/lift", {"reason": reason}, key)

    def release(self, restriction: str, reason: str, key: str = "") -> Restriction:
        """End a restriction of the asker's own project early; Forbidden says why it may not be."""
        path = f"self/restrictions/{_name(restriction)}/release"
        return self._write(Restriction, path, {"reason": reason}, key)

    def approve(self, restriction: str, reason: str = "", key: str = "") -> Restriction:
        """Put a proposal in force."""
        return self._write(Restriction, f"restrictions/{_name(restriction)}/approve", {"reason": reason}, key)

    def reject(self, restriction: str, reason: str = "", key: str = "") -> Restriction:
        """Turn a proposal down."""
        return self._write(Restriction, f"restrictions/{_name(restriction)}/reject", {"reason": reason}, key)

    def check_policies(self, text: str) -> tuple[str, ...]:
        """List every problem of a policy file's text; empty when it is good."""
        answer = self._send("POST", "/v1/policies/check", raw=text.encode(), repeatable=True)
        return fitting(tuple[str, ...], _part(checked(answer).json(), "problems"))

    def reload_policies(self) -> PolicyView:
        """Read the policy files anew; with problems the old ones stay in force."""
        return fitting(PolicyView, self._json("POST", "policies/reload"))

    def exempt(
        self, scope: Scope, reason: str, duration: float = 0.0, policies: Sequence[str] = (), key: str = ""
    ) -> Exemption:
        """Exempt a scope from policies (all when none are named); duration 0 is without end."""
        body = {"scope": scope, "reason": reason, "duration": duration, "policies": tuple(policies)}
        return self._write(Exemption, "exemptions", body, key)

    def revoke_exemption(self, exemption: str, reason: str = "") -> None:
        """End an exemption."""
        self._json("DELETE", f"exemptions/{_name(exemption)}", {"reason": reason})

    def set_mode(self, policy: str, mode: Mode | None, reason: str) -> PolicyView:
        """Turn a policy's mode over what its file says; None turns it back."""
        path = f"policies/{_name(policy)}/mode"
        if mode is None:
            return fitting(PolicyView, self._json("DELETE", path, {"reason": reason}))
        return fitting(PolicyView, self._json("PUT", path, body={"mode": mode, "reason": reason}))

    def enforce(self, *, enabled: bool, reason: str) -> Enforcement:
        """Turn the kill switch: off lifts everything automatic."""
        body = {"enabled": enabled, "reason": reason}
        return fitting(Enforcement, self._json("PUT", "enforcement", body=body))

    def notices(self, states: Sequence[LetterState] = (), channel: str = "") -> Iterator[Letter]:
        """List letters to people, newest first, page by page."""
        query = {"state": [s.value for s in states], "channel": channel}
        return self._pages(Letter, "notices", query, 1000)

    def retry_notice(self, letter: str) -> Letter:
        """Let a dead letter be tried again."""
        return fitting(Letter, self._json("POST", f"notices/{_name(letter)}/retry"))

    def test_notice(self, channel: str) -> None:
        """Send a test letter to a channel."""
        self._json("POST", "notices/test", body={"channel": channel})

    def tokens(self) -> tuple[Token, ...]:
        """List all tokens; never their secrets."""
        return tuple(self._pages(Token, "tokens", {}, 1000))

    def create_token(self, name: str, role: Role, host: str = "", duration: float = 0.0) -> tuple[Token, str]:
        """Make a token; the second of the pair is the secret, told this once. Duration 0 is without end."""
        body = {"name": name, "role": role, "host": host, "duration": duration}
        answer = self._json("POST", "tokens", body=body)
        return fitting(Token, _part(answer, "token")), fitting(str, _part(answer, "secret"))

    def revoke_token(self, token: str) -> None:
        """End a token."""
        self._json("DELETE", f"tokens/{_name(token)}")

    # --- agents and collectors -------------------------------------------------------------------

    def inventory(self, version: int | None = None, wait: float = 0.0) -> Inventory | None:
        """Give the inventory; None when it still is `version` after `wait` seconds."""
        return self._follow(Inventory, "inventory", {"version": version, "wait": wait})

    def follow_policies(self, version: int | None = None, wait: float = 0.0) -> PolicyView | None:
        """Give the policies; None when they still are `version` after `wait` seconds."""
        return self._follow(PolicyView, "policies", {"version": version, "wait": wait})

    def report_host(self, report: HostReport) -> HostProgram:
        """Tell all about a host; learn what it must carry."""
        answer = self._json("PUT", f"hosts/{_name(report.host.name)}", body=report)
        return fitting(HostProgram, answer)

    def program(self, host: str, revision: int | None = None, wait: float = 0.0) -> HostProgram | None:
        """Say what a host must carry; None when that still is `revision` after `wait` seconds."""
        path = f"hosts/{_name(host)}/program"
        return self._follow(HostProgram, path, {"revision": revision, "wait": wait})

    def receipts(self, host: str, applied: int, receipts: Sequence[Receipt] = (), problem: str = "") -> None:
        """Tell what a host did: the revision it carries, a receipt per restriction, what is wrong."""
        body = {"applied": applied, "receipts": tuple(receipts), "problem": problem}
        self._json("POST", f"hosts/{_name(host)}/receipts", body=body)

    def report_port(self, port: CloudPort) -> None:
        """Tell what the cloud knows of a port."""
        self._json("PUT", f"cloud/ports/{_name(port.id)}", body=port)

    def forget_port(self, port: str) -> None:
        """Tell that the cloud has a port no more; of one that nobody knew, too."""
        self._json("DELETE", f"cloud/ports/{_name(port)}")

    def report_vlans(self, host: str, vlans: HostVlans) -> None:
        """Tell all VLANs that a host's servers are in; none when the last one has left."""
        self._json("PUT", f"hosts/{_name(host)}/vlans", body=vlans)

    def attachments(self) -> tuple[Attachment, ...]:
        """List the hosts that are in VLANs, and which switches carry them."""
        return tuple(self._pages(Attachment, "attachments", {}, 1000))

    def report_counters(self, host: str, counters: Sequence[PortCounter]) -> None:
        """Tell how many bytes each port of a host has sent and got since its counters began."""
        self._json("PUT", f"hosts/{_name(host)}/counters", body=tuple(counters))

    def evidence(self, evidence: Sequence[Evidence]) -> tuple[Verdict, ...]:
        """Hand in evidence; learn what became of each piece, in the same order."""
        return fitting(tuple[Verdict, ...], self._json("POST", "evidence", body=tuple(evidence)))

    def report_collector(self, report: CollectorReport) -> None:
        """Tell how a collector fares."""
        self._json("PUT", f"collectors/{_name(report.name)}", body=report)

    # --- inside ----------------------------------------------------------------------------------

    def _get(self, kind: type[T], path: str) -> T:
        return fitting(kind, self._json("GET", path))

    def _write(
        self, kind: type[T], path: str, body: object, key: str, headers: Mapping[str, str] | None = None
    ) -> T:
        keyed = {**(headers or {}), "Idempotency-Key": key or uuid.uuid4().hex}
        return fitting(kind, self._json("POST", path, body=body, headers=keyed))

    def _follow(self, kind: type[T], path: str, query: Mapping[str, Any]) -> T | None:
        answer = self._send("GET", f"/v1/{path}", query, wait=query["wait"])
        if answer.status == 304:
            return None
        read = checked(answer).json()
        try:
            return fitting(kind, read)
        finally:
            let_go(read)

    def _pages(self, kind: type[T], path: str, query: Mapping[str, Any], limit: int) -> Iterator[T]:
        def ask(marker: str) -> Any:
            return self._json("GET", path, {**query, "limit": limit, "marker": marker})

        for items in pages(ask):
            yield from (fitting(kind, item) for item in items)

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        raw = None if body is None else _plain_json(body)
        answer = checked(self._send(method, f"/v1/{path}", query, raw, headers))
        return answer.json() if answer.body else None

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        wait: float = 0.0,
        repeatable: bool = False,
    ) -> Answer:
        asked = {k: v for k, v in (query or {}).items() if v not in NOTHING}
        more = {**(headers or {}), **self._signed()}
        if raw is not None:
            more["Content-Type"] = "text/plain; charset=utf-8" if repeatable else "application/json"
        request = Request(
            method=method,
            target=f"{self._path}{path}" + (f"?{urlencode(asked, doseq=True)}" if asked else ""),
            headers=more,
            body=raw,
            timeout=self._timeout + wait,
            # A PUT replaces the whole with the same again: repeating it changes nothing.
            repeatable=repeatable or method in ("GET", "PUT") or "Idempotency-Key" in more,
        )
        answer = self._connections.deliver(request)
        if answer.status != 401:
            return answer
        signed = self._signed(renew=True)
        if signed.items() <= more.items():
            return answer
        # Refused before anything was done: to ask again, whatever it is, does nothing twice.
        return self._connections.deliver(replace(request, headers={**request.headers, **signed}))

    def _signed(self, *, renew: bool = False) -> dict[str, str]:
        """Give the header that says who asks."""
        if self._keystone is not None:
            return {"X-Auth-Token": self._keystone(renew=renew)}
        if renew and self._token_file is not None:
            # A file that is gone or being written gives no other token; the refusal says the rest.
            with suppress(OSError, UnicodeError):
                self._token = self._token_file.read_text(encoding="utf-8").strip() or self._token
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}


def _name(text: str) -> str:
    return quote(text, safe="")


def _plain_json(body: object) -> bytes:
    try:
        return json.dumps(to_plain(body), allow_nan=False).encode()
    except ValueError as error:
        raise Malformed("A number to be sent is not finite.") from error


def _part(answer: object, name: str) -> object:
    return answer.get(name) if isinstance(answer, dict) else None
