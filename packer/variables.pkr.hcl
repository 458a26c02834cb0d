variable "profile" {
  type        = string
  description = "Which image is built."
  validation {
    condition     = contains(["debug", "debug-read-only", "locked-read-only"], var.profile)
    error_message = "The profile must be debug, debug-read-only or locked-read-only."
  }
}
variable "roles" {
  type        = list(string)
  description = "The Ansible roles of the profile, in order."
}
variable "companions" {
  type        = list(string)
  description = "The programs beside the agent that the profile has."
}

variable "source_image" {
  type        = string
  description = "Exact name of the image that the build starts from."
  validation {
    condition     = can(regex("-v[0-9]{8}[a-z]?$", var.source_image))
    error_message = "The base image must be pinned to a dated image, as in ubuntu-2604-resolute-amd64-v20260918."
  }
}
variable "source_image_project" {
  type = string
}
variable "source_image_family" {
  type        = string
  description = "Where the pin came from. No build reads it."
}

variable "project" {
  type = string
}
variable "zone" {
  type = string
}
variable "credentials" {
  type        = string
  default     = env("GOOGLE_CREDENTIALS")
  sensitive   = true
  description = "A service account's key; empty means application default credentials."
}
variable "machine_type" {
  type    = string
  default = "c3-standard-4"
}
variable "network" {
  type    = string
  default = "default"
}
variable "subnetwork" {
  type    = string
  default = ""
}
variable "tags" {
  type        = list(string)
  default     = []
  description = "Network tags that let the builder's SSH in."
}
variable "ssh_port" {
  type    = number
  default = 22
}
variable "instance_name" {
  type        = string
  description = "Name of the build VM, and of its disk."
}
variable "labels" {
  type        = map(string)
  description = "Labels of the build VM: owner, run, expires."
}

variable "image_name" {
  type = string
}
variable "image_family" {
  type    = string
  default = ""
}
variable "image_labels" {
  type = map(string)
}
variable "release" {
  type        = string
  description = "The version, X.Y.Z or X.Y.Z-rc.N."
}
variable "commit" {
  type    = string
  default = ""
}
variable "content_id" {
  type        = string
  description = "SHA-256 over everything that decides the image."
}

variable "programs" {
  type        = list(object({ name = string, version = string, sha256 = string }))
  description = "What must lie in /usr/lib/mero: the agent and the profile's companions."
}
variable "programs_dir" {
  type        = string
  description = "Folder that has them as they go over the image's root."
}
variable "tools_dir" {
  type        = string
  description = "Folder that has what runs in the build VM below /run/mero, and is not in the image: mero-predict."
}
variable "tdx_root_sha256" {
  type        = string
  default     = ""
  description = "Digest of the TDX root that the agent believes; empty means Intel's."
}
variable "output" {
  type        = string
  description = "Folder for the report and the image record."
}
variable "googlecompute_version" {
  type        = string
  description = "Version of that plugin, for the record."
}
variable "ansible_version" {
  type        = string
  description = "Version of that plugin, for the record."
}
