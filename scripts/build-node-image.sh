#!/usr/bin/env bash
# Builds the node image of a profile with Packer and Ansible. Usage: build-node-image.sh PROFILE [VERSION]
set -euo pipefail
usage() { echo "[ERROR] usage: build-node-image.sh PROFILE [VERSION]" >&2; exit 2; }
[ $# -ge 1 ] && [ $# -le 2 ] || usage
cd "$(dirname "$0")/.."
MERO_TEE_VERSION="${2:-${MERO_TEE_VERSION:-}}" exec go tool mage node:build -profile="$1"
