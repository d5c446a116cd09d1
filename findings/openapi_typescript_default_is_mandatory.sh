#!/bin/bash
# openapi-typescript 7.13.0 makes a field that has a `default` mandatory, in request bodies too, although the schema's
# `required` does not name it: it reads every schema as what a server answers. Each caller then has to write out what the
# server would have filled in. Whoever serves the document cannot count on --default-non-nullable=false at the caller's,
# and says defaults in the description instead.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts openapi-typescript@7.13.0 typescript@5.9.3
cat > api.json <<'JSON'
{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}, "components": {"schemas": {"Order": {
  "type": "object", "required": ["prompt"], "properties": {
    "prompt": {"type": "string"}, "plain": {"type": "integer"}, "filled": {"type": "integer", "default": 1}}}}}}
JSON
npx openapi-typescript api.json --output api.ts >/dev/null 2>&1
npx openapi-typescript api.json --output free.ts --default-non-nullable=false >/dev/null 2>&1
echo "as it is:"; grep -E "^ +(prompt|plain|filled)" api.ts
echo "with --default-non-nullable=false:"; grep -E "^ +(prompt|plain|filled)" free.ts
grep -q "plain?: number" api.ts && grep -q "filled: number" api.ts && grep -q "filled?: number" free.ts ||
  { echo "changed: a default makes a field mandatory no more"; exit 1; }
