# learnspool - see README.md. Everything is built below build/, one folder a kind of build:
#   make                   the program: build/learnspool
#   make DEV=1             warnings are errors
#   make SAN=address,undefined
#   make CC=clang

VERSION = 0.1.0

prefix     ?= /usr/local
sysconfdir ?= /etc
bindir      = $(prefix)/bin
mandir      = $(prefix)/share/man
docdir      = $(prefix)/share/doc/learnspool
datadir     = $(prefix)/share/learnspool

CC     ?= cc
PYTHON ?= /usr/bin/python3
CFLAGS ?= -O2 -g

BUILD    ?= build
LIBS      = libcurl libcrypto lmdb gmime-3.0 libconfuse jansson
WARNINGS  = -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wvla
CPPFLAGS += -D_GNU_SOURCE -DLEARNSPOOL_VERSION='"$(VERSION)"' \
            -DLEARNSPOOL_CONF='"$(sysconfdir)/learnspool/learnspool.conf"'
ALL_CFLAGS  = -std=c11 $(WARNINGS) $(CFLAGS) $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
ALL_LDFLAGS = $(LDFLAGS)
ALL_LIBS    = $(shell pkg-config --libs $(LIBS) 2>/dev/null)

ifdef DEV
ALL_CFLAGS += -Werror
endif
ifdef SAN
ALL_CFLAGS  += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined
ALL_LDFLAGS += -fsanitize=$(SAN)
endif

ifdef FAULT
CPPFLAGS += -DLEARNSPOOL_FAULT
endif

SOURCES = $(wildcard src/*.c)
OBJECTS = $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
PARTS   = $(filter-out $(BUILD)/obj/main.o,$(OBJECTS))
UNITS   = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))

.PHONY: all setup check units valgrind demo bench lint fmt install uninstall clean

all: $(BUILD)/learnspool

$(BUILD)/learnspool: $(OBJECTS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/obj/%.o: src/%.c Makefile | $(BUILD)/obj
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# What the tests need is linked from this archive, and no more.
$(BUILD)/parts.a: $(PARTS)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/parts.a | $(BUILD)/unit
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Isrc -MMD -MP -o $@ $< $(BUILD)/parts.a \
	    $(ALL_LIBS) -lcmocka

$(BUILD)/obj $(BUILD)/unit:
	mkdir -p $@

-include $(wildcard $(BUILD)/obj/*.d $(BUILD)/unit/*.d)

# ---- what the README shows ----

demo: setup
	$(MAKE) all
	LEARNSPOOL=$(BUILD)/learnspool $(PYTHON) tests/demo/demo.py

# All tests: unit tests with sanitizers, then the system tests on real servers.
check: setup
	$(PYTHON) tests/check.py

setup:
	contrib/setup-debian.sh

# ---- for those who work on it ----

units: $(UNITS)

# The unit tests under valgrind; make check has the sanitizers.
valgrind: units
	@for test in $(UNITS); do echo $$test; \
	    valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
	        --suppressions=tests/unit/valgrind.supp $$test 2>&1 | grep -E '^==' && exit 1; \
	done; true

bench: all
	LEARNSPOOL=$(BUILD)/learnspool $(PYTHON) tests/bench/bench_learn.py
	LEARNSPOOL=$(BUILD)/learnspool $(PYTHON) tests/bench/bench_expire.py

lint: all
	contrib/lint.sh

fmt:
	clang-format -i src/*.[ch] tests/unit/*.c tests/fuzz/*.c

install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(datadir)/sieve $(DESTDIR)$(datadir)/dovecot \
	    $(DESTDIR)$(datadir)/systemd $(DESTDIR)$(datadir)/cron $(DESTDIR)$(docdir)/conf \
	    $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man5
	install -m 755 $(BUILD)/learnspool $(DESTDIR)$(bindir)/learnspool
	install -m 644 sieve/*.sieve $(DESTDIR)$(datadir)/sieve
	install -m 644 contrib/dovecot/* $(DESTDIR)$(datadir)/dovecot
	install -m 644 contrib/systemd/* $(DESTDIR)$(datadir)/systemd
	install -m 644 contrib/cron/* $(DESTDIR)$(datadir)/cron
	install -m 644 README.md NEWS LICENSE docs/*.md $(DESTDIR)$(docdir)
	install -m 644 conf/* $(DESTDIR)$(docdir)/conf
	install -m 644 docs/*.1 $(DESTDIR)$(mandir)/man1
	install -m 644 docs/*.5 $(DESTDIR)$(mandir)/man5

uninstall:
	rm -f $(DESTDIR)$(bindir)/learnspool
	rm -f $(patsubst docs/%,$(DESTDIR)$(mandir)/man1/%,$(wildcard docs/*.1))
	rm -f $(patsubst docs/%,$(DESTDIR)$(mandir)/man5/%,$(wildcard docs/*.5))
	rm -rf $(DESTDIR)$(docdir) $(DESTDIR)$(datadir)

clean:
	rm -rf build

# ---- fuzzing: tests/fuzz/fuzz_NAME.c, its seeds and dictionary ----

FUZZ_TIME ?= 60
FUZZERS    = $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BUILD = $(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Isrc

.PHONY: fuzz fuzz-seeds fuzz-targets

# Each target for FUZZ_TIME seconds; what it learns stays in build/fuzzing for the next time.
fuzz:
	$(MAKE) fuzz-targets BUILD=build/fuzzing CC=clang SAN=address,undefined,fuzzer-no-link
	@for name in $(FUZZERS); do \
	    mkdir -p build/fuzzing/corpus/$$name && echo "fuzz_$$name:" && \
	    build/fuzzing/target/fuzz_$$name -max_total_time=$(FUZZ_TIME) -timeout=20 \
	        -dict=tests/fuzz/$$name.dict -artifact_prefix=build/fuzzing/$$name- -verbosity=0 \
	        -print_final_stats=1 build/fuzzing/corpus/$$name tests/fuzz/seeds/$$name || exit 1; \
	done

fuzz-targets: $(FUZZERS:%=$(BUILD)/target/fuzz_%)

# The same targets with any compiler, run over files: tests/check.py runs the seeds.
fuzz-seeds: $(FUZZERS:%=$(BUILD)/fuzz/fuzz_%)

$(BUILD)/target/%: tests/fuzz/%.c tests/fuzz/fuzz.h $(BUILD)/parts.a
	mkdir -p $(@D)
	$(FUZZ_BUILD) -fsanitize=fuzzer -o $@ $< $(BUILD)/parts.a $(ALL_LIBS)

$(BUILD)/fuzz/%: tests/fuzz/%.c tests/fuzz/standalone.c tests/fuzz/fuzz.h $(BUILD)/parts.a
	mkdir -p $(@D)
	$(FUZZ_BUILD) -o $@ $< tests/fuzz/standalone.c $(BUILD)/parts.a $(ALL_LIBS)
