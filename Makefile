# SPDX-License-Identifier: LGPL-2.1-or-later
# libofflinesig. `make help` lists the targets and the variables.

## Variables
O ?= build#               folder for everything that is made
PREFIX ?= /usr/local#     where `make install` puts things
CC ?= cc#                 C compiler
CFLAGS ?= -O2 -g#         optimisation and debugging
SAN ?=#                   sanitizers, e.g. SAN=address,undefined
WERROR ?=#                WERROR=1 makes warnings errors
V ?=#                     V=1 shows every command
DIR ?=#                   make demo: the documents to sign
SEED ?= $(shell date +%s)#  make check: what random tests start from
SAMPLES ?= $(wildcard ../shared/samples)#  payment messages for the tests
VECTORS ?= $(wildcard ../shared/vectors)#  public test vectors

# comments after values leave blanks
O := $(strip $(O))
PREFIX := $(strip $(PREFIX))
SEED := $(strip $(SEED))
VERSION := $(shell sed -n 's/^.define OFS_VERSION "\(.*\)"/\1/p' \
	include/offlinesig/version.h)
SONAME := libofflinesig.so.0

BUILD_DEPS := gcc libc6-dev make pkg-config libssl-dev libp11-dev \
	libp11-kit-dev libsqlite3-dev libjansson-dev libqrencode-dev softhsm2 \
	openssl
TEST_DEPS := g++ libcmocka-dev perl python3 python3-cryptography jq procps \
	opensc opensc-pkcs11 gnutls-bin libengine-pkcs11-openssl gpgsm \
	gpg-agent libnss3-tools sqlite3 mandoc bsdextrautils xxd p11-kit \
	p11-kit-modules zbar-tools
LINT_DEPS := g++ mandoc bsdextrautils clang-format shellcheck \
	universal-ctags binutils
FUZZ_DEPS := clang llvm libclang-rt-14-dev

PKGS := libcrypto libp11 p11-kit-1 sqlite3 jansson
PKGS_audit := libqrencode# of ofs-audit alone

WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow \
	-Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla -Wundef
HARDEN := -fstack-protector-strong $(if $(SAN),,-U_FORTIFY_SOURCE \
	-D_FORTIFY_SOURCE=2)
ALL_CPPFLAGS := -Iinclude -D_GNU_SOURCE $(CPPFLAGS) \
	$(shell pkg-config --cflags $(PKGS) 2>/dev/null)
ALL_CFLAGS := -std=c11 -fPIC -fvisibility=hidden -fno-strict-aliasing \
	-pthread $(WARN) $(HARDEN) $(CFLAGS) $(if $(WERROR),-Werror) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer \
	-fno-sanitize-recover=undefined)
ALL_LDFLAGS := -pthread -Wl,-z,relro,-z,now $(LDFLAGS) \
	$(if $(SAN),-fsanitize=$(SAN))
ALL_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
# the headers that each part may see beside the public ones
INC_lib := -Ilib
INC_tools := -Itools
INC_test := -Ilib -Itest/lib

