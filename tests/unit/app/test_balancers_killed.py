"""A keeper is killed between any two steps of a load balancer's life, and whoever asked hears its end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sekisho.client import Client
from sekisho.lab import sockets
from sekisho.lab.openstack.files import toml
from sekisho.lab.openstack.shell import wait
from sekisho.model.access import Role
from sekisho.model.balancer import DirectorReport, Operating, Provisioning, StatusPage
from support_balancers import balancer, members


@contextmanager
def keeper(folder: Path, patience: float = 30.0) -> Iterator[Client]:
    """An administrator's client of a keeper that is killed when the caller is done."""
    listening = sockets.listen(0)
    ours = {"state": str(folder / "state"), "policies": str(folder / "policies")}
    more = {"patience": patience, "statistics": 0.1}
    pairs = {"directors": ["d1", "d2"]}
    told: dict[str, dict[str, object]] = {"keeper": {**ours}, "keeper.balancers": {**more}}
    told["keeper.balancers.pairs.one"] = {**pairs}
    file = toml(folder / "keeper.toml", told)
    argv = [sys.executable, "-m", "sekisho.app.main", "keeper", "--config", str(file)]
    fd = listening.fileno()
    process = subprocess.Popen([*argv, "--listen-fd", str(fd)], pass_fds=(fd,))
    try:
        token = folder / "state" / "tokens" / "admin"
        wait(token.exists, "the first token")
        with Client(f"http://127.0.0.1:{listening.getsockname()[1]}", token.read_text(), 60.0) as client:
            yield client
    finally:
        process.kill()
        process.wait()
        listening.close()


def carry(client: Client, director: Client) -> None:
    """Let the director carry all it is told, and say so."""
    program = director.balancers.program("d1")
    assert program is not None
    names = [b.id for b in program.balancers]
    does = dict.fromkeys(names, Operating.ONLINE)
    director.balancers.report(DirectorReport("d1", program.revision, active=True, operating=does))
    assert client.status().version


def ends(page: StatusPage | None) -> dict[str, Provisioning]:
    assert page is not None
    return {s.id: s.provisioning for s in page.statuses}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_keeper_that_is_killed_at_each_step_ends_what_was_begun(tmp_path: Path) -> None:
    whole = {"lb1", "lb1-l", "lb1-p", "lb1-m1", "lb1-m2", "lb1-h"}
    with keeper(tmp_path) as client:
        _, octavias = client.create_token("octavia", Role.OCTAVIA)
        _, directors = client.create_token("d1", Role.AGENT, "d1")
        with Client(client.url, octavias, 60.0) as octavia:
            octavia.balancers.put(balancer())
    # Killed with the change pending.
    with keeper(tmp_path) as client, Client(client.url, directors, 60.0) as director:
        assert client.balancers.show("lb1").provisioning is Provisioning.PENDING
        carry(client, director)
    # Killed with the end not told.
    with keeper(tmp_path) as client, Client(client.url, octavias, 60.0) as octavia:
        page = octavia.balancers.statuses(None, 5)
        assert ends(page) == dict.fromkeys(whole, Provisioning.ACTIVE)
    # Killed with a page given and not acknowledged.
    with keeper(tmp_path, patience=0.5) as client, Client(client.url, octavias, 60.0) as octavia:
        page = octavia.balancers.statuses(None, 5)
        assert ends(page) == dict.fromkeys(whole, Provisioning.ACTIVE)
        assert page is not None
        octavia.balancers.told(page.revision)
        octavia.balancers.put_object("lb1-p", replace(members("lb1")[0], weight=9))
        # No director is there: it is told as an error in time, and its line is free again.
        late = octavia.balancers.statuses(page.revision, 10)
        assert ends(late) == {
            "lb1-m1": Provisioning.ERROR,
            **dict.fromkeys(("lb1-p", "lb1-l", "lb1"), Provisioning.ACTIVE),
        }
    # Killed with an error that a director mends.
    with keeper(tmp_path) as client, Client(client.url, directors, 60.0) as director:
        carry(client, director)
        assert ends(client.balancers.statuses(None, 5))["lb1-m1"] is Provisioning.ACTIVE
        client.balancers.delete("lb1", cascade=True)
    with keeper(tmp_path) as client, Client(client.url, directors, 60.0) as director:
        carry(client, director)
        assert ends(client.balancers.statuses(None, 5)) == dict.fromkeys(whole, Provisioning.DELETED)
        assert client.balancers.list() == ()
        verbs = {line.verb for line in client.journal(subject="lb1")}
        assert verbs == {"balancer-put", "balancer-carry", "balancer-fail", "balancer-delete"}
