"""One file with what whoever helps needs to see, and without secrets: support-bundle."""

import io
import json
import platform
import re
import tarfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import distributions
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

import sekisho
from sekisho.cli.door import Door, command, note
from sekisho.model.errors import Malformed, SekishoError
from sekisho.model.plain import to_plain

# Newest entries of each list that are taken along.
LISTED: Final = 1000
LEFT_OUT: Final = "(left out)"
SETTINGS: Final = Path("/etc/sekisho/sekisho.toml")
_SECRET: Final = re.compile(
    r"pass(word|phrase|wd)?|secret|token|credential|community|(^|_)key($|_)|cookie", re.IGNORECASE
)
_USERINFO: Final = re.compile(r"(?<=://)[^/@\s]+@")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "support-bundle")(support_bundle)


def support_bundle(
    door: Door,
    file: Annotated[Path, typer.Argument(help="The new file, .tar.gz.")],
    config: Annotated[
        Path, typer.Option("--config", help="Settings of this machine to take along.")
    ] = SETTINGS,
) -> None:
    """Gather status, metrics, policies, decisions and settings into one file; secrets are left out.

    What cannot be had is told in its place, so a keeper that is half well gives half a bundle.
    """
    try:
        with file.open("xb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as bundle:
            missing = [
                name for name, text, well in _parts(door, config) if not _add(bundle, name, text, well=well)
            ]
    except FileExistsError as error:
        raise Malformed(f"{file} is there already: choose another name.") from error
    except OSError as error:
        raise Malformed(f"{file} cannot be written: {error.strerror}.") from error
    file.chmod(0o600)
    note(f"{file} holds no passwords and tokens; it does hold names and addresses of customers.")
    if missing:
        note(f"Could not be had: {', '.join(missing)}; see the files with these names in it.")


def _add(bundle: tarfile.TarFile, name: str, text: str, *, well: bool) -> bool:
    data = text.encode()
    info = tarfile.TarInfo(f"sekisho-support/{name}{'' if well else '.error.txt'}")
    info.size, info.mode = len(data), 0o600
    bundle.addfile(info, io.BytesIO(data))
    return well


def _parts(door: Door, config: Path) -> Iterator[tuple[str, str, bool]]:
    """Give name and text of each part, and whether it could be had."""
    for name, gather in _gathered(door, config).items():
        try:
            found = gather()
        except SekishoError as error:
            yield name, f"{error.asker}\n{error.fixer}\n", False
        else:
            yield name, found if isinstance(found, str) else _document(found), True


def _gathered(door: Door, config: Path) -> dict[str, Callable[[], Any]]:
    client = door.client
    return {
        "versions.json": _versions,
        "settings.json": lambda: _settings(config),
        "whoami.json": client.whoami,
        "status.json": client.status,
        "metrics.txt": client.metrics,
        "flows-status.json": client.flows.status,
        "policies.json": client.policies,
        "exemptions.json": client.exemptions,
        "restrictions.json": lambda: tuple(islice(client.restrictions(), LISTED)),
        "journal.json": lambda: tuple(islice(client.journal(), LISTED)),
        "notices.json": lambda: tuple(replace(n, to="") for n in islice(client.notices(), LISTED)),
    }


def _versions() -> dict[str, Any]:
    return {
        "sekisho": sekisho.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": dict(sorted((d.name, d.version) for d in distributions())),
    }


def _settings(config: Path) -> dict[str, Any]:
    found = {}
    for file in (config, *sorted((config.parent / "conf.d").glob("*.toml"))):
        try:
            found[str(file)] = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise Malformed(f"{file} cannot be read: {error}.") from error
        except tomllib.TOMLDecodeError as error:
            raise Malformed(f"{file} is no TOML: look with `sekisho config check`.") from error
    return found


def _document(found: object) -> str:
    return json.dumps(without_secrets(to_plain(found)), indent=1, ensure_ascii=False) + "\n"


def without_secrets(plain: Any, name: str = "") -> Any:
    """Leave out what is under a name that says secret, and who signs in within addresses."""
    if isinstance(plain, dict):
        return {key: without_secrets(value, key) for key, value in plain.items()}
    if isinstance(plain, list):
        return [without_secrets(each, name) for each in plain]
    if isinstance(plain, str):
        hidden = plain and _SECRET.search(name) and not name.endswith("_file")
        return LEFT_OUT if hidden else _USERINFO.sub(f"{LEFT_OUT}@", plain)
    return plain
