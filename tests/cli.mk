# tests of cli
cli_scripts = tests/t_cli_usage.sh tests/t_cli_bench.sh tests/t_cli_config.sh tests/t_cli_help.sh tests/t_cli_ranks.sh tests/t_cli_train.sh tests/t_cli_misuse.sh tests/t_cli_streams.sh tests/t_cli_slurm.sh
TESTS += $(cli_scripts)
EXTRA_DIST += $(cli_scripts)
check_PROGRAMS += t_cli_conclude
TESTS += t_cli_conclude
t_cli_conclude_SOURCES = tests/t_cli_conclude.c src/cli/conclude.c
t_cli_conclude_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src/cli
t_cli_conclude_LDADD = libhalfspec.la
