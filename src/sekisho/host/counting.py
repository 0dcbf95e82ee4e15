"""The agent's counting: tells the keeper, now and then, how many bytes each port has sent and got."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.devices.vswitch.counters import read_counters
from sekisho.host.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sekisho.client import Client
    from sekisho.host.agent import Agent, AgentSettings
    from sekisho.model.inventory import Subject


def spawn_counting(
    settings: AgentSettings,
    client: Client,
    subjects: Callable[[], Sequence[Subject]],
    worker: Agent,
    database: str = "",
) -> None:
    """Tell counters in a thread of its own, every `volumes_every` seconds, unless that is 0.

    `database` is where the switch's answers, other than in its `run_dir`.
    """
    if settings.volumes_every <= 0:
        return
    remote = database or str(Path(settings.run_dir) / "db.sock")

    def tell() -> None:
        if not worker.stop.wait(settings.volumes_every):
            counters = read_counters(remote, subjects(), settings.timeout)
            client.report_counters(settings.host, counters)

    spawn(worker.stop, worker.troubles, "telling counters", tell)
