"""Keystone: projects, users, roles, tokens."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any, Final

from sekisho.lab.openstack import database
from sekisho.lab.openstack.files import ini
from sekisho.lab.openstack.settings import CONTROLLER, PATHS, PORTS, USERS
from sekisho.lab.openstack.shell import call, enter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sekisho.lab.openstack.place import Place
    from sekisho.lab.openstack.service import Service
    from sekisho.lab.openstack.settings import Ini, User

URL: Final = f"http://{CONTROLLER}:{PORTS['identity']}{PATHS['identity']}"
REGION: Final = "RegionOne"


def authtoken(user: str) -> dict[str, object]:
    """Give the section by which a service asks Keystone who asks it."""
    return {**credentials(user), "www_authenticate_uri": URL, "auth_type": "password"}


def credentials(user: str, project: str = "service") -> dict[str, object]:
    """Give what somebody signs in with, in the words of keystoneauth."""
    domains = {"user_domain_id": "default", "project_domain_id": "default"}
    return {"auth_url": URL, "username": user, "password": user, "project_name": project, **domains}


def migrate(place: Place) -> None:
    """Write its settings, make its tables and keys, and its first user: admin."""
    folder = place.room("keystone")
    file = _settings(place, folder)
    manage = [str(place.settings.openstack / "bin" / "keystone-manage"), "--config-file", str(file)]

    def run(*words: str) -> None:
        call(*enter(place.controller), *manage, *words, timeout=180.0)

    run("db_sync")
    endpoints = [
        word for kind in ("admin", "public", "internal") for word in (f"--bootstrap-{kind}-url", URL)
    ]
    run("bootstrap", "--bootstrap-password", "admin", *endpoints, "--bootstrap-region-id", REGION)


def _settings(place: Place, folder: Path) -> Path:
    keys = {name: folder / name for name in ("fernet", "credential")}
    for each in keys.values():
        _write_keys(each)
    base: Ini = {
        "DEFAULT": {"use_stderr": True},
        "database": {"connection": database.url("keystone")},
        "token": {"provider": "fernet", "expiration": 43200},
        "fernet_tokens": {"key_repository": keys["fernet"]},
        "fernet_receipts": {"key_repository": keys["fernet"]},
        "credential": {"key_repository": keys["credential"]},
        # One process, so what it remembers is never older than what it wrote.
        "cache": {"enabled": True, "backend": "oslo_cache.dict"},
        # Nobody is kept out by a slow hash here.
        "identity": {"password_hash_rounds": 4},
    }
    return ini(folder / "keystone.conf", base, place.settings.added.get("keystone", {}))


def _write_keys(folder: Path) -> None:
    """Write what fernet_setup and credential_setup would, which take seconds to start."""
    folder.mkdir(mode=0o700)
    for number in "01":
        file = folder / number
        file.touch(0o600)
        file.write_bytes(base64.urlsafe_b64encode(secrets.token_bytes(32)))


def start(place: Place) -> Service:
    """Start the API, and let Keystone know everybody."""
    folder = place.room("keystone")
    where = {"OS_KEYSTONE_CONFIG_DIR": str(folder), "OS_KEYSTONE_CONFIG_FILES": "keystone.conf"}
    words = ["--module", "keystone.wsgi.api:application"]
    api = place.wsgi("keystone", "identity", place.settings.openstack, words, environment=where)
    api.start()
    _fill(place)
    return api


def _fill(place: Place) -> None:
    """Make projects, roles and users, and the catalogue."""

    def post(path: str, kind: str, body: Mapping[str, object]) -> str:
        answer: Any = place.rest.api("identity", "POST", path, {kind: body})
        return str(answer[kind]["id"])

    def known(path: str) -> dict[str, str]:
        answer: Any = place.rest.api("identity", "GET", f"/{path}")
        return {each["name"]: each["id"] for each in answer[path]}

    projects, roles = known("projects"), known("roles")
    for user in USERS:
        if user.project not in projects:
            projects[user.project] = post("/projects", "project", {"name": user.project})
        _add_user(place, user, projects[user.project], roles)
    for kind, name in (("network", "neutron"), ("metric", "gnocchi")):
        service = post("/services", "service", {"name": name, "type": kind})
        address = {"url": f"http://{CONTROLLER}:{PORTS[kind]}", "region_id": REGION, "interface": "public"}
        post("/endpoints", "endpoint", {"service_id": service, **address})


def _add_user(place: Place, user: User, project: str, roles: dict[str, str]) -> None:
    body = {"user": {"name": user.name, "password": user.name, "default_project_id": project}}
    made: Any = place.rest.api("identity", "POST", "/users", body)
    for role in user.roles:
        if role not in roles:
            answer: Any = place.rest.api("identity", "POST", "/roles", {"role": {"name": role}})
            roles[role] = answer["role"]["id"]
        grant = f"/projects/{project}/users/{made['user']['id']}/roles/{roles[role]}"
        place.rest.api("identity", "PUT", grant)
