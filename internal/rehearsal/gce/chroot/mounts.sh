# Mounts a machine's root file system, seen by nobody else: this runs in the
# machine's own mount namespace.
# $1 what boots, $2 where, $3 rw, layer, ro, state or overlay, $4 the platform's folder,
# $5 the host name, and then pairs of a device's name and its file
set -eu
root=$2
case "$3" in
layer) overlay "$1" "$2" ;;
overlay)
	mount -t tmpfs -o mode=755 tmpfs "$4/memory"
	mkdir "$4/memory/upper" "$4/memory/work"
	ln -s "$1" "$4/memory/base"
	if ! overlay "$4/memory" "$2"; then
		# A kernel that overlays nothing in a container: all of it is in memory then.
		cp --archive --no-target-directory "$1" "$4/memory/upper"
		mount --bind "$4/memory/upper" "$2"
	fi
	;;
state)
	mount --bind -o ro "$1" "$2"
	mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$2/var"
	;;
*) mount --bind -o "$3" "$1" "$2" ;;
esac
mount -t proc -o nosuid,nodev,noexec proc "$2/proc"
mount --bind -o ro "$4/sys" "$2/sys"
mount -t tmpfs -o mode=755,nosuid tmpfs "$2/dev"
for device in null zero full random urandom tty; do
	: >"$2/dev/$device"
	mount --bind "/dev/$device" "$2/dev/$device"
done
mkdir "$2/dev/pts" "$2/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$2/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$2/dev/shm"
ln -s pts/ptmx "$2/dev/ptmx"
ln -s /proc/self/fd "$2/dev/fd"
ln -s fd/0 "$2/dev/stdin"
ln -s fd/1 "$2/dev/stdout"
ln -s fd/2 "$2/dev/stderr"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$2/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$2/tmp"
# What an image keeps in memory, /var of a read-only root for one. Disks other than the root there are none.
if test -f "$2/etc/fstab" && ! test -L "$2/etc/fstab"; then
	while read -r what where type options rest || test -n "$what"; do
		case "$what $type" in
		'#'*) ;;
		*' tmpfs') mount -t tmpfs -o "$options" tmpfs "$2$where" ;;
		esac
	done <"$2/etc/fstab"
fi
mkdir -m 1777 "$2/run/lock"
mkdir "$2/run/sshd" "$2/run/platform"
mount --bind "$4/run" "$2/run/platform"
# What depends on this machine is laid over the image's files, so that it never gets into an image.
for file in resolv.conf hosts; do
	if test -f "$2/etc/$file" && ! test -L "$2/etc/$file"; then
		mount --bind "$4/etc/$file" "$2/etc/$file"
	fi
done
hostname "$5"
shift 5
# A file stands for the device that udev would name so.
while test $# -gt 0; do
	mkdir -p "$root/dev/disk/by-id"
	: >"$root/dev/disk/by-id/google-$1"
	mount --bind "$2" "$root/dev/disk/by-id/google-$1"
	shift 2
done
