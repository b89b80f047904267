"""Pictures in the documentation are what their scripts draw, and show what they say."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from scripts.draw_screen import LINES, PICTURE, RINGS, drawn, touched


def test_the_picture_of_the_screen_is_what_its_script_draws() -> None:
    assert PICTURE.read_text(encoding="utf-8") == drawn(), "run: python scripts/draw_screen.py"


def test_each_line_of_the_picture_cuts_the_boxes_that_its_ring_says() -> None:
    """A pool of ring n outlasts box n and does not outlast the next one; a near one outlasts none, a far one all."""
    cuts = {"near": len(RINGS), "r1": len(RINGS) - 1, "r2": len(RINGS) - 2, "far": 0}
    assert [touched(line) for line in LINES] == [cuts[line.kind] for line in LINES]
    lines = [
        [float(one.get(key, "nan")) for key in ("x1", "y1", "x2", "y2")]
        for one in ET.fromstring(drawn()).iter("{http://www.w3.org/2000/svg}line")  # noqa: S314 - our own
        if (one.get("class") or "").startswith("pool")
    ]
    boxes = [
        [float(one.get(key, "nan")) for key in ("x", "y", "width", "height")]
        for one in ET.fromstring(drawn()).iter("{http://www.w3.org/2000/svg}rect")  # noqa: S314 - our own
        if one.get("class") == "ring"
    ]
    assert [len(lines), len(boxes)] == [len(LINES), len(RINGS)]
    found = [sum(cut(line, box) for box in boxes) for line in lines]
    assert found == [cuts[line.kind] for line in LINES]


def cut(line: list[float], box: list[float]) -> bool:
    """Whether corners of a box are on both sides of a line."""
    x1, y1, x2, y2 = line
    x, y, width, height = box
    corners = [(x, y), (x + width, y), (x, y + height), (x + width, y + height)]
    sides = [(x2 - x1) * (b - y1) - (y2 - y1) * (a - x1) for a, b in corners]
    return min(sides) < 0 < max(sides)
