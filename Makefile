# SPDX-License-Identifier: LGPL-2.1-or-later
# libofflinesig. `make help` lists the targets.

O ?= build
CC ?= cc
CFLAGS ?= -O2 -g
PKGS := libcrypto libp11 p11-kit-1 sqlite3 jansson

WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow \
	-Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla -Wundef
CPPFLAGS += -Iinclude -Ilib -D_GNU_SOURCE $(shell pkg-config --cflags $(PKGS))
LDLIBS += $(shell pkg-config --libs $(PKGS)) -lpthread
ALL_CFLAGS = -std=c11 -fPIC -fvisibility=hidden -fno-strict-aliasing $(WARN) $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) $(if $(WERROR),-Werror)

LIB_SRC := $(wildcard lib/*/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(O)/obj/%.o)

all: $(O)/libofflinesig.a
$(O)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(O)/libofflinesig.a: $(LIB_OBJ)
	rm -f $@; ar rcs $@ $^
-include $(LIB_OBJ:.o=.d)
