#!/usr/bin/env bash
# Boots the node image of a profile as TDX VMs and keeps what their verified quotes say. Usage: collect-measurements.sh PROFILE [VERSION]
set -euo pipefail
usage() { echo "[ERROR] usage: collect-measurements.sh PROFILE [VERSION]" >&2; exit 2; }
[ $# -ge 1 ] && [ $# -le 2 ] || usage
cd "$(dirname "$0")/.."
MERO_TEE_VERSION="${2:-${MERO_TEE_VERSION:-}}" exec go tool mage node:measure -profile="$1"
