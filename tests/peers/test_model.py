"""The emulated switch's classes and attributes are Cisco's own, by the YANG that Cisco publishes."""

import re
from collections.abc import Iterator

import support_yang
from sekisho.testing.nexus.schema import CLASSES, ENUMS

# beside the YANG of 9.3(1): from Cisco's NX-API REST guides of later releases
LATER = {
    "fmScpServer": {"maxInstance"},
    "fmSsh": {"maxInstance"},
    "fmTacacsplus": {"maxInstance"},
    "fmTelnet": {"maxInstance"},
    "l2BD": {"longName", "macPacketClassify", "pcTag"},
    "ipv4aclACL": {"fragments", "ignRoutable", "udfPresent"},
    "ipv6aclACL": {"fragments", "ignRoutable"},
    "ipv6aclACE": {"precedence"},
    "l3Inst": {"l3vni"},
    "aaaUser": {"pwdSet", "shellType"},
}
# the whole system, and classes that the YANG names otherwise or does not have
OTHERS = {"topSystem", "fmSftpServer", "nwRtVrfMbr", "icmpv6Dom"}
# comparisons, which the YANG has as numbers, and speeds of later releases
SPELT = {"eq", "gt", "lt", "neq", "range", "2.5G", "5G"}


def groupings(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """List the model's groupings: the class that each stands for, and its lines."""
    at = 0
    while at < len(lines):
        found = re.match(r"\s*grouping (\S+?)(?:_source|_target)?-group \{", lines[at])
        start = at
        at += 1
        if found:
            depth = 1
            while depth:
                depth += lines[at].count("{") - lines[at].count("}")
                at += 1
            yield found[1].replace("_", ""), lines[start:at]


def test_every_class_and_attribute_is_in_ciscos_model() -> None:
    lines = (support_yang.model() / support_yang.NAME).read_text().splitlines()
    leaves = {
        cls: {found[1] for line in body if (found := re.match(r"\s*leaf(?:-list)? (\S+) \{", line))}
        for cls, body in groupings(lines)
    }
    assert set(CLASSES) - set(leaves) == OTHERS
    strange = {
        name: missing
        for name, spec in CLASSES.items()
        if name not in OTHERS
        if (missing := set(spec.defaults) - leaves[name] - LATER.get(name, set()))
    }
    assert strange == {}


def test_every_value_that_is_allowed_is_in_ciscos_model() -> None:
    text = (support_yang.model() / support_yang.NAME).read_text()
    known = set(re.findall(r'enum "?([^"{]+?)"? \{', text))
    assert set().union(*ENUMS.values()) - known == SPELT
