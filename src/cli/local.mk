# src/cli - the program
bin_PROGRAMS += halfspec
halfspec_SOURCES = src/cli/halfspec.c src/cli/cli.h src/cli/commands.c src/cli/conclude.c src/cli/load.c src/cli/cmd_train.c src/cli/cmd_eval.c \
	src/cli/cmd_bench.c src/cli/cmd_info.c src/cli/cmd_check.c src/cli/cmd_pack.c src/cli/cmd_config.c src/cli/cmd_help.c src/cli/help_text.c src/cli/cmd_version.c \
	src/cli/versions.h src/cli/versions.c
halfspec_CPPFLAGS = $(AM_CPPFLAGS) $(FFTW_CFLAGS) $(BLAS_CFLAGS) $(ZLIB_CFLAGS) -DHS_DATADIR=\"$(datadir)\"
halfspec_LDADD = libhalfspec.la $(FFTW_LIBS) $(BLAS_LIBS) $(ZLIB_LIBS) $(MPI_LIBS)

dist_man_MANS += src/cli/halfspec.1
# `make update-man` writes the section KEYS of the page anew from the table; tests/t_cli_man.sh fails while it is stale.
.PHONY: update-man
update-man: halfspec
	./halfspec help --man > man-keys.new
	sed -e '/^\.\\" KEYS BEGIN/r man-keys.new' -e '/^\.\\" KEYS BEGIN/,/^\.\\" KEYS END/{/^\.\\" KEYS/!d;}' "$(srcdir)/src/cli/halfspec.1" > man.new
	mv man.new "$(srcdir)/src/cli/halfspec.1"
	rm -f man-keys.new

# Bash finds a completion by the program's name, so the installed file has that name.
completiondir = $(datadir)/bash-completion/completions
completion_DATA = src/cli/halfspec
src/cli/halfspec: src/cli/completion.bash
	@$(MKDIR_P) src/cli
	$(AM_V_GEN)cp "$(srcdir)/src/cli/completion.bash" $@
EXTRA_DIST += src/cli/completion.bash
CLEANFILES += src/cli/halfspec
