"""What a thousand agents cost a keeper, and how soon one of them hears of a restriction.

    python bench/keeper_agents.py [--agents N] [--subjects N] [--restricted N] [--seconds S] [--imposed N]

A real `sekisho keeper` over HTTP, and agents that talk to it as real ones do: a report and a receipt every
30 seconds (a receipt every 5 where something is in force), a long poll of 30 seconds all the time. CPU and
memory are the keeper's alone. Then restrictions are imposed one by one: a latency is from asking the API to
the last byte of the answer to the long poll of that subject's host.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sekisho.client import Client
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.plain import to_plain
from sekisho.model.policy import Direction, Drop, Protocol

ROOT: Final = Path(__file__).parents[1]
SMTP: Final = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
EVERY: Final = 30.0
COUNTERS: Final = 5.0
WAIT: Final = 30.0


@dataclass(slots=True)
class Asker:
    """One kept connection to the keeper."""

    port: int
    token: str
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request and give status and JSON."""
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        sent = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: k\r\nAuthorization: Bearer {self.token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
        writer.write(head.encode() + sent)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        status = int(lines[0].split()[1])
        length = next((int(x.split(":")[1]) for x in lines if x.startswith("content-length")), 0)
        raw = await reader.readexactly(length)
        return status, json.loads(raw) if raw else None


@dataclass(slots=True)
class Agent:
    """One host: follows its program, tells the rest every now and then."""

    name: str
    port: int
    token: str
    subjects: tuple[Subject, ...]
    heard: dict[str, float]  # when each restriction was first heard of
    revision: int = -1
    bound: list[dict[str, Any]] = field(default_factory=list)

    async def run(self, begin: float) -> None:
        """Go on until cancelled; agents do not all begin at once."""
        await asyncio.sleep(begin)
        asker = Asker(self.port, self.token)
        await self._report(asker)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._tell(asker))

    async def _report(self, asker: Asker) -> None:
        body = to_plain(HostReport(Host(self.name), self.subjects))
        status, program = await asker.ask("PUT", f"/v1/hosts/{self.name}", body)
        assert status == 200, status  # noqa: S101 - a bench that is answered otherwise measures nothing
        self._learn(program)

    async def _follow(self) -> None:
        asker = Asker(self.port, self.token)
        while True:
            path = f"/v1/hosts/{self.name}/program?revision={self.revision}&wait={WAIT}"
            status, program = await asker.ask("GET", path)
            if status == 200:
                self._learn(program)

    async def _tell(self, asker: Asker) -> None:
        passed = 0.0
        while True:
            pause = COUNTERS if self.bound else EVERY
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))
            passed += pause
            now = time.time()
            told = [
                {
                    "restriction": b["restriction"],
                    "subject": b["subject"],
                    "host": self.name,
                    "in_force": True,
                }
                | {"time": now, "dropped_packets": int(now), "dropped_bytes": 60 * int(now)}
                for b in self.bound
            ]
            body = {"applied": self.revision, "receipts": told}
            await asker.ask("POST", f"/v1/hosts/{self.name}/receipts", body)
            if passed >= EVERY:
                passed = 0.0
                await self._report(asker)

    def _learn(self, program: dict[str, Any]) -> None:
        now = time.perf_counter()
        self.revision, self.bound = program["revision"], program["bindings"]
        for binding in self.bound:
            self.heard.setdefault(binding["restriction"], now)


@dataclass(slots=True)
class Usage:
    """What a process used: seconds of CPU, and the most memory it ever had, in MiB."""

    cpu: float
    resident: float

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Read /proc."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        status = Path(f"/proc/{pid}/status").read_text()
        peak = next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM"))
        return cls(ticks / os.sysconf("SC_CLK_TCK"), peak / 1024)


