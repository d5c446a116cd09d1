#!/bin/bash
# pydantic_core.from_json (pydantic 2.13.5), told allow_inf_nan=False, refuses the words NaN and Infinity and still turns
# a number that is too large for a double (1e400) into infinity; a field `float` of a model with allow_inf_nan=True does
# the same. Written again by json.dumps it is `Infinity`, which is no JSON. Whoever wants finite numbers looks himself.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pydantic==2.13.5
"$folder/venv/bin/python" - <<'PYTHON'
import json
from pydantic_core import from_json

try:
    from_json("[NaN]", allow_inf_nan=False)
    raise SystemExit("changed: NaN is taken")
except ValueError as error:
    print("[NaN]   refused:", error)
read = from_json("[1e400]", allow_inf_nan=False)
print("[1e400] read as:", read, "and written again as:", json.dumps(read))
if read != [float("inf")]:
    raise SystemExit("changed: it is not infinity any more")
PYTHON