obj = $(patsubst %.c,$(O)/obj/%.o,$(wildcard $(1)))
LIB_OBJ := $(call obj,lib/*/*.c)
COMMON_OBJ := $(call obj,tools/common/*.c)
TOOLS := ofs-token ofs-sign ofs-verify ofs-audit
BINS := $(TOOLS:%=$(O)/bin/%)
UNIT_TESTS := $(patsubst %.c,$(O)/%,$(wildcard test/unit/*_test.c))
TOKEN_TESTS := $(patsubst %.c,$(O)/%,$(wildcard test/token/*_test.c))
PRELOADED := $(patsubst %.c,$(O)/%.so,test/lib/iofail.c test/lib/iotrace.c)
TEST_OBJ := $(call obj,$(filter-out test/lib/io%.c test/lib/crash%.c,\
	$(wildcard test/lib/*.c)))
# a PKCS#11 module that misbehaves as it is told
FAULT := $(O)/test/faultp11.so
FAULT_OBJ := $(call obj,test/faultp11/*.c)
BENCHES := $(patsubst %,$(O)/test/bench/%,audit bench start slow scale cost)
CLI_TESTS := $(wildcard test/cli/*.t test/interop/*.t)
REPLAYS := $(patsubst %.c,$(O)/%,$(wildcard test/fuzz/*_fuzz.c))
MANS := $(wildcard man/*.[1357])

Q := $(if $(V),,@)
# with the user's -j, or one job for each processor
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,\
	-j$(shell nproc))
say = @printf '  %-5s %s\n' '$(1)' '$(patsubst $(O)/%,%,$@)'

.SECONDARY:
.DELETE_ON_ERROR:
.PHONY: all deps demo check check-now check-long check-san check-tsan lint \
	bench fuzz cov install uninstall installcheck dist clean help \
	have-build have-test have-lint have-fuzz tests check-san-now \
	check-tsan-now FORCE

## Targets
all: have-build $(O)/libofflinesig.a $(O)/$(SONAME) $(BINS) #: library and tools, tools in build/bin

# $(call have,PACKAGES): a shell condition; elsewhere than on Debian it holds
have = { ! command -v dpkg-query >/dev/null || [ "$$(dpkg-query -W \
	-f='$${db:Status-Status}\n' $(1) 2>/dev/null | grep -cx installed)" \
	-ge $(words $(1)) ]; }
missing = for p in $(1); do dpkg-query -W -f='$${db:Status-Status}\n' $$p \
	2>/dev/null | grep -qx installed || printf ' %s' $$p; done

have-build:
	@command -v $(CC) >/dev/null && pkg-config --exists $(PKGS) $(PKGS_audit) \
	2>/dev/null || { \
	echo 'make: packages are missing:'"$$($(call missing,$(BUILD_DEPS)))" \
	>&2; echo 'make: run `make deps` to install them' >&2; exit 1; }

have-test: have-build
	@$(call have,$(TEST_DEPS)) || { \
	echo 'make: packages are missing:'"$$($(call missing,$(TEST_DEPS)))" \
	>&2; echo 'make: run `make deps` to install them' >&2; exit 1; }

have-lint have-fuzz: have-%:
	@$(call have,$($(shell echo $* | tr a-z A-Z)_DEPS)) || \
	$(MAKE) --no-print-directory deps \
	DEPS='$($(shell echo $* | tr a-z A-Z)_DEPS)'

DEPS ?= $(BUILD_DEPS) $(TEST_DEPS)
WAIT := -o DPkg::Lock::Timeout=300
APT = apt-get $(WAIT) update -q && DEBIAN_FRONTEND=noninteractive apt-get \
	$(WAIT) install -q -y --no-install-recommends $(DEPS)
deps: #: installs the Debian packages that build and tests need
	@if ! command -v apt-get >/dev/null; then \
		echo 'no apt-get here; install what these are on Debian:' \
		'$(DEPS)' >&2; exit 1; \
	elif $(call have,$(DEPS)); then \
		echo 'every package is there'; \
	elif [ "$$(id -u)" = 0 ]; then \
		$(APT); \
	elif sudo -n true 2>/dev/null; then \
		sudo -n sh -c '$(APT)'; \
	else \
		echo 'not root, and sudo wants a password; run this:' >&2; \
		echo "  su -c '$(APT)'" >&2; exit 1; \
	fi

# changes when the flags do, and everything is made anew
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS)' \
	>$@.now; cmp -s $@.now $@ && rm $@.now || mv $@.now $@

$(O)/obj/%.o: %.c $(O)/flags | have-build
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(INC_$(firstword $(subst /, ,$<))) \
	$(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# where p11-kit keeps what is registered with it
p11_var = $(shell pkg-config --variable=$(1) p11-kit-1 2>/dev/null)
$(O)/obj/lib/token/registered.o: ALL_CPPFLAGS += \
	-DP11_SYSTEM_CONFIG='"$(call p11_var,sysconfdir)/pkcs11"' \
	-DP11_PACKAGE_MODULES='"$(call p11_var,p11_module_configs)"' \
	-DP11_MODULE_PATH='"$(call p11_var,p11_module_path)"'
# the one that knows where `make install` puts files
$(O)/obj/tools/token-check.o: $(O)/prefix
$(O)/obj/tools/token-check.o: INC_tools += \
	-DADVISORIES='"$(PREFIX)/share/offlinesig/advisories"'
$(O)/prefix: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(PREFIX)' | cmp -s - $@ || printf '%s\n' '$(PREFIX)' >$@

# for our own tests: internal names are visible
$(O)/obj/internal.a: $(LIB_OBJ)
	$(call say,AR)
	$(Q)rm -f $@ && ar rcs $@ $^

# for everybody else: one object, in which they are local
$(O)/libofflinesig.a: $(LIB_OBJ)
	$(call say,AR)
	$(Q)$(CC) -r -nostdlib -o $(O)/obj/offlinesig.o $^ && objcopy \
	--localize-hidden $(O)/obj/offlinesig.o && rm -f $@ && \
	ar rcs $@ $(O)/obj/offlinesig.o

$(O)/$(SONAME): $(LIB_OBJ) lib/offlinesig.map
	$(call say,LD)
	@grep -q '^OFS_$(basename $(VERSION)) {' lib/offlinesig.map || { \
	echo 'lib/offlinesig.map has no node for $(VERSION)' >&2; exit 1; }
	$(Q)$(CC) -shared $(ALL_LDFLAGS) $(if $(SAN),,-Wl$(comma)-z$(comma)defs) \
	-Wl,-soname,$(SONAME) -Wl,--version-script,lib/offlinesig.map \
	-o $@ $(LIB_OBJ) $(ALL_LIBS)
	$(Q)ln -sf $(SONAME) $(O)/libofflinesig.so
comma := ,

# the verbs of ofs-token are tools/token-*.c, and so on
define tool_rule
$(O)/bin/ofs-$(1): $(O)/obj/tools/ofs-$(1).o $(call obj,tools/$(1)-*.c) \
		$(COMMON_OBJ) $(O)/libofflinesig.a
	@mkdir -p $$(@D)
	$$(call say,LD)
	$$(Q)$$(CC) -pie $$(ALL_LDFLAGS) -o $$@ $$^ $$(ALL_LIBS) \
	$(if $(PKGS_$(1)),$(shell pkg-config --libs $(PKGS_$(1)) 2>/dev/null))
endef
$(foreach t,token sign verify audit,$(eval $(call tool_rule,$(t))))

$(O)/test/%_test: $(O)/obj/test/%_test.o $(TEST_OBJ) $(O)/obj/internal.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) $(WRAP) -o $@ $^ $(ALL_LIBS) -lcmocka
# on a disk that loses power
DISK_TESTS := $(patsubst %,$(O)/test/unit/%_test,crash log_flip)
$(DISK_TESTS): $(call obj,test/lib/crash*.c)
$(DISK_TESTS): WRAP = $(patsubst %,-Wl$(comma)--wrap=%,\
	pwrite write fsync fdatasync rename renameat2 unlink)
# a fuzzer that runs its corpus and changes to it, without libFuzzer
$(O)/test/fuzz/%_fuzz: $(O)/obj/test/fuzz/%_fuzz.o \
		$(O)/obj/test/fuzz/replay.o $(O)/obj/internal.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)
$(BENCHES): $(O)/%: $(O)/obj/%.o $(O)/obj/test/bench/common.o \
		$(O)/obj/test/bench/others.o $(O)/obj/internal.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(ALL_LDFLAGS) $(WRAP) -o $@ $(filter %.o,$^) $(filter %.a,$^) \
	$(ALL_LIBS)
$(O)/test/bench/audit: $(O)/obj/test/bench/audit_read.o
# the functions that it times
$(O)/test/bench/cost: WRAP = -Wl,--wrap=maker_prepare $(shell sed -n \
	's/^WRAP.[A-Z]*, \([a-z_]*\),.*/-Wl,--wrap=\1/p' test/bench/cost.c)
$(PRELOADED): $(O)/%.so: %.c
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) -std=c11 $(WARN) -O2 -fPIC -shared -o $@ $<

