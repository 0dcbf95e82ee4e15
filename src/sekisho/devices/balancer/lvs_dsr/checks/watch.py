"""Every target asked on its beat, each change of mind told: one asyncio loop in a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import logging
import queue
import ssl
import threading
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from sekisho.devices.balancer.lvs_dsr.checks.asks import ASKS
from sekisho.devices.balancer.lvs_dsr.checks.count import Count
from sekisho.devices.balancer.lvs_dsr.checks.post import Post, source_for
from sekisho.model.balancer import Check
from sekisho.model.balancer import Protocol as Takes
from sekisho.model.errors import SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from sekisho.devices.balancer.lvs_dsr.checks.neighbours import Neighbours
    from sekisho.devices.balancer.lvs_dsr.roles import Target

log = logging.getLogger("sekisho.director")

LOOK_AGAIN: Final = 0.05
# Who hears an answer's time run out so many seconds late was busy, and may have missed the answer.
LATE: Final = 0.5
# Each round may ask this many at once; more would only wait for the same core, and be late for it.
AT_ONCE: Final = 512
FEW: Final = 50
OURS: Final = frozenset(
    (
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EPERM,
        errno.EADDRNOTAVAIL,
        errno.ENETDOWN,
    )
)


class Judge(Protocol):
    """Whoever is told of a change of mind."""

    def __call__(self, member: str, *, alive: bool) -> None:
        """Take it down."""
        ...


class Watch:
    """Asks members on a loop of its own, started at once. With `hearing`, also whether they hear the VIP."""

    def __init__(self, neighbours: Neighbours, *, hearing: bool = True) -> None:
        self._neighbours = neighbours
        self._hearing = hearing
        self._judge: Judge | None = None
        self._tasks: dict[str, dict[str, tuple[Target, asyncio.Task[None]]]] = {}
        self._counts: dict[str, Count] = {}
        self.reasons: dict[str, str] = {}  # why a member is down, by member id
        self._loop = asyncio.new_event_loop()
        self._verdicts: queue.SimpleQueue[tuple[str, bool] | None] = queue.SimpleQueue()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self.trouble = ""  # what keeps us from asking
        self._closing = threading.Lock()
        self._is_closed = False
        self._post = self._loop.run_until_complete(_post())
        self._thread = threading.Thread(target=self._run, name="checks", daemon=True)
        self._thread.start()
        threading.Thread(target=self._tell, name="verdicts", daemon=True).start()

    def tell(self, judge: Judge) -> None:
        """Say who is told."""
        self._judge = judge

    def watch(self, balancer: str, targets: Sequence[Target]) -> None:
        """Ask these of a balancer from now on and no others; what goes on keeps its count."""
        self._loop.call_soon_threadsafe(self._change, balancer, {t.member: t for t in targets})

    def close(self) -> None:
        """Ask nobody any more, and wait for the loop's end; whoever comes later waits with the first one."""
        with self._closing:
            # Told twice to stop, the loop would not even end what it stopped.
            first, self._is_closed = not self._is_closed, True
        if first:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._verdicts.put(None)
        self._thread.join(5.0)

    def _tell(self) -> None:
        """Hand verdicts over where that holds up no answer."""
        while (verdict := self._verdicts.get()) is not None:
            if self._judge:
                try:
                    self._judge(verdict[0], alive=verdict[1])
                except SekishoError as error:
                    # it has been taken down, and is carried with the next turn
                    log.warning("member %s: %s", verdict[0], error.fixer)

    # --- on the loop ------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._post.close()
            self._loop.close()

    def _change(self, balancer: str, wanted: dict[str, Target]) -> None:
        there = self._tasks.pop(balancer, {})
        kept: dict[str, tuple[Target, asyncio.Task[None]]] = {}
        for member, (target, task) in there.items():
            if wanted.get(member) == target:
                kept[member] = (target, task)
                continue
            task.cancel()
            if member not in wanted:
                self._counts.pop(member, None)
                self.reasons.pop(member, None)
        for member, target in wanted.items():
            if member not in kept:
                kept[member] = (target, self._loop.create_task(self._follow(target)))
        if kept:
            self._tasks[balancer] = kept

    async def _follow(self, target: Target) -> None:
        """Ask one member for ever: the first time at once, or spread over its beat where there are many."""
        monitor = target.monitor
        had = self._counts.get(target.member, Count(monitor.rise, monitor.fall))
        self._counts[target.member] = replace(had, rise=monitor.rise, fall=monitor.fall)
        share = zlib.crc32(target.member.encode()) / (1 << 32) if len(self._counts) > FEW else 0.0
        due = self._loop.time() + share * monitor.delay
        while True:
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            due = max(due + monitor.delay, self._loop.time())
            try:
                async with self._gate:
                    problem = await self.ask(target)
            except SekishoError as error:
                # no member's fault, so no verdict on any
                self._say(error.fixer)
            except Exception as error:  # a member that nobody asks any more is worse than any bug met
                self._say(f"{target.member}: {error!r}")
                log.debug("%s", target, exc_info=True)
            else:
                self._say("")
                self._hear(target.member, problem)

    def _say(self, trouble: str) -> None:
        """Say once what keeps us from asking."""
        if trouble and trouble != self.trouble:
            log.warning("checks: %s", trouble)
        self.trouble = trouble

    def _hear(self, member: str, problem: str) -> None:
        before = self._counts[member]
        after = self._counts[member] = before.heard(good=not problem)
        if problem:
            self.reasons[member] = problem
        else:
            self.reasons.pop(member, None)
        if after.alive is None or after.alive == before.alive:
            return
        log.info("member %s is %s", member, "up" if after.alive else f"down: {problem}")
        self._verdicts.put((member, after.alive))

    async def ask(self, target: Target) -> str:
        """Ask a member once all it must answer; "" or why it is not well. Raises what is wrong with us."""
        problem = await self._within(target, self._by_kind(target))
        if problem is None:
            return f"no answer within {target.monitor.timeout} s"
        return problem or (await self._vip(target) if self._hearing else "")

    async def _within(self, target: Target, answer: Awaitable[str]) -> str | None:
        """Wait for an answer as long as the monitor says: why it is no good one, None for none at all."""
        began = self._loop.time()
        try:
            async with asyncio.timeout(target.monitor.timeout):
                return await answer
        except TimeoutError as error:
            if self._loop.time() - began > target.monitor.timeout + LATE:
                raise Unavailable("The director is too busy to hear its members in time.") from error
            return None
        except OSError as error:
            if error.errno in OURS and not isinstance(error, ssl.SSLError):  # whose numbers are its own
                raise Unavailable("The director cannot ask its members.", str(error)) from error
            return error.strerror or str(error) or type(error).__name__
        except ValueError as error:  # what StreamReader says of a line that is too long
            return str(error)

    async def _by_kind(self, target: Target) -> str:
        check = target.monitor.check
        if check is Check.PING:
            return await self._post.ping(target.address)
        if check is Check.SCTP:
            return await self._post.sctp(target.address, target.port)
        return await ASKS[check](target)

    async def _vip(self, target: Target) -> str:
        """Ask whether the member hears the VIP: it must have it on its loopback."""
        problem = await self._within(target, self._framed(target))
        if problem is not None:
            return problem
        if self._neighbours.find(target.server) is None:
            return "it is not on a link of the director's"
        self._neighbours.forget(target.server)
        return f"it does not hear the VIP {target.vip}: is that on its loopback?"

    async def _framed(self, target: Target) -> str:
        port = target.vip_port if target.takes is Takes.TCP else 0
        source = source_for(target.server)
        while (neighbour := self._neighbours.find(target.server)) is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(LOOK_AGAIN)
        return await self._post.hears(neighbour, source, target.vip, port)


async def _post() -> Post:
    try:
        return Post()
    except OSError as error:
        raise Unavailable(
            "This director cannot ask its members.",
            f"packet sockets: {error.strerror}; run it with CAP_NET_RAW.",
        ) from error