async def measure(
    options: argparse.Namespace, process: subprocess.Popen[bytes], client: Client
) -> dict[str, float]:
    """Let all agents come, wait, and impose."""
    token = (Path(options.state) / "tokens" / "admin").read_text().strip()
    heard: dict[str, float] = {}
    names = [f"h{i:04}" for i in range(options.agents)]
    agents = [
        Agent(n, options.port, token, tuple(_subject(n, i) for i in range(options.subjects)), heard)
        for n in names
    ]
    began = Usage.of(process.pid)
    spread = max(5.0, options.agents / 50)
    tasks = [asyncio.create_task(a.run(random.uniform(0, spread))) for a in agents]
    await asyncio.sleep(spread + 5)
    while (await asyncio.to_thread(client.status)).subjects < options.agents * options.subjects:  # noqa: ASYNC110 - asked over HTTP
        await asyncio.sleep(1)
    came = Usage.of(process.pid)
    for number in range(options.restricted):
        await asyncio.to_thread(_impose, client, f"{names[number % len(names)]}-p0")
    await asyncio.sleep(EVERY)
    before, start = Usage.of(process.pid), time.perf_counter()
    await asyncio.sleep(options.seconds)
    after, passed = Usage.of(process.pid), time.perf_counter() - start
    took = [await _latency(client, f"{random.choice(names)}-p1", heard) for _ in range(options.imposed)]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    told, answered = [t[0] for t in took], [t[1] for t in took]
    return {
        "agents": options.agents,
        "subjects": options.agents * options.subjects,
        "restricted": options.restricted,
        "arrival_cpu_seconds": round(came.cpu - began.cpu, 2),
        "cpu_percent_of_a_core": round(100 * (after.cpu - before.cpu) / passed, 1),
        "resident_mib": round(Usage.of(process.pid).resident),
        "latency_p50_ms": round(1000 * statistics.median(told), 1),
        "latency_p99_ms": round(1000 * statistics.quantiles(told, n=100)[98], 1),
        "of_that_api_p99_ms": round(1000 * statistics.quantiles(answered, n=100)[98], 1),
    }


async def _latency(client: Client, subject: str, heard: dict[str, float]) -> tuple[float, float]:
    """Give the seconds until the host heard of it, and until the API answered."""
    await asyncio.sleep(random.uniform(0.02, 0.08))
    start = time.perf_counter()
    made = await asyncio.to_thread(_impose, client, subject)
    answered = time.perf_counter() - start
    while made not in heard:  # noqa: ASYNC110 - a glance each millisecond is finer than what is measured
        await asyncio.sleep(0.001)
    return heard[made] - start, answered


def _impose(client: Client, subject: str) -> str:
    return client.impose(subject, (SMTP,), "measuring", 3600.0).id


def _subject(host: str, number: int) -> Subject:
    address = f"10.{random.randrange(256)}.{random.randrange(256)}.{number + 1}"
    return Subject(
        f"{host}-p{number}", host, "acme", f"vm-{host}-{number}", "net", "fa:16:3e:00:00:01", (address,),
        interface=f"tap{number}", bridge="br-int", ifindex=number + 10, ofport=number + 1, vlan=1,
    )  # fmt: skip


def main() -> None:
    """Start a keeper, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--subjects", type=int, default=10, help="on each host")
    parser.add_argument(
        "--restricted", type=int, default=100, help="how many hosts have a restriction in force"
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--imposed", type=int, default=200)
    parser.add_argument("--port", type=int, default=18790)
    parser.add_argument("--profile", default="", help="write a profile of the keeper there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.state = str(Path(folder) / "state")
        settings = Path(folder) / "sekisho.toml"
        settings.write_text(
            f'[keeper]\nstate = "{options.state}"\npolicies = "{ROOT / "policies"}"\n'
            f"[keeper.api]\nport = {options.port}\n[keeper.guard]\nper_hour_cloud = 100000\n"
        )
        profiled = ["-m", "cProfile", "-o", options.profile] if options.profile else []
        argv = [sys.executable, *profiled, "-m", "sekisho.app.main", "keeper", "--config", str(settings)]
        process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        try:
            found = asyncio.run(measure(options, process, _client(options)))
        finally:
            process.terminate()
            process.wait()
    print(json.dumps(found) if options.json else "\n".join(f"{k:24} {v:,}" for k, v in found.items()))


def _client(options: argparse.Namespace) -> Client:
    """Wait until the keeper answers."""
    file = Path(options.state) / "tokens" / "admin"
    while not file.exists() or not file.read_text():
        time.sleep(0.1)
    client = Client(f"http://127.0.0.1:{options.port}", file.read_text().strip(), 60.0)
    while True:
        try:
            client.status()
        except Exception:  # noqa: BLE001 - it is starting
            time.sleep(0.1)
        else:
            return client


if __name__ == "__main__":
    main()
