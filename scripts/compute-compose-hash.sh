#!/usr/bin/env bash
# Prints the compose hash of each profile. Usage: compute-compose-hash.sh [VERSION]
set -euo pipefail
usage() { echo "[ERROR] usage: compute-compose-hash.sh [VERSION]" >&2; exit 2; }
[ $# -le 1 ] || usage
cd "$(dirname "$0")/.."
MERO_KMS_VERSION="${1:-${MERO_KMS_VERSION:-}}" exec go tool mage kms:composeHash