$(FAULT): $(FAULT_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) -shared $(ALL_LDFLAGS) $(if $(SAN),,-Wl$(comma)-z$(comma)defs) \
	-o $@ $(FAULT_OBJ) $(shell pkg-config --libs libcrypto)
$(TOKEN_TESTS): | $(FAULT)

tests: have-test all $(UNIT_TESTS) $(TOKEN_TESTS) $(REPLAYS) \
	$(PRELOADED) $(FAULT)

TEST_ENV = PATH='$(abspath $(O))/bin':"$$PATH" OFS_BUILD='$(abspath $(O))' \
	OFS_TOP='$(CURDIR)' SEED='$(SEED)' \
	OFS_SAMPLES='$(abspath $(SAMPLES))' OFS_VECTORS='$(abspath $(VECTORS))'

demo: export DIR := $(DIR)
demo: #: the main job in front of your eyes; DIR=path for your own documents
	@$(call have,$(BUILD_DEPS)) || $(MAKE) --no-print-directory deps \
	DEPS='$(BUILD_DEPS)'
	@$(SUBMAKE) all
	@test/demo.sh '$(abspath $(O))' "$$DIR"

check: #: all tests, a few minutes; the last line counts them
	@$(call have,$(BUILD_DEPS) $(TEST_DEPS)) || \
	$(MAKE) --no-print-directory deps
	@$(SUBMAKE) tests
	@$(MAKE) --no-print-directory check-now

