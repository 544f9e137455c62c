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

SOURCES = $(wildcard src/*.c)
OBJECTS = $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
PARTS   = $(filter-out $(BUILD)/obj/main.o,$(OBJECTS))
UNITS   = $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))

.PHONY: all setup check check-unit check-system demo bench lint fmt install uninstall clean

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
