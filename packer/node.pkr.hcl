# Builds the image of one profile. Variables come from base.pkrvars.hcl, from
# profiles/<profile>.pkrvars.hcl and from the pipeline (internal/node/packer).
packer {
  required_version = "= 1.9.4" # the last one under the MPL-2.0

  required_plugins {
    googlecompute = {
      source  = "github.com/hashicorp/googlecompute"
      version = "= 1.2.5"
    }
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = "= 1.0.3"
    }
    nodeimage = {
      source  = "github.com/calimero-network/nodeimage"
      version = "= 0.1.0"
    }
  }
}

# VMs that Packer builds on are ordinary ones: the plugin has no option for
# confidential VMs. What is built is booted as a TDX VM to be measured.
source "googlecompute" "node" {
  project_id       = var.project
  zone             = var.zone
  credentials_json = var.credentials

  source_image            = var.source_image
  source_image_project_id = [var.source_image_project]

  image_name              = var.image_name
  image_family            = var.image_family
  image_description       = "mero-tee ${var.release}, profile ${var.profile}, content ${var.content_id}"
  image_labels            = var.image_labels
  image_architecture      = "x86_64" # the disk that it is made of was blank, and says none
  image_guest_os_features = ["UEFI_COMPATIBLE", "GVNIC", "TDX_CAPABLE"]

  instance_name = var.instance_name
  disk_name     = var.instance_name # the plugin cannot label disks: they are known by their names
  labels        = var.labels
  machine_type  = var.machine_type
  disk_type     = "pd-balanced"
  disk_size     = 20
  network       = var.network
  subnetwork    = var.subnetwork
  tags          = var.tags

  # The image is made of this disk, which the seal writes whole. Nothing of the
  # disk above, which the build runs on, gets into an image.
  disk_attachment {
    disk_name       = "${var.instance_name}-image"
    device_name     = "mero" # /dev/disk/by-id/google-mero
    volume_type     = "pd-balanced"
    volume_size     = 2
    interface_type  = "NVME" # the plugin's default is SCSI, which no C3 machine has
    attachment_mode = "READ_WRITE"
    create_image    = true
  }

  # Should everything else fail, the cloud itself ends the VM.
  max_run_duration_in_seconds = 3600
  instance_termination_action = "DELETE"
  on_host_maintenance         = "TERMINATE"

  disable_default_service_account = true
  use_os_login                    = false
  metadata                        = { block-project-ssh-keys = "TRUE" }

  communicator            = "ssh"
  ssh_username            = "packer"
  ssh_port                = var.ssh_port
  ssh_timeout             = "5m"
  temporary_key_pair_type = "ed25519"
}

build {
  sources = ["source.googlecompute.node"]

  provisioner "ansible" {
    playbook_file = "${path.root}/../ansible/node.yml"
    user          = "packer"
    use_proxy     = false # the plugin's SSH proxy would be a second connection in between
    extra_arguments = ["--extra-vars", jsonencode({
      image_profile   = var.profile
      image_roles     = var.roles
      image_disk      = "/dev/disk/by-id/google-mero"
      companions      = var.companions
      programs        = var.programs
      programs_dir    = var.programs_dir
      tools_dir       = var.tools_dir
      tdx_root_sha256 = var.tdx_root_sha256
      archive         = "${var.output}/files.tar"
      report_file     = "${var.output}/report.txt"
    })]
    ansible_env_vars   = ["ANSIBLE_CONFIG=${path.root}/../ansible/ansible.cfg"]
    skip_version_check = true # the record says which version it was
  }

  post-processor "nodeimage-record" {
    profile            = var.profile
    release            = var.release
    commit             = var.commit
    content_id         = var.content_id
    base_image         = var.source_image
    base_image_project = var.source_image_project
    report             = "${var.output}/report.txt"
    binaries           = "${var.output}/binaries.json"
    googlecompute      = var.googlecompute_version
    ansible_plugin     = var.ansible_version
    output             = "${var.output}/record.json"
  }
}
