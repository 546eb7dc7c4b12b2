# SPDX-License-Identifier: MIT
#
# Builds MegaPipe into build/ and runs its checks. `make help` lists the
# targets. Variables: V=1 shows commands, WERROR=1 makes warnings errors,
# CFLAGS replaces "-O2 -g", PROBES=no builds without probes; config.mak, if
# there, may set any of them.
# For the checks: T=glob picks programs, MODES="plain on" picks modes,
# JOBS=n runs n at a time.

.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

-include config.mak

ifeq ($(origin CC),default)
CC	:= gcc
endif
CFLAGS	?= -O2 -g
PREFIX	?= /usr/local
BINDIR	?= $(PREFIX)/bin
LIBDIR	?= $(PREFIX)/lib
INCDIR	?= $(PREFIX)/include
DATADIR	?= $(PREFIX)/share
MANDIR	?= $(DATADIR)/man
PCDIR	?= $(LIBDIR)/pkgconfig
BASHDIR	?= $(DATADIR)/bash-completion/completions
ZSHDIR	?= $(DATADIR)/zsh/site-functions
BUILD	?= build
VERSION	:= 0.1.0
SONAME	:= libmegapipe.so.1

# Linked statically: the guest may bring a liburing of its own, and this
# archive needs nothing from libc that the shim exports. When it is missing
# gcc answers with the bare name, for which there is a rule that says so.
LIBURING := $(shell $(CC) -print-file-name=liburing.a)

Q	:= $(if $(filter 1,$(V)),,@)
msg	= $(if $(filter 1,$(V)),,@printf '  %-6s %s\n' '$(1)' '$(2)')

WARN	:= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	   -Wpointer-arith -Wvla -Wno-unused-parameter \
	   $(if $(filter 1,$(WERROR)),-Werror)
BASE	:= -std=gnu11 -D_GNU_SOURCE $(WARN) $(CFLAGS) -fno-strict-aliasing

# The kernel's program becomes a header, the "light skeleton". Without these
# tools what is built answers that it has none; scripts/deps brings them.
# bpftool is in /usr/sbin, which is not on everyone's PATH.
tool	= $(firstword $(wildcard $(addsuffix /$(1),\
	  $(subst :, ,$(PATH)) /usr/sbin)))
BPFTOOL	?= $(call tool,bpftool)
CLANG	?= $(call tool,clang)
SKEL	:= $(if $(and $(BPFTOOL),$(CLANG),\
	   $(wildcard /usr/include/bpf/skel_internal.h)),\
	   $(BUILD)/bpf/steer.skel.h)
STEER	:= $(if $(SKEL),-DSTEER_BUILTIN)

# Probes (core/trace.h) where sys/sdt.h is, Debian's systemtap-sdt-dev;
# PROBES=no leaves them out. A probe is one nop.
# Inside a function make keeps the backslash of \#, so # comes by a variable.
hash	:= \#
ifneq ($(PROBES),no)
PROBES	:= $(shell echo '$(hash)include <sys/sdt.h>' | \
	   $(CC) -E -x c - >/dev/null 2>&1 && echo -DMP_TRACE)
endif
TRACE	:= $(filter -DMP_TRACE,$(PROBES))

# Code that runs inside a guest: its symbols hidden, its thread-locals
# reached without a call. read and read64, read and __read_chk are different
# symbols here, so neither fortify nor large-file macros may rename them.
LIB	:= $(BASE) -fPIC -fvisibility=hidden -ftls-model=initial-exec \
	   -fno-plt -U_FORTIFY_SOURCE -U_FILE_OFFSET_BITS $(TRACE)
LIBLINK	:= -shared -pthread -Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete \
	   -Wl,--no-undefined -Wl,--as-needed -Wl,--exclude-libs,ALL
ASAN	:= -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	   -fno-omit-frame-pointer
PLAIN	:=
# What is preloaded is optimised as a whole: a call goes through a dozen small
# functions in as many files. Objects of its own, as nothing else needs that.
FAST	:= $(shell $(CC) -v 2>&1 | grep -q '^gcc version' && echo 'int x;' | \
	   $(CC) -flto=auto -shared -fPIC -x c - -o /dev/null 2>/dev/null && \
	   echo -flto=auto)
