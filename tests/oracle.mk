# tests of the whole program against PyTorch (python3-torch); samples and weights cross over through HDF5 files
oracle_tests = tests/t_oracle_double.py tests/t_oracle_float.py tests/t_oracle_presets.py tests/t_oracle_random.py
oracle_helpers = tests/oracle/cases.py tests/oracle/lists.py tests/oracle/network.py tests/oracle/spectra.py tests/oracle/training.py
oracle_scripts = tests/t_oracle_jobs.sh tests/t_oracle_valid.sh tests/t_cli_pack.sh
TESTS += $(oracle_tests) $(oracle_scripts)
EXTRA_DIST += $(oracle_tests) $(oracle_helpers) $(oracle_scripts)

# Many more random networks, the presets at larger sizes, runs that are killed and stopped, damaged files, odd configurations (tests/train.mk), and the script
# for GPUs on an emulated one: make check-long [HS_TEST_SEED=1000] [HS_TEST_COUNT=500]
.PHONY: check-long
check-long: halfspec $(check_long_more)
	HS_TEST_LONG=1 $(MAKE) $(AM_MAKEFLAGS) check TESTS='tests/t_oracle_presets.py tests/t_oracle_random.py $(train_long)'
