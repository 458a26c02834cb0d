# What every node image is built on, pinned to an exact image: RTMR1 and RTMR2
# follow it. It came from the family, which no build reads: a newer image there
# is reported, and moving to it is a commit.
#
# Ubuntu 26.04 has Linux 7.0. The agent extends RTMR3 through sysfs, which Linux
# does since 6.16; the 6.8 of 24.04 does not. The image's name stands in public
# repositories of September and October 2026. Nobody asked Google for it from
# here: `mage doctor` and `mage release:plan` ask whether it exists, and name
# what does exist when it does not.
#
# The spec's own example is "ubuntu-2404-tdx-v20250101", of the family
# "ubuntu-2404-tdx" in the project "confidential-vm-images". It is not the pin: no public
# source knows that family, and 24.04's kernel has no RTMR3. Whoever has it sets
# these three variables.
source_image         = "ubuntu-2604-resolute-amd64-v20260918"
source_image_project = "ubuntu-os-cloud"
source_image_family  = "ubuntu-2604-lts-amd64"
