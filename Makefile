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
LIBS_engine/image/qcow2 = $(call lib,zlib libzstd,-lz -lzstd)
LIBS_src/qmp/json = $(call lib,jansson,-ljansson)
LIBS_ui/tty = $(call lib,ncursesw,-lncursesw -ltinfo)
LIBS_ui/prompt = $(call lib,readline,-lreadline)
LIBS_src/options = $(call lib,inih,-linih)
LIBS_cmocka = $(call lib,cmocka,-lcmocka)

# A room is a folder and an archive. From the ground up: what is built in a
# room is linked with it and with the rooms before it, so a call upward does
# not link. README.md tells what each is for, and `make lint` compares.
ROOMS := engine/util engine/file engine/event engine/image engine/image/qcow2 \
	engine/chain engine/job engine/forecast engine/tool engine/tree engine \
	engine/nbd \
	src/qmp/json src/history src/qmp src/qmp/wire src/after src/attach \
	src/console src/console/hmp src/console/line src/console/front \
	src/process src/offline \
	ui/draw ui/keys ui/tty ui/view ui/client ui/prompt ui/pane ui/screen \
	src/options src

# upto ROOM: it and all before it, the highest first.
upto = $(call upto_in,$(1),$(ROOMS),)
upto_in = $(if $(filter $(1),$(firstword $(2))),$(firstword $(2)) $(3),$(call \
	upto_in,$(1),$(wordlist 2,$(words $(2)),$(2)),$(firstword $(2)) $(3)))

