# src/base - services that know nothing of networks
libhalfspec_la_SOURCES += src/base/status.c src/base/log.c src/base/memory.c src/base/lease.c src/base/clock.c src/base/resident.c src/base/sha256.h src/base/sha256.c src/base/sha256_x86.c \
	src/base/file.c src/base/claim.c src/base/text.c src/base/config.c src/base/config_value.c src/base/config_parse.c src/base/config_print.c \
	src/base/config_check.c src/base/config_private.h src/base/version.c

# The commit this was built from: asked of git in a checkout, of the file that `make dist` left in a tarball, else unknown. The header is
# touched only when its text changes, so that a build with nothing new compiles nothing.
src/base/version.lo: hs_commit.h
hs_commit.h: hs-commit-always
	@if test -e "$(srcdir)/.git" && commit=`cd "$(srcdir)" && git rev-parse --short=12 HEAD 2>/dev/null`; then \
	   (cd "$(srcdir)" && GIT_OPTIONAL_LOCKS=0 git diff --quiet HEAD -- 2>/dev/null) || commit="$$commit+changes"; \
	 elif test -f "$(srcdir)/.commit"; then commit=`cat "$(srcdir)/.commit"`; \
	 else commit=unknown; fi; \
	 echo "#define HS_COMMIT \"$$commit\"" > $@.new; \
	 if cmp -s $@.new $@; then rm -f $@.new; else mv -f $@.new $@; fi
.PHONY: hs-commit-always
hs-commit-always:
CLEANFILES += hs_commit.h

dist-hook: hs_commit.h
	@sed -n 's/.*"\(.*\)".*/\1/p' hs_commit.h > "$(distdir)/.commit"
