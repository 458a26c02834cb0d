#!/usr/bin/env bash
# Builds the KMS image of each profile and pushes it. Usage: build-kms-image.sh [VERSION [REGISTRY]]
set -euo pipefail
usage() { echo "[ERROR] usage: build-kms-image.sh [VERSION [REGISTRY]]" >&2; exit 2; }
[ $# -le 2 ] || usage
cd "$(dirname "$0")/.."
MERO_KMS_VERSION="${1:-${MERO_KMS_VERSION:-}}" GHCR_REGISTRY="${2:-${GHCR_REGISTRY:-}}" exec go tool mage kms:build
