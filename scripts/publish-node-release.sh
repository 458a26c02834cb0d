#!/usr/bin/env bash
# Uploads measurements, SBOM and evidence to the tag's release, audits the draft and makes it public. Usage: publish-node-release.sh [VERSION]
set -euo pipefail
usage() { echo "[ERROR] usage: publish-node-release.sh [VERSION]" >&2; exit 2; }
[ $# -le 1 ] || usage
cd "$(dirname "$0")/.."
MERO_TEE_VERSION="${1:-${MERO_TEE_VERSION:-}}" exec go tool mage node:publish
