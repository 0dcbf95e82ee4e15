from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from sekisho.app import main
from sekisho.app.main import add_processes
from sekisho.cli import build
from sekisho.cli.door import COMMON
from sekisho.cli.exits import ELSEWHERE, EXITS, FAULT, USAGE, code, sentences
from sekisho.model import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.testing.keeper import FakeKeeper
    from support_cli import Run

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def tree() -> list[type[errors.SekishoError]]:
    return errors.SekishoError.__subclasses__()


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in sorted(getattr(group, "commands", {}).items()):
        if getattr(command, "commands", None):
            yield from commands(command, f"{path} {name}")
        if not getattr(command, "commands", None) or command.invoke_without_command:
            yield f"{path} {name}", command


def sections() -> dict[str, str]:
    parts = re.split(r"^#{2,3} (.+)$", (REFERENCE / "cli.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


CLIENT = dict(commands(typer.main.get_command(build()), "sekisho"))
PROGRAM = dict(commands(typer.main.get_command(build(add_processes)), "sekisho"))


def test_every_error_of_the_tree_has_an_exit_code_of_its_own_kind() -> None:
    assert set(EXITS) == set(tree())
    assert not {0, FAULT, USAGE} & set(EXITS.values())


def test_the_documented_exit_codes_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| ([\w, ]*)\|", (REFERENCE / "exit-codes.md").read_text(), re.MULTILINE)
    told = {name: int(number) for number, names in rows for name in re.findall(r"\w+", names)}
    assert told == {kind.__name__: number for kind, number in EXITS.items()}
    assert {int(number) for number, _ in rows} == {0, FAULT, USAGE, *EXITS.values()}


@pytest.mark.parametrize("path", PROGRAM)
def test_every_command_and_option_is_documented(path: str) -> None:
    section = sections().get(path)
    assert section is not None, f"docs/reference/cli.md has no section '### {path}'"
    for option in own_options(path):
        assert re.search(rf"`{re.escape(option)}\b", section), f"'### {path}' does not name {option}"


def own_options(path: str) -> list[str]:
    shared = {"help", *(COMMON if path in CLIENT else ())}
    own = [p for p in PROGRAM[path].params if p.name not in shared and p.param_type_name == "option"]
    return [text for p in own for text in p.opts]


@pytest.mark.parametrize("path", CLIENT)
def test_every_command_takes_the_common_options_and_explains_itself(path: str) -> None:
    command = CLIENT[path]
    told = {text for p in command.params for text in p.opts}
    assert {"--url", "--token-file", "--json"} <= told
    assert command.help
    assert all(p.help for p in command.params)


def test_nothing_is_documented_that_is_not_there() -> None:
    assert {name for name in sections() if name.startswith("sekisho ")} == set(PROGRAM)


@pytest.mark.parametrize("kind", tree())
def test_an_error_ends_the_program_with_its_code_and_its_sentences(
    kind: type[errors.SekishoError], run: Run, keeper: FakeKeeper
) -> None:
    keeper.failure = kind("This is for the asker.", "This is for the fixer.")
    got = run("enforce", "show")
    assert got.code == EXITS[kind]
    assert "This is for the asker." in got.err
    assert got.out == ""
    assert len(got.err.splitlines()) == 2, "the sentence, and what to do next"


def test_a_subclass_of_an_error_takes_its_parents_code() -> None:
    class Narrower(errors.Conflict):
        pass

    assert code(Narrower("x")) == EXITS[errors.Conflict]


def test_every_problem_is_listed_and_a_pause_is_named() -> None:
    said = sentences(errors.Malformed("Two mistakes.", problems=("a.toml:1: x", "a.toml:2: y")))
    assert said[1:3] == ["  a.toml:1: x", "  a.toml:2: y"]
    assert "Ask again in 1 min 30 s." in sentences(errors.Unavailable("Busy.", retry_after=90))[-1]


def test_a_keeper_that_is_away_is_said_with_its_address(run: Run) -> None:
    got = run("status", "--url", "http://127.0.0.1:9")
    assert got.code == EXITS[errors.Unavailable]
    assert "http://127.0.0.1:9" in got.err
    assert run("status", "--url", "nonsense").code == EXITS[errors.Malformed]


@pytest.mark.parametrize("about", ELSEWHERE)
def test_whoever_asks_for_something_else_is_not_sent_to_ports(about: str) -> None:
    room = Path(build.__code__.co_filename).parents[1]
    assert (room / "cli" / f"{about}.py").exists() or (room / "app" / f"{about}.py").exists()
    told = "\n".join(sentences(errors.NotFound("There is no such thing."), about))
    assert told.startswith("There is no such thing.")
    assert "subjects list" not in told


def test_an_exemption_that_is_not_there_is_looked_for_among_exemptions(run: Run) -> None:
    got = run("exempt", "revoke", "e99")
    assert got.code == EXITS[errors.NotFound]
    assert "sekisho exempt list" in got.err
    assert "subjects list" not in got.err


def test_who_starts_a_director_is_not_sent_to_the_keeper(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "start_log", lambda *_: None)
    file = tmp_path / "sekisho.toml"
    file.write_text(f'[director]\nstate = "{tmp_path}"\n')
    with pytest.raises(typer.Exit) as caught:
        main.director(file, doctor=True)
    said = capsys.readouterr().err
    assert caught.value.exit_code == EXITS[errors.NotFound]
    assert "systemctl start sekisho-director" in said
    assert "subjects list" not in said
