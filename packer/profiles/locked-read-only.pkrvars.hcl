# A verified root and no way in: no SSH, no console, no login, no telemetry.
profile = "locked-read-only"
roles = [
  "base", "agent", "companions", "disk", "locked-read-only",
  "cleanup", "manifest", "conformance", "seal",
]
companions = ["merod", "traefik"]
