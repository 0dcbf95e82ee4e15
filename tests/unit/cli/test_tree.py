from __future__ import annotations

import json

from sekisho.cli.tree import sent_lines


def test_a_tree_is_a_line_for_each_object() -> None:
    vlan = {"l2BD": {"attributes": {"fabEncap": "vlan-10", "name": "web and more", "pcTag": ""}}}
    tree = {"topSystem": {"children": [{"bdEntity": {"children": [vlan]}}]}}
    assert sent_lines(json.dumps(tree, indent=1)) == [
        "topSystem",
        "  bdEntity",
        '    l2BD fabEncap=vlan-10 name="web and more" pcTag=""',
    ]


def test_commands_and_other_json_stay_as_they_are() -> None:
    assert sent_lines("vlan 10\n  name web") == ["vlan 10", "  name web"]
    assert sent_lines('["vlan 10"]') == ['["vlan 10"]']
    assert sent_lines('{"a": {"b": 1}}') == ['{"a": {"b": 1}}']
