# What Google's guest agent does for each login in the metadata's ssh-keys.
# $1 the login, $2 its keys; runs in the image, as root.
set -eu
id -u "$1" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --password '*' "$1"
getent group google-sudoers >/dev/null || groupadd --system google-sudoers
usermod --append --groups google-sudoers "$1"
if ! test -e /etc/sudoers.d/google_sudoers; then
	umask 337
	echo '%google-sudoers ALL=(ALL:ALL) NOPASSWD:ALL' >/etc/sudoers.d/google_sudoers
fi
umask 077
home=$(getent passwd "$1" | cut -d: -f6)
mkdir -p "$home/.ssh"
printf '%s\n' "$2" >"$home/.ssh/authorized_keys"
chown -R "$1:$(id -gn "$1")" "$home/.ssh" # Ubuntu 26.04's chown leaves the group of "$1:" alone
