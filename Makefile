# SPDX-License-Identifier: GPL-3.0-or-later
#
# make            the program, at ./blkmon
# make check      all tests        make demo    a chain to play with
# make lint       what a compiler does not see
# make SAN=address,undefined [check]    make SAN=thread [check]
# The rest is in README.md.

CC = gcc
SAN =
PREFIX = /usr/local
DESTDIR =
PKG_CONFIG = pkg-config
PYTHON = /usr/bin/python3
WERROR = -Werror

comma := ,
B := build$(if $(SAN),-$(subst address$(comma)undefined,asan,$(subst \
	thread,tsan,$(SAN))))
PROG := $(if $(SAN),$(B)/blkmon,blkmon)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion \
	-Wmissing-prototypes -Wstrict-prototypes -Wvla
HARDEN := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer,-fstack-protector-strong -D_FORTIFY_SOURCE=2)
CFLAGS = -O2 -g
CPPFLAGS =
LDFLAGS =
ALL_CFLAGS = -std=gnu11 -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread \
	$(WARNINGS) $(WERROR) $(HARDEN) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

# pkg-config is asked when something is linked, not when this file is read:
# by then `make check` may just have installed it.
lib = $(shell $(PKG_CONFIG) --libs $(1) 2>/dev/null || echo $(2))
LIBS_util :=
LIBS_engine = $(call lib,zlib libzstd,-lz -lzstd)
LIBS_qmp = $(call lib,jansson,-ljansson)
LIBS_console :=
LIBS_ui = $(call lib,readline,-lreadline) $(call lib,ncursesw,-lncursesw -ltinfo)
LIBS_cmocka = $(call lib,cmocka,-lcmocka)

# A floor is a folder and an archive. What is built on a floor is linked with
# it and with the floors below, so a call upward does not link.
DIR_util := engine/util
DIR_engine := engine
DIR_qmp := src/qmp
DIR_console := src/console
DIR_ui := ui
UPTO_util := util
UPTO_engine := engine $(UPTO_util)
UPTO_qmp := qmp $(UPTO_engine)
UPTO_console := console $(UPTO_qmp)
UPTO_ui := ui $(UPTO_console)
FLOORS := $(UPTO_ui)

