from __future__ import annotations

from sekisho.app.figures import of_collectors
from sekisho.model.report import CollectorReport, ExporterReport


def test_the_lag_of_every_collector_and_exporter_can_be_reckoned() -> None:
    exporters = (
        ExporterReport("192.0.2.1", "sflow", last_seen=90.0, sampling=1000),
        ExporterReport("192.0.2.1", "ipfix", 7, last_seen=40.0, datagrams=3),
    )
    found = of_collectors([CollectorReport("c1", 100.0, exporters)])
    assert found['sekisho_collector_last_seen_seconds{collector="c1"}'] == 100.0
    whose = 'collector="c1",exporter="192.0.2.1",protocol'
    assert found[f'sekisho_exporter_last_seen_seconds{{{whose}="sflow",domain="0"}}'] == 90.0
    assert found[f'sekisho_exporter_last_seen_seconds{{{whose}="ipfix",domain="7"}}'] == 40.0
    assert found[f'sekisho_exporter_datagrams_total{{{whose}="ipfix",domain="7"}}'] == 3.0
    assert found[f'sekisho_exporter_sampling{{{whose}="sflow",domain="0"}}'] == 1000.0
    assert f'sekisho_exporter_sampling{{{whose}="ipfix",domain="7"}}' not in found, "not known yet"
