#!/usr/bin/env bash
# Uploads all assets to the tag's release, audits the draft and makes it public. Usage: publish-kms-release.sh [VERSION]
set -euo pipefail
usage() { echo "[ERROR] usage: publish-kms-release.sh [VERSION]" >&2; exit 2; }
[ $# -le 1 ] || usage
cd "$(dirname "$0")/.."
MERO_KMS_VERSION="${1:-${MERO_KMS_VERSION:-}}" exec go tool mage kms:publish
