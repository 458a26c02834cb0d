# What every node image is built on, pinned to an exact image: RTMR1 and RTMR2
# follow it. It came from the family "ubuntu-2404-tdx" of this project, which no
# build reads: a newer image there is reported, and moving to it is a commit.
source_image         = "ubuntu-2404-tdx-v20250101"
source_image_project = "confidential-vm-images"
source_image_family  = "ubuntu-2404-tdx"
