#!/bin/bash
# PyPI's webauthn 3.0.1 (py_webauthn) requires pyOpenSSL, and botocore 1.43.106 imports urllib3.contrib.pyopenssl wherever
# that can be imported. So `pip install webauthn` makes every `import botocore.httpsession` of the environment load
# pyOpenSSL and cryptography's bindings, also in programs that know of no passkey. It shows in cold starts that are
# measured in an environment with all packages: the bench gives each function the packages of its own layers.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
install() { "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
loaded() {
  "$folder/venv/bin/python" -c '
import sys, botocore.httpsession
print(" ".join(name for name in ("OpenSSL", "cryptography", "webauthn") if name in sys.modules) or "none")'
}
install botocore==1.43.106 urllib3==2.8.0
without=$(loaded)
install webauthn==3.0.1
with=$(loaded)
echo "loaded with botocore: $without; after pip install webauthn: $with"
[ "$without" = "none" ] && [ "$with" = "OpenSSL cryptography" ] || { echo "changed: botocore loads other modules"; exit 1; }
