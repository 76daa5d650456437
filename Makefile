EXTENSION = cognito_srf
MODULE_big = cognito_srf
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
PG_CPPFLAGS = -Isrc
# No other library replaces the functions of this one, so calls between them can be direct.
PG_CFLAGS = -fno-semantic-interposition
DATA = $(wildcard sql/cognito_srf--*.sql)

# Inputs are in test/sql, expected outputs in expected.
REGRESS = setup options users pushdown memberships entities views tokens secrets
REGRESS_OPTS = --inputdir=test
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl test/interop/*.pl

SHLIB_LINK = -lcurl -lssl -lcrypto -lcjson

PG_CONFIG ?= pg_config
export PG_CONFIG
# Debian's client package has pgxs.mk, but not the server's headers.
ifneq ($(wildcard $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h),)
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs))
endif

ifdef PGXS

# The JIT's bitcode needs the clang that the server was built with; all else works without.
CLANG := $(shell sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(wildcard $(CLANG)),)
override with_llvm = no
endif

include $(PGXS)

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h src/*/*.h)

# The regression tests read the local Cognito's pools; the TAP tests start their own.
pg_regress_installcheck := $(subst &&,&& test/cognito.py run,$(pg_regress_installcheck))

else

all install uninstall installcheck clean:
	$(error $(PG_CONFIG) knows no server headers: install Debian's postgresql-server-dev-all, or set PG_CONFIG)

endif

# From here on: targets that need nothing but git and make, and install the rest themselves.

.PHONY: demo test bench coverage fuzz lint format matrix deb dist packaging

sudo = $(if $(filter 0,$(shell id -u)),,sudo)

demo: ready-demo
	test/as-user test/cluster test/cognito.py run test/demo

test: ready-test
	test/as-user test/run

bench: ready-bench
	test/as-user test/cluster test/bench/run

coverage: ready-test
	test/coverage

# In seconds; CI is content with a minute.
SECONDS ?= 60

fuzz: ready-fuzz
	test/fuzz/run $(SECONDS)

lint:
	test/packages lint
	test/lint

# In fresh roots of Debian's releases: all tests, and those of the packages.
matrix:
	test/packages matrix
	$(sudo) test/matrix $(RELEASES)

deb:
	test/packages deb
	test/deb

# The archive of the last commit, for PGXN.
VERSION = $(shell sed -n 's/^  "version": "\(.*\)",$$/\1/p' META.json)

dist:
	mkdir -p dist
	git archive --prefix=cognito_srf-$(VERSION)/ --format=zip --output=dist/archive HEAD
	rm -f dist/*.zip
	mv dist/archive dist/cognito_srf-$(VERSION).zip

packaging: deb dist
	test/packages matrix
	$(sudo) test/packaging

format:
	clang-format -i src/*.[ch] src/*/*.[ch] test/*.c test/*/*.[ch]

# Packages, build and installation, as the target after the hyphen needs them.
ready-%:
	test/packages $*
	$(MAKE) -s all
	$(sudo) $(MAKE) -s install PG_CONFIG='$(PG_CONFIG)'
