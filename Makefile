# pprofd: profiles of a live C or C++ process over HTTP. `make help` lists the targets.
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

SAN ?=
comma := ,
B ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(DEBUG),-debug)
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
CC ?= cc
CXX ?= c++
AR ?= ar
PROTOC_C ?= protoc-c
CFLAGS ?= -O2 -g
CXXFLAGS ?= -O2 -g
VERSION := 0.1.0

WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wmissing-prototypes \
	-Wstrict-prototypes -Wpointer-arith -Wvla -Wundef -Wno-unused-parameter -Wformat=2 $(if $(WERROR),-Werror)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
ALL := -std=gnu11 -D_GNU_SOURCE -DPD_VERSION='"$(VERSION)"' -Isrc -Iinclude -I$B/gen $(WARN) -fPIC -fvisibility=hidden \
	-ftls-model=initial-exec -mcx16 -fno-omit-frame-pointer '-ffile-prefix-map=$(CURDIR)=.' $(SANFLAGS)
ALL += $(if $(DEBUG),-DPD_DEBUG) -DPD_GEN='"$B/gen"'
# Nothing the signal path calls may be an instrumented or fortified detour, whatever CFLAGS ask for; and it has symbols
# that only assembly uses, which link-time optimisation does not see.
SIGNAL_PATH := -U_FORTIFY_SOURCE -fno-stack-protector -fno-builtin-memcpy -fno-lto
SERVER_LIBS := -lmicrohttpd -lprotobuf-c -lz -llzma -ldw -lelf -lunwind-x86_64 -liberty -lm
LINK := -Wl,-z,defs -Wl,-z,now -Wl,-z,relro -Wl,--build-id $(SANFLAGS)

Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-7s %s\n' '$1' '$2')

