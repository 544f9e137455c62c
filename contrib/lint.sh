#!/bin/sh
# make lint: what tools can find without running anything. Runs every check, and exits with 1 if one
# of them found something.
set -u
cd "$(dirname "$0")/.."

scratch=build/lint
found=0

# Prints the output of a check under its name. A check that prints nothing found nothing.
report() {
	if [ -s "$scratch/out" ]; then
		printf '\n== %s\n' "$1"
		cat "$scratch/out"
		found=1
	else
		echo "ok  $1"
	fi
}

# name command ...: a finding is a failure or any output.
check() {
	name=$1
	shift
	"$@" >"$scratch/out" 2>&1 || echo "failed: $*" >>"$scratch/out"
	report "$name"
}

formatted() {
	for file in src/*/*.[ch] tests/unit/*/*.c tests/fuzz/*.[ch] tests/sim/*.[ch]; do
		clang-format --dry-run --Werror "$file" 2>/dev/null || echo "$file: make fmt"
	done
}

analyzed() {
	flags="-std=c11 -D_GNU_SOURCE -Isrc $(pkg-config --cflags \
		libcurl libcrypto lmdb gmime-3.0 libconfuse jansson libsystemd)"
	for file in src/*/*.c; do
		# shellcheck disable=SC2086
		clang --analyze --analyzer-output text $flags -o /dev/null "$file" 2>&1
	done | grep -E '(warning|error):'
	return 0
}

manuals() {
	mandoc -Tlint -W warning docs/*.[1-8]
}

shells() {
	for script in $(git ls-files | xargs grep -lE '^#!/bin/(ba)?sh'); do
		sh -n "$script"
	done
}

pythons() {
	/usr/bin/python3 - $(git ls-files '*.py' contrib/mutants) <<-'END'
		import sys
		for name in sys.argv[1:]:
		    text = open(name, encoding="utf-8").read()
		    compile(text, name, "exec")
		    for number, line in enumerate(text.splitlines(), 1):
		        if len(line) > 100 or line != line.rstrip():
		            print(f"{name}:{number}: longer than 100, or blanks at its end")
	END
}

banned() {
	! grep -nwE '(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|strtou?l{1,2}|sscanf|alloca)[[:space:]]*\(' \
		src/*/*.[ch] tests/unit/*/*.c tests/fuzz/*.[ch] tests/sim/*.[ch]
}

# Limits in lines for a file of one concept, and for a header that is a contract.
sizes() {
	wc -l src/*/*.c | awk '$2 != "total" && $1 > 800 { print $2 ": " $1 " lines, over 800" }'
	wc -l src/*/*.h | awk '$2 != "total" && $1 > 150 { print $2 ": " $1 " lines, over 150" }'
}

# A folder may include itself and those above it in this list, so that no two depend on each other.
folders='base mail conf imap jmap rspamd ledger source output learn command'

layered() {
	below=
	for folder in $folders; do
		below="$below $folder"
		allowed=$(echo $below | tr ' ' '|')
		grep -nE '^#include "' src/$folder/*.[ch] |
			grep -vE "#include \"($allowed)/[a-z0-9_]+\.h\"" |
			sed 's/$/: goes up, or is not written from src\//'
	done
	for folder in src/*/; do
		echo " $folders " | grep -q " $(basename $folder) " || echo "$folder: no place in the list"
	done
}

# No paths of the machine that it was written on; names in /tmp belong to the tests that create them.
paths() {
	! git grep -nE '/(work|root|home/[a-z]+)/' -- ':!contrib/lint.sh' ':!tests/corpus'
}

mkdir -p $scratch
check 'clang-format' formatted
for compiler in gcc clang; do
	check "$compiler without warnings" \
		make -s -j2 CC=$compiler DEV=1 BUILD=$scratch/$compiler all units sim-program
done
check 'clang --analyze' analyzed
check 'mandoc' manuals
check 'sh -n' shells
check 'python' pythons
check 'banned functions' banned
check 'sizes' sizes
check 'includes go down' layered
check 'paths' paths
exit $found
