# Makes what mmdebstrap left the like of a cloud image. $1 is the root file system.
set -eu
# A cloud image gets its host keys at the first boot.
rm -f "$1"/etc/ssh/ssh_host_*_key "$1"/etc/ssh/ssh_host_*_key.pub
# What this machine has must not go into the image. Machines mount over these.
rm -f "$1/etc/resolv.conf" "$1/etc/hostname" "$1/etc/hosts"
echo localhost >"$1/etc/hostname"
echo '127.0.0.1 localhost' >"$1/etc/hosts"
: >"$1/etc/resolv.conf"
# grub-pc and grub-efi do this when they are installed, and install a boot loader too.
cp "$1/usr/share/grub/default/grub" "$1/etc/default/grub"
mkdir -p "$1/etc/default/grub.d"