check-now:
	@$(TEST_ENV) test/lib/run-tests $(CLI_TESTS) $(TOKEN_TESTS) \
	$(UNIT_TESTS) $(REPLAYS)

check-long: #: the same with every bit, byte and kill instead of a sample
	@OFS_LONG=1 $(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory check-tsan TSAN_TESTS='$(TSAN_ALL)'

# tools without a preloaded library, and few seconds long
SAN_CLI := $(patsubst %,test/cli/%.t,26-encrypted 34-heads 45-restore-secret)
check-san: #: unit and token tests and some of the tools under ASan and UBSan
	@$(SUBMAKE) O='$(O)/san' SAN=address,undefined \
	CFLAGS='-O1 -g' check-san-now
check-san-now: all $(UNIT_TESTS) $(TOKEN_TESTS) $(REPLAYS)
	@$(TEST_ENV) ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 \
	LSAN_OPTIONS=suppressions='$(CURDIR)/test/lib/lsan.supp':print_suppressions=0 \
	UBSAN_OPTIONS=print_stacktrace=1 \
	test/lib/run-tests $(SAN_CLI) $(UNIT_TESTS) $(TOKEN_TESTS) $(REPLAYS)

# what has threads: the engine, the token layer below it, the log
TSAN_ALL := $(patsubst %,token/%,batch plan resume recover quirks campaign \
	fault lend station) $(patsubst %,unit/%,keys log track store turn)
TSAN_TESTS := token/batch token/quirks unit/keys unit/log unit/track \
	unit/turn
check-tsan: #: the engine's tests under ThreadSanitizer
	@$(SUBMAKE) O='$(O)/tsan' SAN=thread CFLAGS='-O1 -g' \
	TSAN_TESTS='$(TSAN_TESTS)' check-tsan-now
check-tsan-now: $(TSAN_TESTS:%=$(O)/test/%_test)
	@$(TEST_ENV) TSAN_OPTIONS=halt_on_error=1:report_thread_leaks=0:suppressions='$(CURDIR)/test/lib/tsan.supp' \
	test/lib/run-tests $^

lint: have-lint all #: layers, exports, style, man pages
	@rc=0; for l in test/lint/*.sh; do \
	printf '  LINT  %s\n' "$$l"; \
	$(TEST_ENV) sh "$$l" '$(abspath $(O))' || rc=1; done; exit $$rc

bench: have-test all $(BENCHES) $(FAULT) #: what signing costs, against bare loops and other tools
	@test/bench/bench.sh '$(O)'

FUZZERS := $(patsubst test/fuzz/%.c,$(O)/fuzz/%,$(wildcard test/fuzz/*_fuzz.c))
FUZZ_SECONDS ?= 60
# libFuzzer writes what it finds into the first corpus: build/fuzz/NAME.corpus
fuzz: have-fuzz #: every parser for FUZZ_SECONDS=60 each
	@$(SUBMAKE) O='$(O)/fuzz-obj' CC=clang \
	SAN=fuzzer-no-link,address,undefined '$(O)/fuzz-obj/obj/internal.a'
	@for f in $(FUZZERS:$(O)/fuzz/%_fuzz=%); do \
	c=$(O)/fuzz/$$f.corpus; mkdir -p $$c; printf '  FUZZ  %s\n' $$f; \
	clang -g -O1 -fsanitize=fuzzer,address,undefined $(ALL_CPPFLAGS) \
	-Ilib -o $(O)/fuzz/$$f test/fuzz/$${f}_fuzz.c \
	$(O)/fuzz-obj/obj/internal.a $(ALL_LIBS) && \
	$(O)/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -verbosity=0 \
	-print_final_stats=1 -artifact_prefix=$(O)/fuzz/$$f- \
	$$(test ! -e test/fuzz/$$f.dict || echo -dict=test/fuzz/$$f.dict) $$c \
	test/fuzz/corpus/$$f || exit 1; done

cov: #: line coverage of make check, in build/cov
	-@$(MAKE) --no-print-directory O='$(O)/cov' LDFLAGS=--coverage \
	CFLAGS='-O0 -g --coverage' check
	@cd $(O)/cov && find obj/lib -name '*.gcda' | xargs gcov -n 2>/dev/null \
	| awk '/^File .lib/ {f=$$2} /^Lines/ && f {print f, $$2; f=""}' | sort -u

I = $(DESTDIR)$(PREFIX)
install: all #: to PREFIX=/usr/local, below DESTDIR=
	install -d '$(I)/bin' '$(I)/lib/pkgconfig' '$(I)/include/offlinesig' \
	'$(I)/share/offlinesig' '$(I)/share/bash-completion/completions'
	install -m 755 $(BINS) '$(I)/bin'
	install -m 644 $(O)/libofflinesig.a '$(I)/lib'
	install -m 755 $(O)/$(SONAME) '$(I)/lib/libofflinesig.so.$(VERSION)'
	ln -sf libofflinesig.so.$(VERSION) '$(I)/lib/$(SONAME)'
	ln -sf $(SONAME) '$(I)/lib/libofflinesig.so'
	install -m 644 include/offlinesig.h '$(I)/include'
	install -m 644 include/offlinesig/*.h '$(I)/include/offlinesig'
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	-e 's|@PKGS@|$(PKGS)|' lib/offlinesig.pc.in \
	>'$(I)/lib/pkgconfig/offlinesig.pc'
	install -m 755 softhsm-conf/sandbox '$(I)/share/offlinesig'
	install -m 644 softhsm-conf/softhsm2.conf.in '$(I)/share/offlinesig'
	install -m 644 tools/advisories '$(I)/share/offlinesig'
	for t in $(TOOLS); do install -m 644 tools/completion/ofs.bash \
	"$(I)/share/bash-completion/completions/$$t" || exit 1; done
	for m in $(MANS); do d='$(I)/share/man/man'"$${m##*.}"; \
	install -d "$$d" && install -m 644 "$$m" "$$d" || exit 1; done

uninstall: #: removes what install put there
	rm -f $(TOOLS:%='$(I)/bin/%') '$(I)/lib/libofflinesig.a' \
	'$(I)/lib/libofflinesig.so' '$(I)/lib/$(SONAME)' \
	'$(I)/lib/libofflinesig.so.$(VERSION)' \
	'$(I)/lib/pkgconfig/offlinesig.pc' \
	$(patsubst include/%,'$(I)/include/%',$(wildcard \
	include/offlinesig.h include/offlinesig/*.h)) \
	$(TOOLS:%='$(I)/share/bash-completion/completions/%') \
	'$(I)/share/offlinesig/sandbox' '$(I)/share/offlinesig/softhsm2.conf.in' \
	'$(I)/share/offlinesig/advisories'
	-rmdir '$(I)/include/offlinesig' '$(I)/share/offlinesig'
	for m in $(MANS); do \
	rm -f '$(I)/share/man/man'"$${m##*.}/$${m##*/}"; done

installcheck: #: C and C++ programs build with pkg-config and run
	@$(TEST_ENV) DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' CC='$(CC)' \
	sh test/install/check.sh

dist: #: a source archive of HEAD, in build
	@mkdir -p '$(O)'
	git archive --prefix=libofflinesig-$(VERSION)/ \
	-o '$(O)/libofflinesig-$(VERSION).tar.gz' HEAD

clean: #: removes what was built
	rm -rf '$(O)'

help: #: this list
	@echo 'Targets:'
	@sed -n 's/^\([a-z-]*\):.*#: \(.*\)/  \1#\2/p' Makefile | \
	awk -F'#' '{printf "%-16s%s\n", $$1, $$2}'
	@echo 'Variables:'
	@sed -n 's/^\([A-Z]*\) ?=[^#]*# *\(.*\)/  \1#\2/p' Makefile | \
	awk -F'#' '{printf "%-16s%s\n", $$1, $$2}'
	@echo 'One test: make build/test/unit/buf_test && build/test/unit/buf_test'

-include $(shell find '$(O)/obj' -name '*.d' 2>/dev/null)
