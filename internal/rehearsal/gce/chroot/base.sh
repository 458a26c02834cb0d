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
# No kernel of an image runs here, and a minimal base has none. What is judged of a
# kernel is what is installed: this package says what the public image's would of
# Ubuntu 26.04, and holds no program. There is no /boot/vmlinuz: nothing boots it.
kernel=7.0.0-1012-gcp
stub=$(mktemp -d)
mkdir -p "$stub/DEBIAN" "$stub/boot" "$stub/usr/lib/modules/$kernel/kernel/drivers/virt/coco/tdx-guest"
cat >"$stub/DEBIAN/control" <<END
Package: linux-modules-$kernel
Version: 7.0.0-1012.12~rehearsal
Architecture: all
Maintainer: the rehearsal <nobody@rehearsal.invalid>
Description: stand-in for the modules of the public image's kernel
END
echo 'a stand-in' >"$stub/usr/lib/modules/$kernel/kernel/drivers/virt/coco/tdx-guest/tdx-guest.ko.zst"
printf '%s\n' CONFIG_INTEL_TDX_GUEST=y CONFIG_TDX_GUEST_DRIVER=m CONFIG_TSM_MEASUREMENTS=y >"$stub/boot/config-$kernel"
dpkg-deb --root-owner-group --build "$stub" "$stub.deb" >/dev/null
dpkg --root="$1" --install "$stub.deb" >/dev/null
rm -r "$stub" "$stub.deb"
