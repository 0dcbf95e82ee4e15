"""What a director's kernel must be set to, as files under /proc/sys (ipvs-sysctl.rst, ip-sysctl.rst)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

# A connection to a server that was taken away ends, and may begin anew with another one; a source that stays
# with a server does not keep it busy once that has weight 0. No redirect may tell a router to pass the
# director by.
WANTED: Final = (
    ("net/ipv4/vs/expire_nodest_conn", "1"),
    ("net/ipv4/vs/expire_quiescent_template", "1"),
    ("net/ipv4/conf/all/send_redirects", "0"),
)


def prepare(proc: Path, interfaces: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Set what is not as it must be, and name that; raises Unavailable where it cannot be set."""
    wanted = (*WANTED, *((f"net/ipv4/conf/{name}/send_redirects", "0") for name in interfaces if name))
    done: list[str] = []
    for name, value in wanted:
        file = proc / name
        try:
            if file.read_text().strip() != value:
                file.write_text(value)
                done.append(name.replace("/", "."))
        except OSError as error:
            raise Unavailable(
                "This director's kernel is not ready.", f"{file}: {error.strerror}.", 5.0
            ) from error
    return tuple(done)
