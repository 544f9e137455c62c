# learnspool - see README.md. Everything is built below build/, one folder a kind of build:
#   make                   the program: build/learnspool
#   make DEV=1             warnings are errors
#   make SAN=address,undefined
#   make CC=clang
#   make V=1               whole command lines

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
LIBS      = libcurl libcrypto lmdb gmime-3.0 libconfuse jansson libsystemd
WARNINGS  = -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wvla
LIB_CFLAGS := $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
# libinotifytools has no .pc file.
LIB_LIBS   := $(shell pkg-config --libs $(LIBS) 2>/dev/null) -linotifytools

# CPPFLAGS, CFLAGS and LDFLAGS belong to whoever builds; what we cannot do without is here.
ALL_CPPFLAGS = -D_GNU_SOURCE -Isrc -DLEARNSPOOL_VERSION='"$(VERSION)"' \
               -DLEARNSPOOL_CONF='"$(sysconfdir)/learnspool/learnspool.conf"' $(CPPFLAGS)
ALL_CFLAGS   = -std=c11 $(WARNINGS) $(LIB_CFLAGS) $(CFLAGS)
ALL_LDFLAGS  = $(LDFLAGS)

ifdef DEV
ALL_CFLAGS += -Werror
endif
ifdef SAN
ALL_CFLAGS  += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined
ALL_LDFLAGS += -fsanitize=$(SAN)
endif
ifdef FAULT
ALL_CPPFLAGS += -DLEARNSPOOL_FAULT
endif

COMPILE = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP
LINK    = $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)

# One line a file; V=1 for all of it, -s for nothing.
quiet = $(findstring s,$(firstword -$(MAKEFLAGS)))
ifneq ($(V)$(quiet),)
line = $(if $(V),,@)
else
line = @echo '  $1' $(patsubst $(BUILD)/%,%,$2);
endif

SOURCES = $(sort $(wildcard src/*/*.c))
OBJECTS = $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
PARTS   = $(filter-out $(BUILD)/obj/command/main.o,$(OBJECTS))
FAKES   = $(foreach file,$(sort $(wildcard tests/unit/*/*.c)),$(if $(findstring /test_,$(file)),,$(file)))
UNITS   = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/*/test_*.c)))

SIM     = $(sort $(wildcard tests/sim/*.c))

.PHONY: all setup check units sim sim-program valgrind demo bench soak lint fmt install uninstall clean FORCE

all: $(BUILD)/learnspool

$(BUILD)/learnspool: $(OBJECTS)
	$(call line,LD,$@) $(LINK) -o $@ $^ $(LIB_LIBS)

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call line,CC,$<) $(COMPILE) -c -o $@ $<

# What the tests need is linked from this archive, and no more.
$(BUILD)/parts.a: $(PARTS)
	@rm -f $@
	$(call line,AR,$@) $(AR) rcs $@ $^

# tests/unit/fake/memory.c takes the place of the allocator.
UNIT_WRAP = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,-u,__wrap_malloc

$(BUILD)/unit/%: $(BUILD)/unit/%.o $(BUILD)/fakes.a $(BUILD)/parts.a
	$(call line,LD,$@) $(LINK) $(UNIT_WRAP) -o $@ $@.o $(BUILD)/fakes.a $(BUILD)/parts.a $(LIB_LIBS) -lcmocka

# What several unit tests share: fakes of the interfaces, and what must hold for each kind.
$(BUILD)/unit/%.o: tests/unit/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call line,CC,$<) $(COMPILE) -Itests/unit -c -o $@ $<

.SECONDARY: $(UNITS:%=%.o)

$(BUILD)/fakes.a: $(FAKES:tests/unit/%.c=$(BUILD)/unit/%.o)
	@rm -f $@
	$(call line,AR,$@) $(AR) rcs $@ $^

# Histories of runs, users and accidents, in memory: make sim SEEDS=1:100000
SEEDS ?= 1:100000

$(BUILD)/sim/%.o: tests/sim/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call line,CC,$<) $(COMPILE) -c -o $@ $<

# It has processes, folders and a configuration of its own, linked in the place of the program's.
SIM_WRAP = -Wl,--wrap=run_open,--wrap=run_close,--wrap=accounts_open

$(BUILD)/sim/sim: $(SIM:tests/sim/%.c=$(BUILD)/sim/%.o) $(BUILD)/parts.a
	$(call line,LD,$@) $(LINK) $(SIM_WRAP) -o $@ $^ $(LIB_LIBS)

sim-program: $(BUILD)/sim/sim

sim: sim-program
	$(BUILD)/sim/sim -j $$(nproc) $(SEEDS)

# Other flags or another compiler: everything in this folder is built again.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(COMPILE) $(ALL_LDFLAGS))' | cmp -s - $@ || \
	    echo '$(subst ','\'',$(COMPILE) $(ALL_LDFLAGS))' >$@

-include $(wildcard $(BUILD)/obj/*/*.d $(BUILD)/unit/*/*.d $(BUILD)/sim/*.d)

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
	LEARNSPOOL=$(BUILD)/learnspool $(PYTHON) tests/bench/bench_guard.py
	LEARNSPOOL=$(BUILD)/learnspool $(PYTHON) tests/bench/bench_watch.py
	LEARNSPOOL=$(BUILD)/learnspool $(PYTHON) tests/bench/bench_move.py
	LEARNSPOOL=$(BUILD)/learnspool $(PYTHON) tests/bench/bench_stalwart.py

# ---- watch, with everything failing in turn: make soak MINUTES=10 SEED=1 ----

MINUTES ?= 10

soak: all
	LEARNSPOOL=$(BUILD)/learnspool $(PYTHON) tests/soak.py --minutes $(MINUTES) --seed $(SEED)

lint: all
	contrib/lint.sh

fmt:
	clang-format -i src/*/*.[ch] tests/unit/*/*.[ch] tests/fuzz/*.[ch] tests/sim/*.[ch]

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
FUZZ_BUILD = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS)

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
	@mkdir -p $(@D)
	$(call line,CC,$<) $(FUZZ_BUILD) -fsanitize=fuzzer -o $@ $< $(BUILD)/parts.a $(LIB_LIBS)

$(BUILD)/fuzz/%: tests/fuzz/%.c tests/fuzz/standalone.c tests/fuzz/fuzz.h $(BUILD)/parts.a
	@mkdir -p $(@D)
	$(call line,CC,$<) $(FUZZ_BUILD) -o $@ $< tests/fuzz/standalone.c $(BUILD)/parts.a $(LIB_LIBS)

# ---- the README's commands on a clean Debian: contrib/check-debian.sh ----

RELEASE ?= trixie
MODE    ?= container

.PHONY: check-debian

check-debian:
	contrib/check-debian.sh $(RELEASE) $(MODE)

# ---- do the unit tests test? contrib/mutants --help ----

COUNT ?= 100
SEED  ?= 1

.PHONY: mutants
mutants:
	$(PYTHON) contrib/mutants --count $(COUNT) --seed $(SEED)

# ---- other IMAP servers: docs/servers.md ----

# Gets eight of them into build/conformance and tries everything on each: half an hour. SERVERS="cyrus
# mox" selects; ARGS=--update writes the table into docs/servers.md. Not part of make check.
.PHONY: conformance

conformance: setup
	$(MAKE) all
	$(MAKE) BUILD=build/fault FAULT=1 all
	LEARNSPOOL=$(BUILD)/learnspool $(PYTHON) tests/conformance/conformance.py $(SERVERS) $(ARGS)
