"""Gnocchi: the API and the worker that aggregates, on files."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sekisho.lab.openstack import database, keystone
from sekisho.lab.openstack.files import ini
from sekisho.lab.openstack.shell import call, enter

if TYPE_CHECKING:
    from pathlib import Path

    from sekisho.lab.openstack.place import Place
    from sekisho.lab.openstack.service import Service
    from sekisho.lab.openstack.settings import Ini


def _file(place: Place) -> Path:
    return place.folder / "gnocchi" / "gnocchi.conf"


def migrate(place: Place) -> None:
    """Write its settings, and make its tables and folders."""
    storage = place.room("gnocchi") / "storage"
    base: Ini = {
        "api": {"auth_mode": "keystone", "paste_config": _file(place).with_name("api-paste.ini")},
        "keystone_authtoken": keystone.authtoken("gnocchi"),
        "indexer": {"url": database.url("gnocchi")},
        "storage": {"driver": "file", "file_basepath": storage},
        "incoming": {"driver": "file", "file_basepath": storage},
        "metricd": {"workers": 1, "metric_processing_delay": 1},
    }
    file = ini(_file(place), base, place.settings.added.get("gnocchi", {}))
    _write_pipeline(place)
    storage.mkdir()
    upgrade = str(place.settings.gnocchi / "bin" / "gnocchi-upgrade")
    # With a database it does not like it tries again for ever.
    call(*enter(place.controller), upgrade, "--config-file", str(file), "--sacks-number", "4", timeout=180.0)


def _write_pipeline(place: Place) -> None:
    """Write its own pipeline, in which the part that asks Keystone finds our settings, not those in /etc."""
    project = "oslo_config_project = gnocchi"
    text = (_rest(place) / "api-paste.ini").read_text()
    told = text.replace(project, f"{project}\noslo_config_file = {_file(place)}")
    _file(place).with_name("api-paste.ini").write_text(told)


def _rest(place: Place) -> Path:
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return place.settings.gnocchi / "lib" / python / "site-packages" / "gnocchi" / "rest"


def start(place: Place) -> tuple[Service, Service]:
    """Start both processes."""
    venv, words = place.settings.gnocchi, ["--config-file", str(_file(place))]
    passed = ["--wsgi-file", str(_rest(place) / "wsgi.py"), "--pyargv", " ".join(words)]
    api = place.wsgi("gnocchi-api", "metric", venv, passed)
    worker = place.service("gnocchi-metricd", [str(venv / "bin" / "gnocchi-metricd"), *words], lambda: True)
    for each in (api, worker):
        each.launch()
    for each in (api, worker):
        each.await_ready()
    return api, worker
