#!/usr/bin/env bash
# Verifies signatures, checksums and contents of a public release. Usage: verify-release-assets.sh TAG [-quick] [-offline=DIR]
set -euo pipefail
cd "$(dirname "$0")/.."
exec go tool mage verify:release "$@"
