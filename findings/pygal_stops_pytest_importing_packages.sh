#!/bin/bash
# pygal 3.1.3 puts an importer of the old kind into sys.meta_path when it is imported: it has find_module, and no find_spec.
# Python's own import statement passes over it, but pytest 9.2.0 with --import-mode=importlib asks each importer for
# find_spec when a test's folder is a package. So a folder of tests that has an __init__.py cannot be collected after any
# test file that imports pygal, and can before it. A folder without __init__.py is not concerned.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pygal==3.1.3 pytest==9.2.0
mkdir -p "$folder/tests/charts" "$folder/tests/house"
echo 'import pygal
def test_chart(): assert pygal.Bar().render()' > "$folder/tests/charts/test_chart.py"
echo 'def test_house(): pass' > "$folder/tests/house/test_house.py"
touch "$folder/tests/house/__init__.py"
collected() { (cd "$folder" && venv/bin/python -m pytest --import-mode=importlib -q -p no:cacheprovider "$@" 2>&1) || true; }
before=$(collected tests/house tests/charts | grep -c "2 passed" || true)
after=$(collected tests/charts tests/house | grep -c "has no attribute 'find_spec'" || true)
rm "$folder/tests/house/__init__.py"
without=$(collected tests/charts tests/house | grep -c "2 passed" || true)
echo "package first: $before; pygal first: error in $after lines; no package: $without"
[ "$before" = 1 ] && [ "$after" -ge 1 ] && [ "$without" = 1 ] || { echo "changed: pytest collects packages after pygal"; exit 1; }
