#!/bin/sh
# Run the README's two commands on a clean Debian, as a new user would: make demo, make check.
#
#     make check-debian RELEASE=trixie MODE=container
#     contrib/check-debian.sh RELEASE [MODE]
#
# RELEASE is bookworm, trixie or sid. MODE is how the commands are run there:
#
#     root       as root with all capabilities
#     container  as root with the capabilities of a plain container, without /dev/shm
#     user       as a user who may install nothing, in a path with a blank, with a umask of 077
#                and a TMPDIR of their own; root only runs the command that setup-debian.sh prints
#
# What is committed is cloned into a system that debootstrap makes below build/debian. It uses
# this machine's network, name service and apt settings (mirror, proxy, credentials; MIRROR
# overrides the mirror), and namespaces of its own if the kernel allows them. At the end all of it
# is removed except the log and the downloaded packages of the base system. Needs root, debootstrap,
# git, 4 GB of disk and the network.
set -eu
export LC_ALL=C
umask 022

release=${1-} mode=${2:-root}
case $release:$mode in
bookworm:root | bookworm:container | bookworm:user | trixie:root | trixie:container | \
	trixie:user | sid:root | sid:container | sid:user) ;;
*)
	echo "usage: $0 bookworm|trixie|sid [root|container|user]" >&2
	exit 64
	;;
esac
if [ "$(id -u)" -ne 0 ]; then
	echo "check-debian: only root can make a system" >&2
	exit 77
fi
for command in debootstrap git unshare setpriv; do
	command -v $command >/dev/null || {
		echo "check-debian: $command is needed: apt-get install debootstrap git util-linux" >&2
		exit 69
	}
done

source=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
work=$source/build/debian
name=$release-$mode
root=$work/$name
log=$work/$name.log
mkdir -p "$work/packages"
[ ! -e "$root" ] || {
	echo "check-debian: $root is there already: remove it, if no other run is using it" >&2
	exit 73
}
child=''
trap 'rm -rf --one-file-system "$root"' EXIT
# unshare obeys no other signal; the processes in its namespace end with it.
trap '[ -z "$child" ] || kill -KILL $child; exit 1' HUP INT TERM

# The URI of this machine's archive with that label.
archive() {
	apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		sed -n "s/^$1 //p" | head -n 1
}

make_system() {
	debian=${MIRROR:-$(archive Debian)}
	debian=${debian:-http://deb.debian.org/debian}
	debootstrap --variant=minbase --cache-dir="$work/packages" --include=ca-certificates \
		"$release" "$root" "$debian"
	echo "deb $debian $release main" >"$root/etc/apt/sources.list"
	if [ "$release" != sid ]; then
		security=$(archive Debian-Security)
		echo "deb $debian $release-updates main"
		echo "deb ${security:-http://deb.debian.org/debian-security} $release-security main"
	fi >>"$root/etc/apt/sources.list"
	apt-config dump | grep -E '^Acquire::(http|https|Check-|Retries|ForceIPv)' \
		>"$root/etc/apt/apt.conf.d/99host" || true
	for file in auth.conf auth.conf.d; do
		[ ! -e /etc/apt/$file ] || cp -R /etc/apt/$file "$root/etc/apt/"
	done
	cp /etc/hosts /etc/resolv.conf "$root/etc/"
	# This machine trusts the proxy's own authority, so the new system needs it too.
	cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
	inside root / 'apt-get update -q && apt-get install -q -y --no-install-recommends make'
}

# inside WHO FOLDER COMMANDS: run commands in the new system; WHO is a mode, or root.
inside() {
	who=$1 folder=$2 commands=$3 shm=yes
	set -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C
	for variable in http_proxy https_proxy no_proxy; do
		eval "value=\${$variable-}"
		[ -z "$value" ] || set -- "$@" "$variable=$value"
	done
	case $who in
	user)
		set -- setpriv --reuid=newcomer --regid=newcomer --init-groups \
			--bounding-set=-all --inh-caps=-all --no-new-privs \
			"$@" HOME=/srv/newcomer TMPDIR=/srv/newcomer/tmp
		;;
	container)
		caps=-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid
		caps=$caps,+setfcap,+setpcap,+net_bind_service,+sys_chroot,+kill,+audit_write
		shm=no
		set -- setpriv --bounding-set=$caps --inh-caps=-all "$@" HOME=/root
		;;
	*) set -- "$@" HOME=/root ;;
	esac
	set -- chroot "$root" "$@" sh -c "[ $who != user ] || umask 077; cd \"\$1\" && $commands" \
		sh "$folder"
	if [ -n "$namespaces" ]; then
		# A /dev that has only what every container has.
		exec unshare --mount --pid --fork --kill-child sh -euc '
			root=$1 shm=$2
			shift 2
			# A mount of its own: else the tests could have no namespaces in there.
			mount --bind "$root" "$root"
			mount -t proc proc "$root/proc"
			mount -t tmpfs -o mode=755 dev "$root/dev"
			for node in null zero full random urandom tty; do
				: >"$root/dev/$node"
				mount --bind "/dev/$node" "$root/dev/$node"
			done
			mkdir "$root/dev/pts"
			mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
			ln -s pts/ptmx "$root/dev/ptmx"
			ln -s /proc/self/fd "$root/dev/fd"
			if [ "$shm" = yes ]; then
				mkdir "$root/dev/shm"
				mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
			fi
			exec "$@"' sh "$root" $shm "$@"
	else
		"$@"
	fi </dev/null &
	child=$!
	status=0
	wait $child || status=$?
	child=''
	return $status
}

# The command that setup-debian.sh, run by an ordinary user, prints for root.
run_what_is_asked_for() {
	asked=$1
	command=$(sed -n '/have root run this once:/{n;s/^ *//p;q}' "$asked")
	[ -n "$command" ] || {
		echo "check-debian: setup did not print the command for root"
		return 1
	}
	echo "check-debian: as root: $command"
	inside root / "$command"
}

type_commands() {
	if [ "$mode" = user ]; then
		echo "check-debian: make demo, the first time"
		if inside user "$1" 'make demo' >"$work/$name.asked" 2>&1; then
			echo "check-debian: make demo needs nothing to be installed?"
			return 1
		fi
		cat "$work/$name.asked"
		run_what_is_asked_for "$work/$name.asked" || return
	fi
	inside "$mode" "$1" 'make demo' && inside "$mode" "$1" 'make check'
}

namespaces=''
if unshare --mount --pid --fork --kill-child mount -t tmpfs none /mnt 2>/dev/null; then
	namespaces=yes
else
	echo "check-debian: no namespaces here: in a bare chroot"
fi
echo "check-debian: $name; log: $log"
make_system >"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	exit 1
}
place=/srv/learnspool
if [ "$mode" = user ]; then
	place='/srv/newcomer/a clone/learnspool'
	chroot "$root" useradd --create-home --home-dir /srv/newcomer newcomer
	install -d -o 1000 -g 1000 "$root/srv/newcomer/tmp"
fi
git clone -q "file://$source" "$root$place" 2>>"$log"
[ "$mode" != user ] || chown -R 1000:1000 "$root/srv/newcomer"

failed=''
type_commands "$place" >>"$log" 2>&1 || failed=yes
rm -f "$work/$name.asked"
if [ -n "$failed" ]; then
	tail -n 40 "$log" >&2
fi
echo "check-debian: $name: $(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)"
[ -z "$failed" ]
