#!/bin/bash
# pygal 3.1.3: a legend below the chart with `legend_at_bottom_columns` has place for the number of its full rows only:
# five names in four columns are two rows, place is reserved for one, and the second is drawn outside the picture. Whoever
# sets the columns adds a row to `margin_bottom`. And: `js=[]` leaves an inline script in the picture, which a
# Content-Security-Policy without scripts refuses; it has to be taken out of the tree.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pygal==3.1.3
"$folder/venv/bin/python" - <<'PYTHON'
import re
import pygal


def picture(names):
    chart = pygal.Bar(js=[], legend_at_bottom=True, legend_at_bottom_columns=4, width=800, height=300, margin=0)
    for number in range(names):
        chart.add(f"name {number}", [number])
    return chart.render().decode()


def lowest(svg):
    """The lower edge of the legend, in the picture's pixels."""
    offset = float(re.search(r'transform="translate\([\d.]+, ([\d.]+)\)" class="legends"', svg)[1])
    boxes = re.findall(r'<rect x="[\d.]+" y="([\d.]+)" width="12" height="12"', svg.partition('class="legends"')[2])
    return offset + max(map(float, boxes)) + 12


for names in (4, 5):
    print(f"{names} names in 4 columns: the legend ends at {lowest(picture(names)):.0f} of 300 pixels")
if lowest(picture(4)) > 300 or lowest(picture(5)) <= 300:
    raise SystemExit("changed: the last row has its place")
print("scripts:", picture(4).count("<script"))
if "<script" not in picture(4):
    raise SystemExit("changed: without js there is no script")
PYTHON
