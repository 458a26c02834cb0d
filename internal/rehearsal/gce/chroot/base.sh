# Makes what mmdebstrap left the like of a cloud image. $1 is the root file system.
set -eu
# A cloud image gets its host keys at the first boot.
rm -f "$1"/etc/ssh/ssh_host_*_key "$1"/etc/ssh/ssh_host_*_key.pub
# What this machine has must not go into the image. Machines mount over these.
rm -f "$1/etc/resolv.conf" "$1/etc/.resolv.conf.systemd-resolved.bak" "$1/etc/hostname" "$1/etc/hosts"
echo localhost >"$1/etc/hostname"
echo '127.0.0.1 localhost' >"$1/etc/hosts"
: >"$1/etc/resolv.conf"
# The keyring that this machine used is the image's own there.
sed -i 's,^Signed-By: .*,Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg,' "$1"/etc/apt/sources.list.d/*.sources
# A kernel's package may have made one all the same; the seal makes the one that counts.
rm -f "$1"/boot/initrd.img*
