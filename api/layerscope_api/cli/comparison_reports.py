"""Comparisons as Markdown, for pull requests, and as JUnit XML, which CI systems show as tests."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    # It imports TensorFlow, which takes seconds.
    from layerscope.execution.comparison_query import Comparison, LayerComparison

_FUSED = "It has no tensor of its own in the file: the converter fused it into another layer."
_SHOWN = 5


def markdown(found: "Comparison", most: float) -> str:
    """A table with a row a layer, and what it means."""
    lines = [
        f"| layer | change | silent channels | {len(found.images)} images |",
        "|---|---|---|---|",
        *(_row(each, is_origin=each.reference in found.origins) for each in found.layers),
        *(f"| {address} |  |  | **only in the reference** |" for address in found.only_reference),
        *(f"| {address} |  |  | **only in the candidate** |" for address in found.only_candidate),
        "",
        _summary(found, most),
    ]
    if found.fused:
        lines.append(
            f"{len(found.fused)} further layers have no tensor of their own in the file: {_listed(found.fused)}."
        )
    for each in found.agreement:
        flips = len(each.flips)
        lines.append(
            f"Output {each.output}: {flips} of {len(found.images)} images have another most likely class."
        )
    if found.seed is not None:
        lines.append(f"The random numbers that the models draw are of seed {found.seed}.")
    return "\n".join(lines)


def junit_xml(found: "Comparison", most: float) -> bytes:
    """A test suite with a test a layer; those of layers that drifted fail."""
    suite = ElementTree.Element("testsuite", name="layerscope compare")
    failures = 0
    for each in found.layers:
        case = ElementTree.SubElement(suite, "testcase", classname="layers", name=each.reference)
        if each.status == "drifted":
            failures += 1
            reason = each.reason or f"changed by {_change(each)}, more than {most:g}"
            place = "; the change begins here" if each.reference in found.origins else ""
            ElementTree.SubElement(case, "failure", message=f"{reason}{place}")
    for side, addresses in (("reference", found.only_reference), ("candidate", found.only_candidate)):
        for address in addresses:
            failures += 1
            case = ElementTree.SubElement(suite, "testcase", classname="layers", name=address)
            ElementTree.SubElement(case, "failure", message=f"only in the {side}")
    for address in found.fused:
        case = ElementTree.SubElement(suite, "testcase", classname="layers", name=address)
        ElementTree.SubElement(case, "skipped", message=_FUSED)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    suite.set("skipped", str(len(found.fused)))
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))


def _row(each: "LayerComparison", *, is_origin: bool) -> str:
    silent = "" if each.silent is None else " → ".join(map(str, each.silent))
    status = f"**{each.status}**" if each.status == "drifted" else str(each.status)
    notes = [each.reason or "", "begins here" if is_origin else ""]
    verdict = ", ".join(part for part in (status, *notes) if part)
    return f"| {each.reference} | {_change(each)} | {silent} | {verdict} |"


def _listed(addresses: Sequence[str]) -> str:
    rest = len(addresses) - _SHOWN
    return ", ".join(addresses[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _change(each: "LayerComparison") -> str:
    return (
        "" if each.relative_l2 is None or not math.isfinite(each.relative_l2) else f"{each.relative_l2:.3g}"
    )


def _summary(found: "Comparison", most: float) -> str:
    drifted = sum(each.status == "drifted" for each in found.layers)
    begins = f" The change begins in {', '.join(found.origins)}." if found.origins else ""
    return f"{drifted} of {len(found.layers)} layers changed by more than {most:g}.{begins}"
