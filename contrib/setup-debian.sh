#!/bin/sh
# Install what learnspool needs on Debian 12: to build it, and to test it.
#
#     contrib/setup-debian.sh          both
#     contrib/setup-debian.sh build    only what building needs
#
# Run as root, or as a user who may use sudo. Does nothing when everything is there. The mail
# servers are for the tests, which start private ones: those that this script brings in
# are neither started nor enabled; those that were there before are left as they are.
set -eu

# package, and what it is for
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
'
test='
clang                the second compiler, and libFuzzer
clang-format         make fmt, make lint
libclang-rt-14-dev   sanitizers and libFuzzer for clang
libcmocka-dev        unit tests
valgrind             memory checks
python3              system tests and the demonstration
python3-pytest       system tests
dovecot-imapd        a real IMAP server
dovecot-lmtpd        delivers mail to it
dovecot-sieve        runs the scripts in sieve/
rspamd               the real thing
redis-server         where rspamd keeps what it learned
postfix              carries the redirects of what users report
mandoc               checks the manual pages
openssl              certificates of the test servers
procps               shows that nothing is left running
'
# packages with a service, which is named like the package, without -core
daemons='
dovecot-core
postfix
redis-server
rspamd
'

# Names of the packages on standard input that are not installed.
missing() {
	while read -r name _; do
		[ -n "$name" ] || continue
		state=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) || state=
		[ "$state" = installed ] || echo "$name"
	done
}

case ${1-} in
build) wanted=$build ;;
'') wanted=$build$test ;;
*)
	echo "usage: $0 [build]" >&2
	exit 64
	;;
esac

names=$(echo "$wanted" | missing)
if [ -z "$names" ]; then
	echo "setup-debian: everything is installed"
	exit 0
fi

echo "setup-debian: to be installed:"
for name in $names; do
	echo "$wanted" | grep "^$name "
done | sed 's/^/    /'

if [ "$(id -u)" -ne 0 ]; then
	echo "setup-debian: going on as root, by sudo"
	exec sudo sh "$0" "$@"
fi

# Services that are here already keep running; all that comes with the packages stays off.
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
case " $(echo "$names" | tr '\n' ' ')" in
*' postfix '*)
	command -v debconf-set-selections >/dev/null ||
		apt-get install -q -y --no-install-recommends debconf
	echo 'postfix postfix/main_mailer_type select No configuration' |
		debconf-set-selections
	;;
esac
# Unquoted on purpose: one argument a package.
# shellcheck disable=SC2086
apt-get install -q -y --no-install-recommends $names

if command -v systemctl >/dev/null; then
	for package in $ours; do
		systemctl disable --quiet "${package%-core}.service"
	done
fi
echo "setup-debian: done"