sources = $(wildcard $(1)/*.c)
objects = $(patsubst %.c,$(B)/obj/%.o,$(call sources,$(1)))
archive = $(if $(call sources,$(DIR_$(1))),$(B)/lib$(1).a)
archives = $(foreach f,$(UPTO_$(1)),$(call archive,$(f)))
libs = $(foreach f,$(UPTO_$(1)),$(LIBS_$(f)))

.PHONY: all tests fuzzers deps check check-long check-valgrind check-guest \
	demo picture bench bench-nbd \
	bench-ui lint install clean FORCE
.SECONDARY:
.DELETE_ON_ERROR:

all: $(call archives,ui) $(if $(wildcard src/main.c),$(PROG))
	@:

$(PROG): $(call objects,src) $(call archives,ui)
	@echo "  LD      $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,ui)

define floor_rules
$(B)/lib$(1).a: $(call objects,$(DIR_$(1)))
	@echo "  AR      $$@"
	@rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach f,$(FLOORS),$(eval $(call floor_rules,$(f))))

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Other compiler or flags: everything is built anew.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@

# Unit tests: tests/unit/FLOOR/test_X.c belongs to that floor, a test directly
# in tests/unit to the engine.
TESTDIR_util := tests/unit/util
TESTDIR_engine := tests/unit
TESTDIR_qmp := tests/unit/qmp
TESTDIR_console := tests/unit/console
TESTDIR_ui := tests/unit/ui

unit = $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard $(1)/test_*.c))
UNIT := $(foreach f,$(FLOORS),$(call unit,$(TESTDIR_$(f))))

define unit_rules
$(call unit,$(TESTDIR_$(1))): $(B)/tests/%: $(B)/obj/tests/unit/%.o \
		$(call archives,$(1))
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	@$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call libs,$(1)) $$(LIBS_cmocka)
endef
$(foreach f,$(FLOORS),$(if $(call unit,$(TESTDIR_$(f))),\
	$(eval $(call unit_rules,$(f)))))

tests: $(UNIT)
	@:

# Fuzzers are clang's and are built in a folder of their own.
FUZZ_TIME = 60
FUZZ := $(patsubst tests/fuzz/%.c,fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BUILD = B=build-fuzz CC=clang CFLAGS='-O1 -g' \
	SAN=fuzzer-no-link,address,undefined fuzzers

$(addprefix $(B)/,$(FUZZ)): $(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o \
		$(call archives,console)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(call libs,console)

fuzzers: $(addprefix $(B)/,$(FUZZ))
	@:

# What installs first and builds then is two makes: the first may run without
# a compiler.
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
AGAIN = +@$(MAKE) --no-print-directory $(PARALLEL)
CHECK = @TALLY='$(B)/tally' PYTHON='$(PYTHON)' BLKMON='$(abspath $(PROG))' \
	SAN='$(SAN)' scripts/check.sh

# The fuzzers have sanitizers of their own; with SAN they would only run again.
FUZZ_STEP_BUILD = $(if $(SAN),,$(AGAIN) $(FUZZ_BUILD))
FUZZ_STEP = $(if $(SAN),,$(CHECK) fuzz $(FUZZ_TIME) \
	$(addprefix build-fuzz/,$(FUZZ)))

check:
	@scripts/deps.sh build test
	@rm -f $(B)/tally
	$(AGAIN) all tests
	$(FUZZ_STEP_BUILD)
	$(CHECK) units $(UNIT)
	$(FUZZ_STEP)
	$(CHECK) pytest -n $(shell nproc) -m 'not long and not guest and not alone'
	$(CHECK) pytest -m 'alone and not long'
	$(CHECK) sum

check-long:
	@scripts/deps.sh build test
	@rm -f $(B)/tally
	$(AGAIN) all
	$(FUZZ_STEP_BUILD)
	$(FUZZ_STEP)
	$(CHECK) pytest -m long
	$(CHECK) scripts $(wildcard tests/long/*)
	$(CHECK) sum

# Where there is no QEMU or no kernel the tests say so and are skipped.
check-guest:
	@scripts/deps.sh build test
	@scripts/deps.sh guest || true
	@scripts/guest_kernel.sh build/guest || true
	@rm -f $(B)/tally
	$(AGAIN) all
	$(CHECK) pytest -rs -m guest
	$(CHECK) sum

check-valgrind:
	@scripts/deps.sh build test valgrind
	@rm -f $(B)/tally
	$(AGAIN) tests
	$(CHECK) memcheck $(UNIT)
	$(CHECK) sum

demo:
	@scripts/deps.sh build demo
	$(AGAIN) all
	@BLKMON='$(abspath $(PROG))' scripts/demo.sh

# What the README shows of the screen.
picture:
	@scripts/deps.sh build demo
	$(AGAIN) all
	@BLKMON='$(abspath $(PROG))' scripts/demo.sh --picture '$(B)/screen.ans'
	@$(PYTHON) docs/picture.py '$(B)/screen.ans' docs/screen.svg README.md

bench:
	@scripts/deps.sh build bench
	$(AGAIN) all
	@BLKMON='$(abspath $(PROG))' tests/bench/run

bench-nbd:
	@scripts/deps.sh build test bench
	$(AGAIN) all
	@BLKMON='$(abspath $(PROG))' tests/bench/nbd

bench-ui:
	@scripts/deps.sh build bench
	$(AGAIN) all
	@BLKMON='$(abspath $(PROG))' tests/bench/ui

lint:
	@scripts/deps.sh build test lint
	@$(PYTHON) scripts/lint.py $(ALL_CFLAGS)

install: all
	install -D $(PROG) $(DESTDIR)$(PREFIX)/bin/blkmon
	$(if $(wildcard docs/blkmon.1),install -D -m 644 docs/blkmon.1 \
		$(DESTDIR)$(PREFIX)/share/man/man1/blkmon.1)

clean:
	rm -rf build build-* blkmon

-include $(patsubst %.c,$(B)/obj/%.d,$(foreach f,$(FLOORS),$(call \
	sources,$(DIR_$(f))) $(wildcard $(TESTDIR_$(f))/*.c)) \
	$(call sources,src) $(wildcard tests/fuzz/*.c))
