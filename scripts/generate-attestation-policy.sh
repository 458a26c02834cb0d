#!/usr/bin/env bash
# Writes attestation-policy-{profile}.json for each profile. Usage: generate-attestation-policy.sh [VERSION]
set -euo pipefail
usage() { echo "[ERROR] usage: generate-attestation-policy.sh [VERSION]" >&2; exit 2; }
[ $# -le 1 ] || usage
cd "$(dirname "$0")/.."
MERO_KMS_VERSION="${1:-${MERO_KMS_VERSION:-}}" exec go tool mage kms:policy
