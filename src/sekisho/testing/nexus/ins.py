"""Commands over NX-API: JSON-RPC (``cli``, ``cli_ascii``) and ins_api in JSON and XML."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from sekisho.testing.nexus import catalogue
from sekisho.testing.nexus.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.testing.nexus.box import Box
    from sekisho.testing.nexus.output import Output
    from sekisho.testing.nexus.session import Session

Reply = tuple[int, str, bytes]
_JSON: Final = "application/json"
_RPC: Final = "application/json-rpc"


def answer(box: Box, kind: str, body: bytes, user: str, origin: str) -> Reply:
    """Answer a POST to ``/ins``: status, content type, body."""
    session = box.session(user, origin)
    try:
        if "xml" in kind or body.lstrip()[:1] == b"<":
            return _xml(session, body)
        asked = json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError, ET.ParseError):
        return 400, _RPC, _rpc_error(None, -32700, "Parse error", "")
    if isinstance(asked, dict) and "ins_api" in asked:
        made = _ins(session, asked["ins_api"])
        return 200, _JSON, json.dumps({"ins_api": made}).encode()
    return _rpc(session, asked)


def run(session: Session, line: str) -> Output:
    """Carry out one command as NX-API does: a configuration command needs no ``configure terminal``."""
    words = line.split()
    if not session.mode and words and not catalogue.known_exec(line) and not _moves(words):
        session.enter("config")
    return session.line(line)


def _moves(words: Sequence[str]) -> bool:
    return words[0].lower() in ("exit", "end") or (
        len(words[0]) >= 4 and "configure".startswith(words[0].lower()) and catalogue.is_terminal(words)
    )


# --- JSON-RPC -----------------------------------------------------------------------------------


def _rpc(session: Session, asked: Any) -> Reply:
    """One command is answered by an object, several by a list; anything that failed makes it HTTP 500."""
    batch = asked if isinstance(asked, list) else [asked]
    if not batch or not all(isinstance(one, dict) and isinstance(one.get("params"), dict) for one in batch):
        return 500, _RPC, _rpc_error(None, -32600, "Invalid Request", "")
    how = str(batch[0].get("rollback", "stop-on-error"))
    before = session.box.tree.copy() if how == "rollback-on-error" else None
    replies: list[dict[str, Any]] = []
    failed = False
    for one in batch:
        reply = _one(session, one)
        replies.append(reply)
        failed = failed or "error" in reply
        if "error" in reply and how != "continue-on-error":
            break
    if failed and before is not None:
        session.box.tree = before
    body = replies[0] if len(batch) == 1 else replies
    return (500 if failed else 200), _RPC, json.dumps(body).encode()


def _one(session: Session, one: dict[str, Any]) -> dict[str, Any]:
    head = {"jsonrpc": "2.0", "id": one.get("id")}
    line = str(one["params"].get("cmd", ""))
    ascii_ = one.get("method") == "cli_ascii"
    if one.get("method") not in ("cli", "cli_ascii", "cli_array"):
        return {**head, "error": {"code": -32601, "message": "Method not found"}}
    try:
        said = run(session, line)
    except Refusal as wrong:
        return {**head, "error": _invalid(wrong.text)}
    shows = line.split()[:1] == ["show"]
    if ascii_:
        return {**head, "result": {"msg": said.text} if said.text else None}
    if shows and said.body is None:
        return {**head, "error": _invalid("structured output unsupported for this command", 501)}
    if said.body is not None:
        return {**head, "result": {"body": said.body} if said.body or shows else None}
    return {**head, "result": {"msg": said.text} if said.text else None}


def _invalid(text: str, code: int = -32602) -> dict[str, Any]:
    return {"code": code, "message": "Invalid params", "data": {"msg": f"{text}\n"}}


def _rpc_error(number: Any, code: int, message: str, text: str) -> bytes:
    error = {"code": code, "message": message, "data": {"msg": text}}
    return json.dumps({"jsonrpc": "2.0", "error": error, "id": number}).encode()


# --- ins_api ------------------------------------------------------------------------------------


def _ins(session: Session, asked: dict[str, Any]) -> dict[str, Any]:
    """Answer an ins_api request: an output for each command, one alone is no list; failures have code 400."""
    kind = str(asked.get("type", ""))
    lines = [line.strip() for line in re.split(r"\s;\s*|\n", str(asked.get("input", ""))) if line.strip()]
    how = str(asked.get("rollback", "stop-on-error"))
    before = session.box.tree.copy()
    outputs: list[dict[str, Any]] = []
    for line in lines:
        made = _output(session, kind, line)
        outputs.append(made)
        if made["code"] != "200" and kind == "cli_conf" and how != "continue-on-error":
            if how == "rollback-on-error":
                session.box.tree = before
            break
    return {
        "type": kind,
        "version": str(asked.get("version", "1.0")),
        "sid": "eoc",
        "outputs": {"output": outputs[0] if len(outputs) == 1 else outputs},
    }


def _output(session: Session, kind: str, line: str) -> dict[str, Any]:
    if kind not in ("cli_show", "cli_show_ascii", "cli_show_array", "cli_conf"):
        return {"input": line, "msg": "Input CLI type error", "code": "400", "body": {}}
    shows = kind != "cli_conf"
    try:
        if shows and not catalogue.known_exec(line):
            return _failed(line, "Input CLI command error", "% Invalid command\n")
        said = run(session, line)
    except Refusal as wrong:
        return _failed(
            line,
            "CLI execution error" if not wrong.text.startswith("% Inv") else "Input CLI command error",
            f"{wrong.text}\n",
        )
    if kind == "cli_show" and said.body is None and line.startswith("show"):
        return {"input": line, "msg": "Structured output unsupported", "code": "501", "body": {}}
    body: Any = (
        said.text if kind == "cli_show_ascii" or not shows else (said.body if said.body is not None else {})
    )
    return {"input": line, "msg": "Success", "code": "200", "body": body or {}}


def _failed(line: str, message: str, text: str) -> dict[str, Any]:
    return {"input": line, "msg": message, "code": "400", "clierror": text}


def _xml(session: Session, body: bytes) -> Reply:
    """Answer an XML request; failures come with HTTP 200 and code 400 inside."""
    root = ET.fromstring(body)  # noqa: S314 - from tests on loopback
    asked = {child.tag: child.text or "" for child in root}
    made = _ins(session, asked)
    outputs = made["outputs"]["output"]
    rows = "".join(_xml_output(one) for one in (outputs if isinstance(outputs, list) else [outputs]))
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ins_api>'
        f"<type>{escape(made['type'])}</type><version>{escape(made['version'])}</version><sid>eoc</sid>"
        f"<outputs>{rows}</outputs></ins_api>"
    )
    return 200, "text/xml", text.encode()


def _xml_output(one: dict[str, Any]) -> str:
    inner = "".join(f"<{name}>{_xml_value(value)}</{name}>" for name, value in one.items())
    return f"<output>{inner}</output>"


def _xml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(
            "".join(
                f"<{name}>{_xml_value(item)}</{name}>"
                for item in (inner if isinstance(inner, list) else [inner])
            )
            for name, inner in value.items()
        )
    return escape(str(value))
