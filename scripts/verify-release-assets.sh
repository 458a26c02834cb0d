#!/usr/bin/env bash
# Verifies signatures, checksums and contents of a public release. Usage: verify-release-assets.sh TAG [-quick] [-offline=DIR]
set -euo pipefail
usage() { echo "[ERROR] usage: verify-release-assets.sh TAG [-quick] [-offline=DIR]" >&2; exit 2; }
[[ $# -ge 1 && $1 != -* ]] || usage
for flag in "${@:2}"; do [[ $flag == -* ]] || usage; done
cd "$(dirname "$0")/.."
exec go tool mage verify:release "$@"
