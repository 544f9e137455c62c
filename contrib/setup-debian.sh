#!/bin/sh
# Install what learnspool needs on Debian, 12 or newer: to build it, and to test it.
#
#     contrib/setup-debian.sh          both
#     contrib/setup-debian.sh build    only what building needs
#
# Run as root, or as a user who may use sudo; for any other user it prints the command that root
# must run once. Does nothing if everything is installed. The mail servers are for the tests, which
# start private ones: servers that this script installs are neither started nor enabled; those
# that were there before are not touched.
set -eu
export LC_ALL=C

# package, and what it is for; a|b: the first one that is installed or that apt offers
build='
gcc                  C compiler
make                 runs the build
pkg-config           finds the libraries
libcurl4-openssl-dev TLS, SASL and HTTP
libssl-dev           digests
liblmdb-dev          the ledger
libinotifytools0-dev watching a spool
libgmime-3.0-dev     MIME
libconfuse-dev       the configuration
libjansson-dev       JSON
libsystemd-dev       tells systemd what watch does
'
test='
clang                the second compiler, and libFuzzer
clang-format         make fmt, make lint
libcmocka-dev        unit tests
valgrind             memory checks
python3              system tests and the demonstration
python3-pytest       system tests
dovecot-imapd        a real IMAP server
dovecot-lmtpd        delivers mail to it
dovecot-sieve        runs the scripts in sieve/
rspamd               the real thing
redis-server|valkey-server where rspamd keeps what it learned
postfix              carries the redirects of what users report
mandoc               checks the manual pages
openssl              certificates of the test servers
procps               shows that nothing is left running
'
# packages with a service, which has the package's name without -core
daemons='
dovecot-core
postfix
redis-server
rspamd
valkey-server
'
rust=1.88 # what tests/sieve-rs needs

is_installed() {
	state=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) || return 1
	[ "$state" = installed ]
}

# The version that apt would install; nothing if it offers none.
offered() {
	apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([^(].*\)/\1/p'
}

# Names of the packages on standard input that are not installed.
missing() {
	while read -r names _; do
		[ -n "$names" ] || continue
		first='' found=''
		for name in $(echo "$names" | tr '|' ' '); do
			is_installed "$name" && found=$name && break
			[ -n "$first" ] || [ -z "$(offered "$name")" ] || first=$name
		done
		[ -n "$found" ] || echo "${first:-${names%%|*}}"
	done
}

# Packages whose name or version depends on the release, as far as apt knows them.
by_release() {
	version=$(apt-cache depends clang 2>/dev/null |
		sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
	[ -z "$version" ] ||
		echo "libclang-rt-$version-dev   sanitizers and libFuzzer for clang"
	[ -z "$(offered valkey-server)" ] || echo "valkey-server        Redis by its other name"
	is_newer "$(cargo --version 2>/dev/null | cut -d ' ' -f 2)" && return
	for name in cargo cargo-web; do
		is_newer "$(offered $name)" || continue
		echo "$name   runs the scripts in sieve/ in Stalwart's engine"
		break
	done
}

is_newer() {
	[ -n "$1" ] && dpkg --compare-versions "$1" ge $rust
}

case ${1-} in
build) all='' ;;
'') all=yes ;;
*)
	echo "usage: $0 [build]" >&2
	exit 64
	;;
esac

# Packages that are always needed.
needed() {
	echo "$build"
	[ -z "$all" ] || echo "$test"
}

# All packages that are wanted, as far as apt offers them now.
list() {
	needed
	[ -z "$all" ] || by_release
}

names=$(list | missing)
if [ -z "$names" ]; then
	echo "setup-debian: everything is installed"
	exit 0
fi

may_sudo() {
	command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }
}

if [ "$(id -u)" -ne 0 ]; then
	if [ -z "$(needed | missing)" ]; then
		echo "setup-debian: some tests are skipped without: $(echo "$names" | tr '\n' ' ')"
		exit 0
	fi
	if may_sudo; then
		echo "setup-debian: continuing as root, by sudo"
		exec sudo sh "$0" "$@"
	fi
	script=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/$(basename -- "$0")
	quoted=$(printf '%s' "$script" | sed "s/'/'\\\\''/g")
	{
		echo "setup-debian: not installed:"
		echo "$names" | sed 's/^/    /'
		echo "setup-debian: only root can install packages; have root run this once:"
		echo "    sh '$quoted'${1:+ $1}"
	} >&2
	exit 77
fi

# Services that are there already keep running; services of the new packages stay off.
ours=$(echo "$daemons" | missing)
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# Again, because apt may not have known all packages the first time.
wanted=$(list)
names=$(echo "$wanted" | missing)
echo "setup-debian: to be installed:"
for name in $names; do
	echo "$wanted" | grep -E "^([^ ]*\|)?$name[| ]" | tail -n 1
done | sed 's/^/    /'

case " $(echo "$names" | tr '\n' ' ')" in
*' postfix '*)
	command -v debconf-set-selections >/dev/null ||
		apt-get install -q -y --no-install-recommends debconf
	echo 'postfix postfix/main_mailer_type select No configuration' |
		debconf-set-selections
	;;
esac
# Unquoted on purpose: one argument for each package.
# shellcheck disable=SC2086
apt-get install -q -y --no-install-recommends $names

if command -v systemctl >/dev/null; then
	for package in $ours; do
		systemctl disable --quiet "${package%-core}.service"
	done
fi
echo "setup-debian: done"