FASTDIR	:= $(BUILD)$(if $(FAST),/fast)
TSAN	:= -fsanitize=thread -fno-omit-frame-pointer
CLIDEFS	:= -DMP_VERSION='"$(VERSION)"' -DMP_LIBDIR='"$(LIBDIR)"'
TESTLIBS := -pthread -ldl -lm

names	= $(sort $(patsubst $(1)/%.c,%,$(wildcard $(1)/*.c)))
CORE	:= $(call names,core)
SHIM	:= $(call names,shim)
CLI	:= $(call names,cli)
TLIB	:= $(call names,tests/lib)
FAKE	:= $(call names,tests/fake)
UNIT	:= $(call names,tests/unit)
NATIVE	:= $(call names,tests/native)
EXAMPLES := $(call names,examples)
TOOLS	:= $(call names,tests/tools)
# lib*.c become shared objects to preload, static_*.c static programs.
TOOL_LIBS := $(filter lib%,$(TOOLS))
TOOL_BINS := $(filter-out lib%,$(TOOLS))
FUZZ	:= $(call names,tests/fuzz)
SYMBOLS	:= $(wildcard shim/symbols.def)

# A unit test is linked with the core and with the part of the shim that
# defines no libc symbol. In its first ten lines it may ask for fake-ring
# (tests/fake instead of the ring) or with-shim (all of the shim).
marked	= $(if $(2),$(patsubst tests/unit/%.c,%,$(shell awk \
	  'FNR <= 10 && /$(1)/ { print FILENAME }' $(2:%=tests/unit/%.c))))
UNIT_FAKE := $(call marked,fake-ring,$(UNIT))
UNIT_SHIM := $(call marked,with-shim,$(UNIT))

# Fuzz drivers that say kernel-calls are programs like the conformance tests.
FUZZ_CALLS := $(if $(FUZZ),$(patsubst tests/fuzz/%.c,%,$(shell awk \
	'FNR <= 10 && /kernel-calls/ { print FILENAME }' \
	$(FUZZ:%=tests/fuzz/%.c))))

# $(call objs,DIR,core): the objects of one directory in one variant.
objs	= $(patsubst %,$(1)/obj/$(2)/%.o,$(3))
core_o	= $(call objs,$(1),core,$(CORE))
steer_o	= $(call objs,$(1),bpf,steer)
shim_o	= $(call objs,$(1),shim,$(SHIM))
tlib_o	= $(call objs,$(1),tests/lib,$(TLIB))
fake_o	= $(call objs,$(1),tests/fake,$(FAKE))
ring_o	= $(call objs,$(1),core,ring bufring)

LIBS	:= $(BUILD)/libmegapipe-preload.so $(BUILD)/libmegapipe.so \
	   $(BUILD)/libmegapipe.a
BINS	:= $(if $(CLI),$(BUILD)/megapipe)

all: $(LIBS) $(BINS) $(BUILD)/megapipe.pc $(BUILD)/manual ## build the libraries and the command (default)
	@:
.DEFAULT_GOAL := all

# A variable, counter or symbol that the manual does not have, or has
# otherwise, is an error here already.
TABLES	:= $(wildcard core/opts.def core/stats.def) $(SYMBOLS)
$(BUILD)/manual: docs/man/megapipe-preload.7 scripts/manual $(TABLES)
	$(call msg,CHECK,$<)
	$(Q)scripts/manual --stale
	$(Q)mkdir -p $(@D)
	$(Q)touch $@

objects: $(call core_o,$(BUILD)) $(call shim_o,$(BUILD)) \
	 $(call objs,$(BUILD),cli,$(CLI))

# Objects depend on this file, so other flags or another compiler rebuild
# them. Written while parsing, not by a rule: `make -q` must stay truthful.
FLAGS	:= $(strip $(CC) $(BASE) $(LIB) $(LIBLINK) $(FAST) $(ASAN) $(TSAN) \
	   $(STEER))
# What the command and megapipe.pc say of where things are.
PATHS	:= $(strip $(VERSION) $(PREFIX) $(LIBDIR) $(INCDIR))
ifeq ($(filter clean help uninstall,$(MAKECMDGOALS)),)
ifneq ($(strip $(file <$(BUILD)/flags)),$(FLAGS))
$(shell mkdir -p $(BUILD))
$(file >$(BUILD)/flags,$(FLAGS))
endif
ifneq ($(strip $(file <$(BUILD)/paths)),$(PATHS))
$(shell mkdir -p $(BUILD))
$(file >$(BUILD)/paths,$(PATHS))
endif
endif

# For `make clean all`, where the former lines came too early.
$(BUILD)/flags $(BUILD)/paths:
	@mkdir -p $(@D)
	@echo "$(if $(filter flags,$(@F)),$(FLAGS),$(PATHS))" >$@

liburing.a:
	@echo "make: liburing.a is missing: run scripts/deps build" >&2; false

# --- compiling: the same rules for each variant ------------------------------

# A test may ask for flags of its own: /* cflags: -D_FORTIFY_SOURCE=2 */
own	= $$(sed -n '1,40s|.*/\* *cflags: *\(.*[^ ]\) *\*/.*|\1|p' $<)
test_inc := -iquote . -iquote core -iquote shim -iquote tests/lib \
	    -iquote tests/fake -iquote tests

define compile
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(1) -MMD -MP -c $< -o $@
endef

define archive
	$(call msg,AR,$@)
	$(Q)mkdir -p $(@D)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $(1)
endef

define link
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(1) $(LDFLAGS) -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(filter %.a %.so,$^) -Wl,--end-group $(TESTLIBS)
endef

# $(1) output directory, $(2) name of the variable with the variant's flags
define variant
$(1)/obj/core/%.o: core/%.c $(BUILD)/flags | $(LIBURING)
	$$(call compile,$$(LIB) $$($(2)) -iquote . -iquote core)
$(1)/obj/shim/%.o: shim/%.c $(BUILD)/flags | $(LIBURING)
	$$(call compile,$$(LIB) $$($(2)) -iquote . -iquote shim -iquote core)
$(1)/obj/cli/%.o: cli/%.c $(BUILD)/flags $(BUILD)/paths
	$$(call compile,$$(BASE) $$($(2)) -iquote . -iquote cli -iquote core \
		$$(CLIDEFS))
$(1)/obj/tests/%.o: tests/%.c $(BUILD)/flags
	$$(call compile,$$(BASE) $$($(2)) $$(test_inc) $$(own))
$(1)/obj/libcore.a: $(call core_o,$(1)) $(call steer_o,$(1))
	$$(call archive,$$^)
$(1)/obj/libcore-noring.a: $(filter-out $(call ring_o,$(1)),\
		$(call core_o,$(1))) $(call steer_o,$(1))
	$$(call archive,$$^)
$(1)/obj/bpf/%.o: bpf/%.c $(BUILD)/flags $(SKEL)
	$$(call compile,$$(LIB) $$($(2)) $(STEER) -iquote . -I $(BUILD)/bpf)
$(1)/obj/libshim-logic.a: $(call shim_o,$(1)) $(SYMBOLS)
	$$(call archive,$$$$(scripts/logic-objects $$(filter %.o,$$^)))
$(1)/obj/libtest.a: $(call tlib_o,$(1))
	$$(call archive,$$^)
endef

# $(1) and $(2) as above, $(3) unit or fuzz, $(4) name, $(5) not empty for the
# fake ring, $(6) the shim: the archive of its logic, of which a test links
# what it uses, or all its objects.
define unit
$(1)/tests/$(3)/$(4): $(1)/obj/tests/$(3)/$(4).o \
		$(if $(5),$(call fake_o,$(1)) $(1)/obj/libcore-noring.a,\
		  $(1)/obj/libcore.a $(LIBURING)) $(6) $(1)/obj/libtest.a
	$$(call link,$$($(2)))
endef

is_fake	= $(filter $(1),$(UNIT_FAKE))
shim_of	= $(if $(filter $(2),$(UNIT_SHIM)),$(call shim_o,$(1)),$\
	$(1)/obj/libshim-logic.a)
units	= $(foreach n,$(UNIT),$(eval $(call unit,$(1),$(2),unit,$(n),$\
	$(call is_fake,$(n)),$(call shim_of,$(1),$(n)))))
fuzzers	= $(foreach n,$(filter-out $(FUZZ_CALLS),$(FUZZ)),$(eval $(call unit,$(1),$(2),fuzz,$(n),fake,$\
	$(1)/obj/libshim-logic.a)))

# Sanitizers do not like to be preloaded into, so here the shim is part of
# the program: the program's read is the shim's, RTLD_NEXT's the sanitizer's.
define linked-in
$(FUZZ_CALLS:%=$(1)/tests/fuzz/%): $(1)/tests/fuzz/%: \
		$(1)/obj/tests/fuzz/%.o $(call tlib_o,$(1)) \
		$(call shim_o,$(1)) $(call core_o,$(1)) $(call steer_o,$(1)) \
		$(LIBURING)
	$$(call link,$$($(2)))
$(1)/tests/conform/%: $(1)/obj/tests/conform/%.o $(call tlib_o,$(1)) \
		$(call shim_o,$(1)) $(call core_o,$(1)) $(call steer_o,$(1)) \
		$(LIBURING)
	$$(call link,$$($(2)))
endef

# Programs of the paper's interface, with the sanitizers' core.
define native
$(1)/tests/native/%: $(1)/obj/tests/native/%.o $(1)/obj/libtest.a \
		$(1)/obj/libcore.a $(LIBURING)
	$$(call link,$$($(2)))
endef

$(eval $(call variant,$(BUILD),PLAIN))
$(if $(FAST),$(eval $(call variant,$(FASTDIR),FAST)))
$(eval $(call variant,$(BUILD)/asan,ASAN))
$(eval $(call variant,$(BUILD)/tsan,TSAN))
$(eval $(call linked-in,$(BUILD)/asan,ASAN))
$(eval $(call linked-in,$(BUILD)/tsan,TSAN))
$(eval $(call native,$(BUILD)/asan,ASAN))
$(eval $(call native,$(BUILD)/tsan,TSAN))
$(call units,$(BUILD),PLAIN)
$(call units,$(BUILD)/asan,ASAN)
$(call fuzzers,$(BUILD)/asan,ASAN)

-include $(wildcard $(foreach d,$(BUILD) $(addprefix $(BUILD)/,fast asan tsan),\
	$(d)/obj/*/*.d $(d)/obj/tests/*/*.d))

# --- the kernel's program ----------------------------------------------------

# -mcpu=v2 is what the oldest kernels take; maps need the BTF that -g makes.
$(BUILD)/bpf/steer.o: bpf/steer.bpf.c bpf/steer.h $(BUILD)/flags
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -mcpu=v2 -O2 -g -Wall -Werror \
		-I /usr/include/$(shell $(CC) -print-multiarch) -c $< -o $@.tmp
	$(Q)$(BPFTOOL) gen object $@ $@.tmp
	$(Q)rm -f $@.tmp

$(BUILD)/bpf/steer.skel.h: $(BUILD)/bpf/steer.o
	$(call msg,GEN,$@)
	$(Q)$(BPFTOOL) gen skeleton -L $< name steer >$@

# --- linking -----------------------------------------------------------------

# The core comes from its archive: --exclude-libs then hides mp_* and
# io_uring_*, and what is exported is the shim's list and nothing else.
$(BUILD)/libmegapipe-preload.so: $(call shim_o,$(FASTDIR)) \
		$(FASTDIR)/obj/libcore.a $(LIBURING) $(BUILD)/flags
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(FAST) $(LIBLINK) $(LDFLAGS) -Wl,-soname,$(@F) -o $@ \
		$(filter %.o,$^) $(filter %.a,$^)

# One object that has all it needs and shows mp_* only, for both libraries: a
# program may have a liburing of its own.
$(BUILD)/obj/native.o: $(call objs,$(BUILD),core,front) \
		$(BUILD)/obj/libcore.a $(LIBURING) $(BUILD)/flags
	$(call msg,LD,$@)
	$(Q)$(CC) -r -nostdlib -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(filter %.a,$^) -Wl,--end-group
	$(Q)objcopy --wildcard --keep-global-symbol='mp_*' $@

$(BUILD)/libmegapipe.so: $(BUILD)/obj/native.o core/megapipe.map
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LIBLINK) $(LDFLAGS) -Wl,-soname,$(SONAME) -o $@ \
		-Wl,--version-script=core/megapipe.map $(filter %.o,$^)
	$(Q)ln -sf $(@F) $(@D)/$(SONAME)

# What a program sees of the library, for the check that it stays so. Private
# types and places in the source are nobody's business.
abi: $(BUILD)/libmegapipe.so	## write the binary interface anew, for a release
	abidw --suppressions tests/abi/private.ini --no-corpus-path \
		--no-comp-dir-path --no-show-locs --type-id-style hash \
		--out-file tests/abi/libmegapipe.abi $<

$(BUILD)/libmegapipe.a: $(BUILD)/obj/native.o
	$(call archive,$^)

$(BUILD)/megapipe: $(call objs,$(BUILD),cli,$(CLI)) $(BUILD)/obj/libcore.a \
		$(LIBURING)
	$(call link,)

# The plain conformance program knows nothing of MegaPipe.
$(BUILD)/tests/conform/%: $(BUILD)/obj/tests/conform/%.o \
		$(call tlib_o,$(BUILD))
	$(call link,)

# A program of the paper's interface has the library and nothing of its source.
rpath	= -Wl,-rpath,'$$ORIGIN/$(1)'
$(BUILD)/tests/native/%: $(BUILD)/obj/tests/native/%.o \
		$(BUILD)/obj/libtest.a $(BUILD)/libmegapipe.so
	$(call link,$(call rpath,../..))

$(BUILD)/examples/%: $(BUILD)/obj/examples/%.o $(BUILD)/libmegapipe.so
	$(call link,$(call rpath,..))

$(BUILD)/obj/examples/%.o: examples/%.c $(BUILD)/flags
	$(call compile,$(BASE) -I core)

examples: $(EXAMPLES:%=$(BUILD)/examples/%) ## build the examples of libmegapipe
	@:

$(FUZZ_CALLS:%=$(BUILD)/tests/fuzz/%): $(BUILD)/tests/fuzz/%: \
		$(BUILD)/obj/tests/fuzz/%.o
	$(call link,)

$(BUILD)/tests/tools/%: $(BUILD)/obj/tests/tools/%.o $(BUILD)/obj/libtest.a
	$(call link,$(if $(filter static_%,$(*F)),-static-pie))

$(BUILD)/tests/tools/%.so: tests/tools/%.c $(BUILD)/flags
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE) -fPIC -shared -Wl,-z,now -o $@ $< -ldl

# --- checking ----------------------------------------------------------------

tools: $(TOOL_BINS:%=$(BUILD)/tests/tools/%) \
       $(TOOL_LIBS:%=$(BUILD)/tests/tools/%.so)
	@:

run	= @+MAKE='$(MAKE)' scripts/check

check:				## run every check but check-vm, one closing summary
	@scripts/deps check
	$(run) unit native conform integration fuzz asan tsan lint
check-unit:			## test the modules, some against a fake ring
	$(run) unit
check-native:			## the interface of the paper: calls, examples, pages
	$(run) native
check-conform:			## compare with the kernel: plain, on, off, refused
	$(run) conform
check-bulk:			## 200 MiB each way in each case of bulk_duplex
	@+MEGAPIPE_TEST_MIB=200 T=bulk_duplex MODES="plain on off" \
		MAKE='$(MAKE)' scripts/check conform
check-integration:		## run real servers under the library
	$(run) integration
check-partition:		## 200 reloads, a minute of killed workers, each mode
	@+MP_RELOADS=200 MP_KILL_SECONDS=60 MP_TEST_SECONDS=900 \
		T='partition_*' MAKE='$(MAKE)' scripts/check integration
check-servers:			## more servers, of many packages, under the library
	@scripts/deps check servers
	$(run) servers
check-fuzz:			## random orders, sizes and delays of completions
	$(run) fuzz
fuzz:				## SECONDS=600 of that, calls in each of MODES
	@+FUZZ_SECONDS=$(or $(SECONDS),600) \
		FUZZ_SEED="$${FUZZ_SEED:-$$(date +%s)}" \
		MODES="$(or $(MODES),plain on off)" $(MAKE) --no-print-directory \
		check-fuzz
check-asan:			## conformance and unit tests, address and UB checks
	$(run) asan
check-tsan:			## conformance tests under the thread sanitizer
	$(run) tsan
check-vm:			## conformance on kernels 6.1, 6.12 and the newest (QEMU)
	$(run) vm
check-package:			## build the Debian packages, install them into a Debian
	@scripts/deps package-check
	$(run) package
package:			## build the Debian packages into build/package/
	@scripts/deps package
	@scripts/package
check-suites:			## other projects' own tests, plain and under us, T=glob
	$(run) suites
lint:				## layer rules, symbols, sizes, style
	$(run) lint

$(BUILD)/bench/load: bench/load.c $(BUILD)/flags
	$(call msg,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE) $(LDFLAGS) -o $@ $<

PAPER	:= $(addprefix $(BUILD)/bench/paper/,server load resp)
$(BUILD)/obj/bench/paper/%.o: bench/paper/%.c $(BUILD)/flags
	$(call compile,$(BASE) -I core)
$(BUILD)/bench/paper/server: $(call objs,$(BUILD),bench/paper,\
		server epoll megapipe) $(BUILD)/libmegapipe.so
	$(call link,$(call rpath,../..))
$(BUILD)/bench/paper/resp: $(BUILD)/obj/bench/paper/resp.o \
		$(BUILD)/libmegapipe.so
	$(call link,$(call rpath,../..))
$(BUILD)/bench/paper/load: $(BUILD)/obj/bench/paper/load.o
	$(call link,)

paper-programs: $(PAPER)
bench-paper:			## the paper's figures on this machine, ROWS="parts"
	@scripts/deps bench
	@+$(MAKE) --no-print-directory all examples paper-programs
	@BUILD='$(BUILD)' python3 bench/paper/run.py

bench:				## measure against the plain programs, ROWS="a b"
	@scripts/deps bench
	@+$(MAKE) --no-print-directory all examples $(BUILD)/bench/load \
		$(BUILD)/tests/tools/steps
	@BUILD='$(BUILD)' python3 -B bench/run.py

demo:				## a server with and without MegaPipe, side by side
	@scripts/deps demo
	@+$(MAKE) --no-print-directory all
	@bash bench/demo.bash

# --- installing --------------------------------------------------------------

$(BUILD)/megapipe.pc: core/megapipe.pc.in $(BUILD)/paths
	$(call msg,GEN,$@)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
		-e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCDIR@|$(INCDIR)|' \
		-e '/^[il].*dir=/s|=$(PREFIX)/|=$${prefix}/|' $< >$@

# What is installed: TARGET=MODE=SOURCE; the mode of a link is "link".
# `install` unlinks what is there first: running programs keep theirs.
MANS	:= $(wildcard docs/man/*.[1-8])
UNITS	:= $(wildcard contrib/systemd/*.conf)
INSTALLED := \
	$(LIBDIR)/libmegapipe-preload.so=644=$(BUILD)/libmegapipe-preload.so \
	$(LIBDIR)/$(SONAME)=644=$(BUILD)/libmegapipe.so \
	$(LIBDIR)/libmegapipe.so=link=$(SONAME) \
	$(LIBDIR)/libmegapipe.a=644=$(BUILD)/libmegapipe.a \
	$(INCDIR)/megapipe.h=644=core/megapipe.h \
	$(PCDIR)/megapipe.pc=644=$(BUILD)/megapipe.pc \
	$(BINS:%=$(BINDIR)/megapipe=755=%) \
	$(BASHDIR)/megapipe=644=completion/megapipe.bash \
	$(ZSHDIR)/_megapipe=644=completion/_megapipe \
	$(foreach m,$(MANS),$(MANDIR)/man$(subst .,,$(suffix \
		$(m)))/$(notdir $(m))=644=$(m)) \
	$(foreach u,$(UNITS),$(DATADIR)/megapipe/systemd/$(notdir \
		$(u))=644=$(u))

word_of	= $(word $(1),$(subst =, ,$(2)))
target	= '$(DESTDIR)$(call word_of,1,$(1))'

# A line break, so that each command is one of its own.
define newline


endef

install: all			## install under DESTDIR and PREFIX=/usr/local
	$(foreach i,$(INSTALLED),$(if $(filter link,$(call word_of,2,$(i))),\
	ln -sf $(call word_of,3,$(i)) $(call target,$(i)),\
	install -D -m $(call word_of,2,$(i)) $(call word_of,3,$(i)) \
		$(call target,$(i)))$(newline)	)
	@[ -n '$(DESTDIR)' ] || [ ! -w /etc/ld.so.cache ] || \
		echo 'Now run ldconfig, so that the bare names are found.'

uninstall:			## remove what install put there
	$(foreach i,$(INSTALLED),rm -f $(call target,$(i))$(newline)	)
	-@rmdir '$(DESTDIR)$(DATADIR)/megapipe/systemd' \
		'$(DESTDIR)$(DATADIR)/megapipe' 2>/dev/null

clean:				## remove build/
	rm -rf $(BUILD)

help:				## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' \
		Makefile

.PHONY: abi all bench bench-paper check check-asan check-bulk check-conform \
	check-fuzz check-integration check-native check-package \
	check-partition check-servers check-suites check-tsan check-unit \
	check-vm clean demo examples fuzz help install lint objects package \
	paper-programs \
	tools uninstall