AGENT_SRC := $(sort $(wildcard src/base/arena.c src/base/log.c src/base/thread.c src/agent/*.c src/agent/*/*.c))
SERVER_SRC := $(sort $(wildcard src/base/log.c src/base/buf.c src/base/thread.c src/server/*.c src/server/*/*.c))
CLI_SRC := $(sort $(wildcard src/cli/*.c))
PROTO := $(wildcard src/server/encode/profile.proto)
obj = $(patsubst %.c,$B/%.o,$1)
AGENT_OBJ := $(call obj,$(AGENT_SRC))
SERVER_OBJ := $(call obj,$(SERVER_SRC)) $(PROTO:src/server/encode/%.proto=$B/gen/%.pb-c.o)
CLI_OBJ := $(call obj,$(CLI_SRC))

UNIT := $(patsubst tests/%.c,$B/tests/%,$(sort $(wildcard tests/unit/*.c tests/signal/*.c)))
LIVE := $(patsubst tests/%.c,$B/tests/%,$(sort $(wildcard tests/bench/overhead.c tests/bench/labels.c tests/bench/lock.c tests/live/*.c tests/demo/*.c tests/hosts/*.c tests/clients/*.c tests/page/*.c))) \
	$(patsubst tests/%.cc,$B/tests/%,$(sort $(wildcard tests/live/*.cc tests/hosts/*.cc)))
LIVELIB := $(patsubst tests/%.c,$B/tests/%.so,$(sort $(wildcard tests/live/lib/*.c)))
BENCH := $(patsubst tests/%.c,$B/tests/%,$(sort $(filter-out tests/bench/overhead.c tests/bench/labels.c tests/bench/lock.c,$(wildcard tests/bench/*.c))))
FUZZ := $(patsubst tests/%.c,$B/tests/%,$(sort $(wildcard tests/fuzz/*.c)))
LIBS := $B/libpprofd.so $B/libpprofd.a $B/libpprofd-server.so $B/pprofd

all: $(LIBS) ## the libraries and the pprofd command
tests: all $(UNIT) $(LIVE) $(LIVELIB) $(FUZZ) ## build every test program
demo: all $B/tests/demo/demo ## the demo service

test: tests ## run the whole suite (T=pattern for a part of it)
	$Q B=$(abspath $B) SAN='$(SAN)' CC='$(CC)' CXX='$(CXX)' tests/run $(T)

check: all ## layers, exported symbols, signal safety, shell scripts
	$Q scripts/layers
	$Q scripts/symbols $B
	$Q scripts/sigsafe $B
	$Q scripts/shell

tidy: $B/gen/profile.pb-c.h ## clang-tidy over the sources
	$Q clang-tidy --quiet $(filter-out $(wildcard src/server/encode/*.pb-c.c),$(AGENT_SRC) $(SERVER_SRC) $(CLI_SRC)) -- $(filter-out -f%,$(ALL))

fuzz: ## run each fuzzer for FUZZ_SECONDS (clang needed)
	$Q tests/fuzz/run $(FUZZ_SECONDS)

bench: tests $(BENCH) ## measure costs side by side and print the numbers
	$Q B=$(abspath $B) tests/bench/run $(T)

$B/libpprofd.so: $(AGENT_OBJ) src/libpprofd.map Makefile
	$(call say,LD,$@)
	$Q $(CC) $(CFLAGS) -shared -fPIC $(LINK) -Wl,-z,nodelete -Wl,-soname,libpprofd.so.0 -Wl,--version-script=src/libpprofd.map \
		$(LDFLAGS) -o $@ $(AGENT_OBJ) $(LDLIBS)
	$Q ln -sf libpprofd.so $B/libpprofd.so.0

# One object, so that no internal name can meet one of the program's.
$B/libpprofd.a: $(AGENT_OBJ)
	$(call say,AR,$@)
	$Q ld -r -o $B/libpprofd.o $(AGENT_OBJ)
	$Q objcopy --wildcard --keep-global-symbol='pprofd_*' $B/libpprofd.o
	$Q rm -f $@ && $(AR) rcsD $@ $B/libpprofd.o

$B/libpprofd-server.so: $(SERVER_OBJ) src/libpprofd-server.map Makefile
	$(call say,LD,$@)
	$Q $(CC) $(CFLAGS) -shared -fPIC $(LINK) -Wl,-z,nodelete -Wl,-soname,libpprofd-server.so.0 \
		-Wl,--version-script=src/libpprofd-server.map -Wl,--exclude-libs,ALL $(LDFLAGS) -o $@ $(SERVER_OBJ) $(SERVER_LIBS) $(LDLIBS)

$B/pprofd: $(CLI_OBJ)
	$(call say,LD,$@)
	$Q $(CC) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Hooks on the way of every lock: no frame where nothing is to be done.
$B/src/agent/sampler/wait_%.o: private SIGNAL_PATH += -fomit-frame-pointer

$B/machine: scripts/machine
	@mkdir -p $(@D)
	$Q PROTOC_C='$(PROTOC_C)' scripts/machine $(CC) $(CPPFLAGS) $(CFLAGS) && touch $@

$B/%.o: %.c Makefile | $B/machine
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$Q $(CC) $(CPPFLAGS) $(CFLAGS) $(ALL) $(if $(filter src/agent/% src/base/%,$<),$(SIGNAL_PATH)) $(if $(filter tests/%,$<),-Itests) -MMD -MP -c -o $@ $<

$B/gen/%.pb-c.c $B/gen/%.pb-c.h &: src/server/encode/%.proto | $B/machine
	@mkdir -p $(@D)
	$(call say,PROTO,$@)
	$Q $(PROTOC_C) --proto_path=src/server/encode --c_out=$B/gen $<
$B/gen/%.pb-c.o: $B/gen/%.pb-c.c
	$(call say,CC,$@)
	$Q $(CC) $(CPPFLAGS) $(CFLAGS) $(ALL) -w -c -o $@ $<
$(call obj,$(wildcard src/server/encode/*.c)): | $(PROTO:src/server/encode/%.proto=$B/gen/%.pb-c.h)

# The page: its modules one behind the other in a function, so that all their names can be made short, and its style;
# compressed, and before that without indents and lines of comment, or smaller still where minify(1) and zopfli(1) are
# installed.
# The modules' order is free but for the last one, which starts the page: in this one they compress best.
# DEBUG=1 builds serve the files of www/ as they lie, when PPROFD_WWW names the folder.
MINIFY := $(shell command -v minify)
ZOPFLI := $(shell command -v zopfli)
smaller = $(if $(MINIFY),$(MINIFY) --type $1,cat)
PAGE := threads state raw pprof model compare take service words facts command pen flame graph foot store now \
	views captures panels start tables chosen acts dom app
$B/gen/www/page.mjs: $(PAGE:%=www/%.mjs) Makefile
	@mkdir -p $(@D)
	$Q { echo '(() => {' && cat $(PAGE:%=www/%.mjs) && echo '})();'; } | sed -e '/^import .*;$$/d' -e '/^import /,/;$$/d' \
		-e 's|^export ||' -e 's|^[[:space:]]*||' -e '/^\/\//d' | $(call smaller,js) >$@
$B/gen/www/style.css: www/style.css Makefile
	@mkdir -p $(@D)
	$Q sed -e 's|^[[:space:]]*||' -e '/^\/\*.*\*\/$$/d' $< | $(call smaller,css) >$@
$B/gen/www/%.gz: $B/gen/www/%
	$(call say,GZIP,$@)
	$Q $(if $(ZOPFLI),$(ZOPFLI) -c,gzip -9nc) $< >$@
$(call obj,src/server/route/assets.c): $B/gen/www/page.mjs.gz $B/gen/www/style.css.gz

# Unit tests see the insides: agent_* the agent's objects, all others the server's too.
UNIT_AGENT := $(filter $B/tests/unit/agent_% $B/tests/signal/%,$(UNIT))
UNIT_SERVER := $(filter-out $(UNIT_AGENT),$(UNIT))
$(UNIT_AGENT): %: %.o $(AGENT_OBJ)
	$(call say,LD,$@)
	$Q $(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -rdynamic -o $@ $^ $(LDLIBS) -lm
$(UNIT_SERVER): %: %.o $(SERVER_OBJ)
	$(call say,LD,$@)
	$Q $(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS) $(LDLIBS) -lm
$(BENCH): %: %.o $(AGENT_OBJ)
	$(call say,LD,$@)
	$Q $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lunwind -lm
$(FUZZ): %: %.o $(SERVER_OBJ)
	$(call say,LD,$@)
	$Q $(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(SERVER_LIBS) $(LDLIBS)

# rbp is to help nobody there.
$B/tests/unit/agent_unwind_guess.o: CFLAGS += -fomit-frame-pointer

# What allocates to be seen must not be optimised away.
$B/tests/unit/agent_heap_%.o: CFLAGS += -fno-builtin

# Programs as a user would build them.
USER := -Iinclude -O2 -g -Wall -Wextra -Wno-unused-parameter -D_GNU_SOURCE $(SANFLAGS)
$B/tests/live/lock_cpp: private USER += -std=gnu++20
$B/tests/live/lib/%.so: tests/live/lib/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$Q $(CC) $(USER) -shared -fPIC -MMD -MP -o $@ $<
$B/tests/%: tests/%.c $B/libpprofd.so Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$Q $(CC) $(USER) -Itests -MMD -MP -o $@ $< -L$B -lpprofd -Wl,-rpath,$(abspath $B) -lpthread -ldl -lm
$B/tests/%: tests/%.cc $B/libpprofd.so Makefile
	@mkdir -p $(@D)
	$(call say,CXX,$@)
	$Q $(CXX) $(USER) -Itests -MMD -MP -o $@ $< -L$B -lpprofd -Wl,-rpath,$(abspath $B) -lpthread -ldl

install: all ## into PREFIX (and DESTDIR)
	$Q install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/bin
	$Q install -m 644 include/pprofd.h include/pprofd.hpp $(DESTDIR)$(PREFIX)/include/
	$Q install -m 755 $B/libpprofd.so $(DESTDIR)$(LIBDIR)/libpprofd.so.0
	$Q ln -sf libpprofd.so.0 $(DESTDIR)$(LIBDIR)/libpprofd.so
	$Q install -m 755 $B/libpprofd-server.so $(DESTDIR)$(LIBDIR)/
	$Q install -m 644 $B/libpprofd.a $(DESTDIR)$(LIBDIR)/
	$Q install -m 755 $B/pprofd $(DESTDIR)$(PREFIX)/bin/
	$Q sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' scripts/pprofd.pc.in \
		>$(DESTDIR)$(LIBDIR)/pkgconfig/pprofd.pc

clean: ## remove every build folder
	$Q rm -rf build build-*

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' Makefile

.PHONY: all tests demo test check tidy fuzz bench install clean help
.SECONDARY:
-include $(shell find $B -name '*.d' 2>/dev/null)
