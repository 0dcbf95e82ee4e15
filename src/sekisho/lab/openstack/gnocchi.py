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
        "api": {"auth_mode": "keystone"},
        "keystone_authtoken": keystone.authtoken("gnocchi"),
        "indexer": {"url": database.url("gnocchi")},
        "storage": {"driver": "file", "file_basepath": storage},
        "incoming": {"driver": "file", "file_basepath": storage},
        "metricd": {"workers": 1, "metric_processing_delay": 1},
    }
    file = ini(_file(place), base, place.settings.added.get("gnocchi", {}))
    storage.mkdir()
    upgrade = str(place.settings.gnocchi / "bin" / "gnocchi-upgrade")
    # With a database it does not like it tries again for ever.
    call(*enter(place.controller), upgrade, "--config-file", str(file), timeout=90.0)


def start(place: Place) -> tuple[Service, Service]:
    """Start both processes."""
    venv, words = place.settings.gnocchi, ["--config-file", str(_file(place))]
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    module = venv / "lib" / python / "site-packages" / "gnocchi" / "rest" / "wsgi.py"
    passed = ["--wsgi-file", str(module), "--pyargv", " ".join(words)]
    api = place.wsgi("gnocchi-api", "metric", venv, passed)
    worker = place.service("gnocchi-metricd", [str(venv / "bin" / "gnocchi-metricd"), *words], lambda: True)
    for each in (api, worker):
        each.launch()
    for each in (api, worker):
        each.await_ready()
    return api, worker