sources = $(wildcard $(1)/*.c)
objects = $(patsubst %.c,$(B)/obj/%.o,$(call sources,$(1)))
archive = $(B)/lib$(subst /,-,$(1)).a
archives = $(foreach r,$(call upto,$(1)),$(call archive,$(r)))
libs = $(foreach r,$(call upto,$(1)),$(LIBS_$(r)))
TOP := $(lastword $(ROOMS))

.PHONY: all tests fuzzers deps check check-long check-valgrind check-guest \
	check-remote check-debian13 demo picture bench bench-nbd \
	bench-ui lint install uninstall deb check-deb clean FORCE
.SECONDARY:
.DELETE_ON_ERROR:

all: $(PROG)
	@:

$(PROG): $(call archives,$(TOP))
	@echo "  LD      $@"
	@$(CC) $(ALL_LDFLAGS) -o $@ $(B)/obj/src/main.o $^ $(call libs,$(TOP))

define room_rules
$(call archive,$(1)): $(call objects,$(1))
	@echo "  AR      $$@"
	@rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_rules,$(r))))

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Other compiler or flags: everything is built anew.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@

# Unit tests: tests/unit/X/test_Y.c belongs to the room engine/X, src/X or X.
testdir = tests/unit/$(patsubst engine/%,%,$(patsubst src/%,%,$(1)))
unit = $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard $(call \
	testdir,$(1))/test_*.c))
UNIT := $(foreach r,$(ROOMS),$(call unit,$(r)))

define unit_rules
$(call unit,$(1)): $(B)/tests/%: $(B)/obj/tests/unit/%.o \
		$(call archives,$(1))
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	@$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call libs,$(1)) $$(LIBS_cmocka)
endef
$(foreach r,$(ROOMS),$(if $(call unit,$(r)),$(eval $(call unit_rules,$(r)))))

tests: $(UNIT)
	@:

# Fuzzers are clang's and are built in a folder of their own.
FUZZ_TIME = 30
FUZZ_ROOM := src/console/line
FUZZ := $(patsubst tests/fuzz/%.c,fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BUILD = B=build-fuzz CC=clang CFLAGS='-O1 -g' \
	SAN=fuzzer-no-link,address,undefined fuzzers

$(addprefix $(B)/,$(FUZZ)): $(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o \
		$(call archives,$(FUZZ_ROOM))
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(call libs,$(FUZZ_ROOM))

fuzzers: $(addprefix $(B)/,$(FUZZ))
	@:

# What installs first and builds then is two makes: the first may run without
# a compiler.
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
AGAIN = +@$(MAKE) --no-print-directory $(PARALLEL)
# Tests wait for one another's programs more than they work.
WORKERS = $(shell echo $$(($$(nproc) + 1)))
CHECK = @TALLY='$(B)/tally' PYTHON='$(PYTHON)' BLKMON='$(abspath $(PROG))' \
	SAN='$(SAN)' scripts/check.sh

# The fuzzers have sanitizers of their own; with SAN they would only run again.
FUZZ_STEP_BUILD = $(if $(SAN),,$(AGAIN) $(FUZZ_BUILD))
FUZZ_STEP = $(if $(SAN),,$(CHECK) fuzz $(FUZZ_TIME) \
	$(addprefix build-fuzz/,$(FUZZ)))

# Another Debian, in a root that is made once. Where it cannot be had, that is
# said and counted as skipped.
define DEBIAN13
@scripts/deps.sh roots || true
$(CHECK) debian trixie build/debian13 sh -c 'make demo && make check'
endef

check:
	@scripts/deps.sh build test
	@rm -f $(B)/tally
	$(AGAIN) all tests
	$(FUZZ_STEP_BUILD)
	$(CHECK) units $(UNIT)
	$(FUZZ_STEP)
	$(CHECK) pytest -n $(WORKERS) \
		-m 'not long and not guest and not alone and not remote'
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
	$(DEBIAN13)
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

# Other hosts over ssh: an sshd of the tests' own on this one. It is unpacked
# below build/ and not installed; where it cannot be had the tests are skipped.
check-remote:
	@scripts/deps.sh build test
	@scripts/deps.sh remote || true
	@scripts/sshd.sh build/remote || true
	@rm -f $(B)/tally
	$(AGAIN) all
	$(CHECK) pytest -rs -n 4 -m remote
	$(CHECK) sum

check-debian13:
	@rm -f $(B)/tally
	@mkdir -p $(B)
	$(DEBIAN13)
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
	@rm -f '$(B)/screen.ans'
	@BLKMON='$(abspath $(PROG))' scripts/demo.sh --picture '$(B)/screen.ans'
	@$(PYTHON) docs/picture.py '$(B)/screen.ans' docs/screen.svg README.md

bench:
	@scripts/deps.sh build bench
	$(AGAIN) all
	@XDG_STATE_HOME='$(abspath $(B))/state' \
		BLKMON='$(abspath $(PROG))' tests/bench/run

bench-nbd:
	@scripts/deps.sh build test bench
	$(AGAIN) all
	@XDG_STATE_HOME='$(abspath $(B))/state' \
		BLKMON='$(abspath $(PROG))' tests/bench/nbd

bench-ui:
	@scripts/deps.sh build bench
	$(AGAIN) all
	@XDG_STATE_HOME='$(abspath $(B))/state' \
		BLKMON='$(abspath $(PROG))' tests/bench/ui

lint:
	@scripts/deps.sh build test lint
	@$(PYTHON) scripts/lint.py $(ALL_CFLAGS)

# What is installed: FILE=PLACE, the place below PREFIX. Who packages chooses
# other folders for the last two.
UNITDIR = lib/systemd/system
ZSHDIR = share/zsh/site-functions
INSTALLED = docs/blkmon.1=share/man/man1/blkmon.1 \
	docs/service.md=share/doc/blkmon/service.md \
	docs/compat.md=share/doc/blkmon/compat.md \
	docs/attach.md=share/doc/blkmon/attach.md \
	dist/example.conf=share/doc/blkmon/examples/example.conf \
	scripts/demo.sh=share/doc/blkmon/examples/demo.sh \
	dist/completions/blkmon.bash=share/bash-completion/completions/blkmon \
	dist/completions/blkmon.fish=share/fish/vendor_completions.d/blkmon.fish \
	dist/completions/_blkmon=$(ZSHDIR)/_blkmon
UNIT_INSTALLED = $(UNITDIR)/blkmon@.service
PLACES = bin/blkmon $(UNIT_INSTALLED) $(foreach f,$(INSTALLED),$(lastword \
	$(subst =, ,$(f))))
to = '$(DESTDIR)$(PREFIX)/$(1)'

define put
install -D -m 644 $(firstword $(1)) $(call to,$(lastword $(1)))

endef

install: all
	install -D $(PROG) $(call to,bin/blkmon)
	$(foreach f,$(INSTALLED),$(call put,$(subst =, ,$(f))))
	install -d $(call to,$(UNITDIR))
	sed 's|/usr/bin/blkmon|$(PREFIX)/bin/blkmon|' dist/blkmon@.service \
		> $(call to,$(UNIT_INSTALLED))
	chmod 644 $(call to,$(UNIT_INSTALLED))

# Folders of blkmon's own go too, unless somebody put something there.
uninstall:
	rm -f $(foreach p,$(PLACES),$(call to,$(p)))
	for d in examples/ ''; do d=$(call to,share/doc/blkmon/)$$d; \
		test ! -d "$$d" || rmdir --ignore-fail-on-non-empty "$$d"; done

# The package, at build/deb; and in the bare roots of Debian, where it is
# built, installed, used and removed.
deb:
	@scripts/deps.sh build deb
	@scripts/deb.sh build/deb

DEBIANS = bookworm trixie
check-deb:
	@scripts/deps.sh roots
	@scripts/check_deb.sh $(DEBIANS)

clean:
	rm -rf build build-* blkmon

-include $(patsubst %.c,$(B)/obj/%.d,$(foreach r,$(ROOMS),$(call \
	sources,$(r)) $(wildcard $(call testdir,$(r))/*.c)) \
	$(wildcard tests/fuzz/*.c))
